"""A listener's profiles, made from its settings and credentials, and made anew when its files change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Protocol

from iotgw.dtls import psk
from iotgw.dtls.certificate import ServerCertificate, load_anchors, load_pem, load_pkcs12, signature
from iotgw.dtls.identity import Identity
from iotgw.dtls.profile import Profile, PskProfile, X509Profile
from iotgw.dtls.settings import DtlsSettings, X509Settings
from iotgw.errors import IotgwError

_UNLUCKY = 1024


class Credentials(Protocol):
    """What devices may prove themselves with. Asked within handshakes, so it answers at once."""

    def secrets(self, identity: str) -> tuple[bytes, ...]:
        """The secrets of a PSK identity that are good now, the preferred first; empty for an unknown one."""

    def knows(self, identity: Identity) -> bool | None:
        """Whether a certificate's device is registered: None for unknown, False for a disabled one."""


class ListenerProfiles:
    """The profiles of one listener. Raises SettingsError for files that don't serve, Unavailable for PSK
    without a binding."""

    def __init__(self, settings: DtlsSettings, credentials: Credentials) -> None:
        self._settings = settings
        self._credentials = credentials
        self._turns: OrderedDict[str, int] = OrderedDict()
        self._psk: list[Profile] = []
        self._x509: list[Profile] = []
        self._signature: tuple[tuple[int, int, int], ...] = ()
        if settings.psk:
            psk.check()
            self._psk = [PskProfile(short, self._secrets, settings.resumption) for short in (False, True)]
        if settings.x509 is not None:
            self._signature = signature(settings.x509.files)
            self._x509 = self._load(settings.x509)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._psk + self._x509)

    def choose(self, suites: frozenset[int]) -> Profile | None:
        """The profile for a ClientHello's suites: by the preferred authentication, long tags first."""
        by_preference = self._psk + self._x509 if self._settings.prefer == "psk" else self._x509 + self._psk
        return next((profile for profile in by_preference if profile.suites & suites), None)

    def failed(self, identity: Identity) -> None:
        """Prefer the next of this identity's secrets the next time.

        This serves the suites with an ephemeral exchange, where a trial can't tell which one is meant.
        """
        self._turns[identity.name] = self._turns.pop(identity.name, 0) + 1
        if len(self._turns) > _UNLUCKY:
            self._turns.popitem(last=False)

    def reread(self, event: Callable[..., object]) -> None:
        """Make the X.509 profiles anew if a file changed. Bad files are reported, and the old ones stay."""
        x509 = self._settings.x509
        if x509 is None or (now := signature(x509.files)) == self._signature:
            return
        self._signature = now
        try:
            self._x509 = self._load(x509)
        except IotgwError as error:
            event("dtls-certificate", f"changed, but can't be used: {error}", "error")
        else:
            event("dtls-certificate", "read again, as the files changed", "info")

    def _secrets(self, identity: str) -> tuple[bytes, ...]:
        secrets = self._credentials.secrets(identity)
        turn = self._turns.get(identity, 0) % len(secrets) if secrets else 0
        return secrets[turn:] + secrets[:turn]

    def _load(self, x509: X509Settings) -> list[Profile]:
        server = _server_certificate(x509)
        anchors = load_anchors(x509.trust_anchors)
        return [
            X509Profile(
                short_tag=short,
                server=server,
                client_certificates=x509.client_certificates,
                anchors=anchors,
                naming=tuple(x509.naming),
                admits=self._admits,
                skip_validity=x509.skip_validity_check_for_client_cert,
                resumption=self._settings.resumption,
            )
            for short in (False, True)
            # OpenSSL has no RSA suite with an eight-byte tag
            if not short or server.kind.value == "ecdsa"
        ]

    def _admits(self, identity: Identity) -> bool:
        known = self._credentials.knows(identity)
        if known is None:
            return self._settings.x509 is not None and self._settings.x509.provision_devices
        return known


def _server_certificate(x509: X509Settings) -> ServerCertificate:
    if x509.pem is not None:
        return load_pem(x509.pem.cert_file, x509.pem.key_file, x509.pem.key_password)
    assert x509.keystore is not None
    store = x509.keystore
    return load_pkcs12(store.store_file, store.store_password, store.key_alias)
