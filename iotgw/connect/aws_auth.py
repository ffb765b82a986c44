"""How we sign requests to AWS: Signature Version 4, by a key that doesn't expire or one with a session token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct

from iotgw.core.errors import SettingsError
from iotgw.core.secrets import Secret
from iotgw.wire.sigv4 import AwsScope, signature_headers


class AwsSigV4(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag="aws"):
    """AWS Signature Version 4: each request is signed with its body and its time."""

    access_key_id: Annotated[str, Meta(description="The access key's id, such as `AKIAIOSFODNN7EXAMPLE`.")]
    secret_access_key: Annotated[Secret, Meta(description="The secret that belongs to it.")]
    session_token: Annotated[Secret, Meta(description="Of temporary credentials.")] = ""
    region: Annotated[str, Meta(description="Such as `eu-central-1`.")]
    service: Annotated[
        str,
        Meta(
            description="The service's name in signatures: `execute-api` (API Gateway), `lambda`, `s3`, `aps`, …"
        ),
    ]


class AwsSigner:
    """The headers of `AwsSigV4`. ``date()`` gives the date in seconds since 1970."""

    def __init__(self, auth: AwsSigV4, date: Callable[[], float]) -> None:
        for name in ("access_key_id", "session_token", "region", "service"):
            if not getattr(auth, name).isprintable():
                raise SettingsError("configuration.auth", f"expected printable characters in {name}", True)
        self.header = b""
        self.secrets = [auth.secret_access_key, auth.session_token]
        """What no text for people may repeat, besides what is in the header."""
        self._scope = AwsScope(
            auth.access_key_id, auth.secret_access_key, auth.session_token, auth.region, auth.service
        )
        self._date = date

    def sign(self, head: bytes, body: bytes) -> bytes:
        """The header lines that authenticate a request of these header lines, the first with method and target."""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines) if name]
        added = signature_headers(method, target, headers, body, self._scope, self._date())
        return "".join(f"{name}: {value}\r\n" for name, value in added).encode()

    def ready(self) -> bool:
        """Always."""
        return True

    def refresh(self, done: Callable[[str], None]) -> None:
        """Nothing to do."""
        done("")

    def refused(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
