"""The server's certificate chain and key, and trust anchors, in PEM or PKCS#12.

Whoever edits a datasource may name files, and must not learn from an error which of them exist. So each setting has one
error, whatever is wrong with what it names.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12
from msgspec import Struct

from iotgw.core.errors import SettingsError
from iotgw.core.pem import LARGEST_RSA, WHERE, Files, content, is_pem
from iotgw.dtls.settings import KeystoreSettings, PemSettings
from iotgw.wire.dtls.suites import SuiteKind

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class ServerCertificate(Struct, frozen=True):
    """A certificate with its chain (nearest issuer first) and its private key."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey

    @property
    def kind(self) -> SuiteKind:
        """Which suites the key can serve."""
        return SuiteKind.ECDSA if isinstance(self.key, ec.EllipticCurvePrivateKey) else SuiteKind.RSA


def load_pem(pem: PemSettings, files: Files) -> ServerCertificate:
    """A chain (server's own certificate first) and a key. Raises SettingsError."""
    chain = _certificates(pem.cert_file, files, "pem.certFile")
    where = "pem.keyFile" if pem.key_file else "pem.certFile"
    key = private_key(pem.key_file or pem.cert_file, files, where, pem.key_password)
    return _checked(chain[0], tuple(chain[1:]), key, where)


def load_pkcs12(keystore: KeystoreSettings, files: Files) -> ServerCertificate:
    """The key and chain of a PKCS#12 store; the alias must be the entry's friendly name, when given. Raises
    SettingsError."""
    expected = "expected the name of a PKCS#12 store in the operator's directory, with a key that storePassword opens"
    try:
        store = pkcs12.load_pkcs12(
            files.get(keystore.store_file, b""), keystore.store_password.encode() or None
        )
    except ValueError as error:
        raise SettingsError("keystore.storeFile", expected) from error
    if store.cert is None or store.key is None:
        raise SettingsError("keystore.storeFile", expected)
    name, alias = (store.cert.friendly_name or b"").decode(errors="replace"), keystore.key_alias
    if alias and alias.lower() != name.lower():  # Java's keystores don't tell case either
        raise SettingsError("keystore.keyAlias", f"the store's key is called {name!r}, not {alias!r}")
    chain = tuple(entry.certificate for entry in store.additional_certs)
    key = _fitting(store.key, "keystore.storeFile")
    return _checked(store.cert.certificate, chain, key, "keystore.storeFile")


def public_key(certificate: x509.Certificate) -> object:
    """A certificate's key; None for one of a kind that nobody here knows."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def load_anchors(texts: Iterable[str], files: Files) -> tuple[x509.Certificate, ...]:
    """The certificates of PEM texts and files; raises SettingsError."""
    found: list[x509.Certificate] = []
    for text in texts:
        found += _certificates(text, files, "trustAnchors")
    return tuple(found)


def private_key(text: str, files: Files, setting: str, password: str = "") -> PrivateKey:
    """A private key. ``password`` opens those in files; PEM text isn't encrypted, as a setting is by itself. Raises
    SettingsError."""
    # Opening an encrypted key takes as long as whoever wrote it likes, and so does looking for prime factors.
    given = None if is_pem(text) else password.encode() or None
    try:
        key = load_pem_private_key(content(text, files), given, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        how = "that isn't encrypted (in a file, one that the password opens)"
        raise SettingsError(setting, f"expected a private key {how}, {WHERE}") from error
    return _fitting(key, setting)


def _fitting(key: object, setting: str) -> PrivateKey:
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise SettingsError(setting, f"expected an EC or RSA key, got {type(key).__name__}")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size > LARGEST_RSA:
        raise SettingsError(setting, f"expected an RSA key of at most {LARGEST_RSA} bits, got {key.key_size}")
    return key


def _certificates(text: str, files: Files, setting: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content(text, files))
    except ValueError as error:
        raise SettingsError(setting, f"expected certificates, {WHERE}") from error


def _checked(
    certificate: x509.Certificate, chain: tuple[x509.Certificate, ...], key: PrivateKey, setting: str
) -> ServerCertificate:
    if key.public_key() != public_key(certificate):
        raise SettingsError(setting, "the private key doesn't belong to the certificate")
    return ServerCertificate(certificate, chain, key)
