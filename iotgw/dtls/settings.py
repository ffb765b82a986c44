"""The settings of a DTLS listener. Durations are seconds, sizes bytes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from iotgw.core.pem import Pem, SecretPem, names
from iotgw.core.secrets import Secret
from iotgw.dtls.identity import Naming

Seconds = Annotated[float, Meta(gt=0)]


class PemSettings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A chain and a key in PEM, each as text, or as the name of a file in the operator's directory of certificates."""

    cert_file: Annotated[Pem, Meta(description="The chain, the server's own certificate first.")]
    key_file: Annotated[
        SecretPem, Meta(description="The private key; if empty, it is in the file that `certFile` names.")
    ] = ""
    key_password: Annotated[Secret, Meta(description="What opens the key.")] = ""


class KeystoreSettings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A PKCS#12 store."""

    store_file: Annotated[
        str, Meta(description="Name of the store in the operator's directory; it holds one key.")
    ]
    store_password: Annotated[Secret, Meta(description="What opens the store, and the key in it.")] = ""
    key_alias: Annotated[str, Meta(description="The key's name, if it must have one.")] = ""


class X509Settings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Certificates: the server's own, whether clients need one, and how it names a device."""

    pem: Annotated[PemSettings | None, Meta(description="Certificate and key in PEM.")] = None
    keystore: Annotated[
        KeystoreSettings | None, Meta(description="Certificate and key in a PKCS#12 store.")
    ] = None
    client_certificates: Annotated[
        Literal["none", "optional", "required"], Meta(description="Whether a device needs one.")
    ] = "required"
    trust_anchors: Annotated[
        list[Pem],
        Meta(
            max_length=64,
            description="Certificates that a device's chain may end in: PEM texts, or names of files in the operator's directory.",
        ),
    ] = []
    skip_validity_check_for_client_cert: Annotated[
        bool, Meta(description="Take certificates that have expired, or are not valid yet.")
    ] = False
    naming: Annotated[
        list[Naming], Meta(description="What names the device: the first of these that its certificate has.")
    ] = field(default_factory=lambda: ["sanUri", "cn"])
    provision_devices: Annotated[
        bool,
        Meta(description="Take any device of a trust anchor; else it needs a credential of type `x509`."),
    ] = True

    def __post_init__(self) -> None:
        if (self.pem is None) == (self.keystore is None):
            raise ValueError("expected either pem or keystore")
        if self.client_certificates != "none" and not self.trust_anchors:
            raise ValueError("trustAnchors: client certificates need at least one file of trust anchors")

    @property
    def own_files(self) -> list[str]:
        """The names of the files with the server's certificate and key."""
        if self.keystore is not None:
            return [self.keystore.store_file]
        assert self.pem is not None
        return names([self.pem.cert_file, self.pem.key_file])


class Timings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How long things take; the defaults are Lobaro's, made for NB-IoT."""

    handshake_timeout: float = 35.0
    flight_interval: float = 15.0
    idle_timeout: float = 86400.0


PRESETS = {
    "lobaro": Timings(),
    # RFC 6347 §4.2.4.1: one second, doubled each time, which is what OpenSSL does when asked each second.
    "rfc6347": Timings(handshake_timeout=60.0, flight_interval=1.0, idle_timeout=86400.0),
    # RFC 7925 §11: nine seconds for constrained devices.
    "rfc7925": Timings(handshake_timeout=60.0, flight_interval=9.0, idle_timeout=86400.0),
}


class DtlsSettings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A DTLS listener. Times are seconds, sizes bytes."""

    psk: Annotated[bool, Meta(description="Take pre-shared keys (credentials of type `psk`).")] = True
    x509: Annotated[X509Settings | None, Meta(description="Take certificates.")] = None
    prefer: Annotated[
        Literal["psk", "x509"], Meta(description="Which one, for a device that offers both.")
    ] = "psk"
    preset: Annotated[
        Literal["lobaro", "rfc6347", "rfc7925"],
        Meta(description="Handshake timeout and flight interval: 35 and 15 s, 60 and 1 s, 60 and 9 s."),
    ] = "lobaro"
    handshake_timeout: Annotated[
        Seconds | None,
        Meta(description="When an unfinished handshake is dropped; the preset's if not given."),
    ] = None
    flight_interval: Annotated[
        Seconds | None,
        Meta(
            description="When a flight is sent again that nobody answered. OpenSSL doubles 1 s each time: what is "
            "shorter than that has no effect."
        ),
    ] = None
    idle_timeout: Annotated[
        Seconds | None, Meta(description="When a silent session is ended; the preset's (24 h) if not given.")
    ] = None
    max_handshakes: Annotated[
        int, Meta(ge=1, description="Handshakes under way; beyond, the oldest is dropped.")
    ] = 1000
    max_sessions: Annotated[
        int,
        Meta(ge=1, description="Sessions of about 70 kB each; beyond, the least recently used is ended."),
    ] = 10000
    mtu: Annotated[
        int, Meta(ge=256, le=16384, description="Most bytes of a datagram; 1232 fits IPv6's smallest link.")
    ] = 1232
    address_change: Annotated[
        int,
        Meta(
            ge=0, le=64,
            description="How many sessions of the same IP address are tried for data from an unknown port; 0 tries "
            "none.",
        ),
    ] = 0  # fmt: skip
    resumption: Annotated[
        bool, Meta(description="Let a returning device continue its session with a shorter handshake.")
    ] = False

    def __post_init__(self) -> None:
        if not self.psk and self.x509 is None:
            raise ValueError("expected psk, x509 or both")

    @property
    def files(self) -> list[str]:
        """The names of all files that it needs."""
        if self.x509 is None:
            return []
        return [*self.x509.own_files, *names(self.x509.trust_anchors)]

    @property
    def timings(self) -> Timings:
        """The preset's timings with what is set one by one."""
        preset = PRESETS[self.preset]
        return Timings(
            preset.handshake_timeout if self.handshake_timeout is None else self.handshake_timeout,
            preset.flight_interval if self.flight_interval is None else self.flight_interval,
            preset.idle_timeout if self.idle_timeout is None else self.idle_timeout,
        )
