"""A device's credential as users save it, and the grant that it gives its holder."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.core.secrets import Secret
from iotgw.core.specs import Spec

KIND = "credential"

Milliseconds = Annotated[int, Meta(ge=0)]


class SecretSpec(Spec, frozen=True, kw_only=True):
    """One secret of a pre-shared key. ``notBefore`` and ``notAfter``: milliseconds since 1970."""

    id: Annotated[
        str,
        Meta(max_length=64, description="Names the secret while it is masked; given where it is missing."),
    ] = ""
    value: Annotated[Secret, Meta(description="The secret itself; shown masked once it is stored.")]
    encoding: Annotated[Literal["text", "hex", "base64"], Meta(description="How the value is written.")] = (
        "text"
    )
    not_before: Annotated[
        Milliseconds | None,
        Meta(description="Milliseconds since 1970 from which it counts; at once where it is missing."),
    ] = None
    not_after: Annotated[
        Milliseconds | None,
        Meta(description="Milliseconds since 1970 until which it counts; for ever where it is missing."),
    ] = None

    def decoded(self) -> bytes:
        """The key's bytes, of a secret in the clear; raises ValueError."""
        if self.encoding == "text":
            return self.value.encode()
        if self.encoding == "hex":
            return bytes.fromhex(self.value)
        return base64.b64decode(self.value, validate=True)


class CredentialSpec(Spec, frozen=True, kw_only=True):
    """A credential.

    ``identity``: the PSK identity (RFC 4279), or a certificate's device name or SHA-256 fingerprint. With one
    ``*`` in it, a PSK serves all identities that match. ``device`` is its holder; the identity, if empty.
    """

    name: Annotated[str, Meta(description="What it is called here; the API's path has it.")]
    type: Annotated[
        Literal["psk", "x509"], Meta(description="`psk` is a pre-shared key, `x509` a certificate.")
    ] = "psk"
    identity: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=128,
            description="The PSK identity, or a certificate's name or SHA-256 fingerprint. A PSK whose identity has one `*` in it serves all that match.",
        ),
    ]
    device: Annotated[
        str, Meta(description="Whose it is; the device that is called as the identity where this is empty.")
    ] = ""
    enabled: Annotated[bool, Meta(description="A disabled credential proves nothing.")] = True
    secrets: Annotated[
        list[SecretSpec],
        Meta(
            max_length=8,
            description="The keys that count: several while they are changed. A certificate has none.",
        ),
    ] = []
    derive: Annotated[
        Literal["none", "hmac-sha256", "hmac-sha256-128"],
        Meta(
            description="How a device's key is derived from the secret: it is the secret, or HMAC-SHA-256(secret, "
            "identity), the latter cut to 16 bytes for modems that take no more."
        ),
    ] = "none"
    allow_insecure: Annotated[
        bool,
        Meta(description="On a datasource with security mode MIXED, this device may also use plain CoAP."),
    ] = False
    description: Annotated[str, Meta(description="For people.")] = ""

    def __post_init__(self) -> None:
        """Refuse a credential that could never be used."""
        if self.type == "x509" and (self.secrets or self.derive != "none" or "*" in self.identity):
            raise ValueError("an x509 credential has no secrets and no wildcard")
        if self.type == "psk" and self.enabled and not self.secrets:
            raise ValueError("secrets: expected at least one for a pre-shared key")
        if self.identity.count("*") > 1:
            raise ValueError("identity: expected at most one '*'")
        if "*" in self.identity and self.device:
            raise ValueError("device: a credential for many identities can't name one device")


def check_secrets(spec: CredentialSpec) -> None:
    """Check secrets in the clear: 4 to 256 bytes each. Raises ValueError, whose text doesn't contain the
    secret."""
    for index, secret in enumerate(spec.secrets):
        try:
            size = len(secret.decoded())
        except (ValueError, binascii.Error):
            raise ValueError(f"secrets[{index}].value: expected {secret.encoding}") from None
        if not 4 <= size <= 256:
            raise ValueError(f"secrets[{index}].value: expected 4 to 256 bytes, got {size}")


class Grant(Struct, frozen=True):
    """What a credential gives its holder.

    ``key`` identifies the secret by a digest, so that a session can be ended when the secret is revoked. If
    ``enabled`` is False, the device is refused.
    """

    credential: str
    tenant: str
    device: str
    key: str = ""
    enabled: bool = True
    allow_insecure: bool = False
