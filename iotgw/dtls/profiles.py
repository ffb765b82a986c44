"""A listener's profiles: made from its settings and credentials, and made again when its files change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from msgspec import structs

from iotgw.core.credential import Grant
from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.pem import Files, names
from iotgw.core.ports.credentials import ITenantCredentials
from iotgw.dtls import psk
from iotgw.dtls.certificate import ServerCertificate, load_anchors, load_pem, load_pkcs12
from iotgw.dtls.identity import Identity
from iotgw.dtls.profile import Profile, PskProfile, X509Profile
from iotgw.dtls.settings import DtlsSettings, X509Settings
from iotgw.wire.dtls.suites import SuiteKind

_UNLUCKY = 1024


class ListenerProfiles:
    """The profiles of one listener. ``files`` are the contents of those that its settings name.

    Raises SettingsError for unusable ones, Unavailable for PSK without a binding.
    """

    def __init__(self, settings: DtlsSettings, credentials: ITenantCredentials, files: Files) -> None:
        self._settings = settings
        self._credentials = credentials
        self.generation = 0
        """How often the certificates were loaded: what depends on them looks here."""
        self.files = dict(files)
        """The contents of the files that are in use."""
        self._seen: Files = self.files
        self._turns: OrderedDict[str, int] = OrderedDict()
        self._psk: list[Profile] = []
        self._x509: list[Profile] = []
        self._anchors = list(settings.x509.trust_anchors) if settings.x509 is not None else []
        if settings.psk:
            psk.check()
            self._psk = [
                PskProfile(kind, short, self._keys, lambda: credentials.several, settings.resumption)
                for kind, short in (
                    (SuiteKind.EPHEMERAL_PSK, False),
                    (SuiteKind.PSK, False),
                    (SuiteKind.PSK, True),
                )
            ]
        if settings.x509 is not None:
            self._x509 = self._load(settings.x509, self.files)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._psk + self._x509)

    def choose(self, suites: frozenset[int]) -> Profile | None:
        """The profile for a ClientHello's suites.

        By the preferred authentication; then forward secrecy before none, long tags before short ones. While
        a key is rotated, plain exchanges go first: with those, `KeyTrial` finds which key the device has.
        """
        psk = self._psk
        if psk and self._credentials.several:
            psk = psk[1:] + psk[:1]
        order = psk + self._x509 if self._settings.prefer == "psk" else self._x509 + psk
        return next((profile for profile in order if profile.suites & suites), None)

    def failed(self, identity: Identity) -> None:
        """Prefer the next of this identity's secrets the next time.

        This serves the suites with an ephemeral exchange, where a trial can't tell which one is meant.
        """
        self._turns[identity.name] = self._turns.pop(identity.name, 0) + 1
        if len(self._turns) > _UNLUCKY:
            self._turns.popitem(last=False)

    @property
    def file_names(self) -> list[str]:
        """The files that its certificates come from."""
        x509 = self._settings.x509
        return [] if x509 is None else [*x509.own_files, *names(self._anchors)]

    def trust(self, anchors: list[str], files: Files) -> None:
        """Trust these certificates from the next handshake on; ``files`` are contents that are not known yet. Raises
        SettingsError."""
        x509 = self._settings.x509
        if x509 is None or anchors == self._anchors:
            return
        before, self._anchors = self._anchors, anchors
        known = {**files, **self.files}
        try:
            self._x509 = self._load(x509, known)
        except SettingsError:
            self._anchors = before
            raise
        self._use(known)

    def reread(self, files: Files, event: Callable[..., object]) -> None:
        """Make the X.509 profiles again if a file has changed. Unusable ones are reported, and not used."""
        x509 = self._settings.x509
        if x509 is None or files == self._seen:
            return
        self._seen = files
        try:
            self._x509 = self._load(x509, files)
        except IotgwError as error:
            event("dtls.certificate", f"the files changed, but can't be used: {error}", "error")
        else:
            self._use(files)
            event("dtls.certificate", "the files changed and were read again", "info")

    def _use(self, files: Files) -> None:
        wanted = self.file_names
        self.files = {name: content for name, content in files.items() if name in wanted}
        self._seen = self.files

    def _keys(self, identity: str) -> list[tuple[bytes, Grant]]:
        keys = self._credentials.psk(identity)
        turn = self._turns.get(identity, 0) % len(keys) if keys else 0
        return keys[turn:] + keys[:turn]

    def _load(self, x509: X509Settings, files: Files) -> list[Profile]:
        server = _server_certificate(x509, files)
        anchors = load_anchors(self._anchors, files)
        self.generation += 1
        return [
            X509Profile(
                short_tag=short,
                server=server,
                client_certificates=x509.client_certificates,
                anchors=anchors,
                naming=tuple(x509.naming),
                admit=self._admit,
                skip_validity=x509.skip_validity_check_for_client_cert,
                resumption=self._settings.resumption,
            )
            for short in (False, True)
            # OpenSSL has no RSA suite with an eight-byte tag
            if not short or server.kind is SuiteKind.ECDSA
        ]

    def _admit(self, identity: Identity) -> Identity | None:
        grant = self._credentials.x509(identity.name, identity.fingerprint)
        x509 = self._settings.x509
        if grant is None:
            return identity if x509 is not None and x509.provision_devices else None
        return structs.replace(identity, grant=grant) if grant.enabled else None


def _server_certificate(x509: X509Settings, files: Files) -> ServerCertificate:
    if x509.pem is not None:
        return load_pem(x509.pem, files)
    assert x509.keystore is not None
    return load_pkcs12(x509.keystore, files)
