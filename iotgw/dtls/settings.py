"""The settings of a DTLS listener. Durations are seconds, sizes bytes."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from iotgw.dtls.identity import Naming
from iotgw.sealing import Secret


class PemSettings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A chain in PEM, the server's own certificate first, and its key."""

    cert_file: str
    key_file: str = ""
    key_password: Secret = ""


class KeystoreSettings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A PKCS#12 store. Its key has the store's password."""

    store_file: str
    store_password: Secret = ""
    key_alias: str = ""


class X509Settings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Certificates: the server's own, whether clients need one, and how it names a device.

    ``naming``: the first of these that the certificate has. ``provisionDevices`` False admits only devices
    that have a credential of type ``x509`` in the registry.
    """

    pem: PemSettings | None = None
    keystore: KeystoreSettings | None = None
    client_certificates: Literal["none", "optional", "required"] = "required"
    trust_anchors: list[str] = []
    skip_validity_check_for_client_cert: bool = False
    naming: list[Naming] = field(default_factory=lambda: ["sanUri", "cn"])
    provision_devices: bool = True

    def __post_init__(self) -> None:
        if (self.pem is None) == (self.keystore is None):
            raise ValueError("expected either pem or keystore")
        if self.client_certificates != "none" and not self.trust_anchors:
            raise ValueError("trustAnchors: client certificates need at least one file of trust anchors")

    @property
    def own_files(self) -> list[str]:
        """The files of the server's certificate and key."""
        if self.keystore is not None:
            return [self.keystore.store_file]
        assert self.pem is not None
        return [path for path in (self.pem.cert_file, self.pem.key_file) if path]


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
    """A DTLS listener.

    ``maxSessions``: an idle session takes about 70 kB. ``mtu`` is the most bytes of UDP payload; the default
    fits IPv6's smallest link. ``addressChange``: how many sessions of the same IP address are tried for a
    record from an unknown port; 0 switches it off. ``resumption``: a returning device may skip key exchange.
    """

    psk: bool = True
    x509: X509Settings | None = None
    prefer: Literal["psk", "x509"] = "psk"
    preset: Literal["lobaro", "rfc6347", "rfc7925"] = "lobaro"
    handshake_timeout: float | None = None
    flight_interval: float | None = None
    idle_timeout: float | None = None
    max_handshakes: int = 1000
    max_sessions: int = 10000
    mtu: int = 1232
    address_change: int = 0
    resumption: bool = False

    def __post_init__(self) -> None:
        if not self.psk and self.x509 is None:
            raise ValueError("expected psk, x509 or both")
        if not 256 <= self.mtu <= 16384:
            raise ValueError(f"mtu: expected 256 to 16384, got {self.mtu}")
        if not 0 <= self.address_change <= 64:
            raise ValueError(f"addressChange: expected 0 to 64, got {self.address_change}")
        if self.max_handshakes < 1 or self.max_sessions < 1:
            raise ValueError("maxHandshakes and maxSessions: expected at least 1")

    @property
    def timings(self) -> Timings:
        """The preset's timings with what is set one by one."""
        preset = PRESETS[self.preset]
        return Timings(
            preset.handshake_timeout if self.handshake_timeout is None else self.handshake_timeout,
            preset.flight_interval if self.flight_interval is None else self.flight_interval,
            preset.idle_timeout if self.idle_timeout is None else self.idle_timeout,
        )
