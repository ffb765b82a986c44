"""The server's certificate chain and key, and trust anchors, from PEM or PKCS#12 files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12
from msgspec import Struct

from iotgw.core.errors import SettingsError
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


def read(path: str, setting: str) -> bytes:
    """A file's bytes; raises SettingsError at ``setting``."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(setting, f"expected a readable file, got {path!r} ({error.strerror})") from error


def load_pem(cert_file: str, key_file: str, password: str = "") -> ServerCertificate:
    """A chain (server's own certificate first) and a key; ``key_file`` empty means the same file."""
    chain = _certificates(read(cert_file, "pem.certFile"), cert_file, "pem.certFile")
    where = "pem.keyFile" if key_file else "pem.certFile"
    text = read(key_file or cert_file, where)
    try:
        key = load_pem_private_key(text, password.encode() if password else None)
    except (ValueError, TypeError) as error:
        raise SettingsError(where, f"expected a PEM private key that can be read: {error}") from error
    return _checked(chain[0], tuple(chain[1:]), key, where)


def load_pkcs12(store_file: str, password: str, alias: str = "") -> ServerCertificate:
    """The key and chain of a PKCS#12 store; ``alias`` must be the entry's friendly name, when given."""
    try:
        store = pkcs12.load_pkcs12(read(store_file, "keystore.storeFile"), password.encode() or None)
    except ValueError as error:
        raise SettingsError("keystore.storePassword", f"{store_file} does not open: {error}") from error
    if store.cert is None or store.key is None:
        raise SettingsError("keystore.storeFile", f"expected a key with its certificate in {store_file}")
    name = (store.cert.friendly_name or b"").decode(errors="replace")
    if alias and alias.lower() != name.lower():  # Java's keystores don't tell case either
        raise SettingsError("keystore.keyAlias", f"the store's key is called {name!r}, not {alias!r}")
    chain = tuple(entry.certificate for entry in store.additional_certs)
    return _checked(store.cert.certificate, chain, store.key, "keystore.storeFile")


def load_anchors(paths: Iterable[str]) -> tuple[x509.Certificate, ...]:
    """The certificates of PEM files."""
    found: list[x509.Certificate] = []
    for path in paths:
        found += _certificates(read(path, "trustAnchors"), path, "trustAnchors")
    return tuple(found)


def signature(paths: Iterable[str]) -> tuple[tuple[int, int, int], ...]:
    """A value that changes when one of the files does: modification time (ns), size and inode of each."""
    marks = []
    for path in paths:
        try:
            stat = Path(path).stat()
            marks.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
        except OSError:
            marks.append((0, 0, 0))
    return tuple(marks)


def _certificates(text: bytes, path: str, setting: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError as error:
        raise SettingsError(setting, f"expected PEM certificates in {path!r}: {error}") from error


def _checked(
    certificate: x509.Certificate, chain: tuple[x509.Certificate, ...], key: object, setting: str
) -> ServerCertificate:
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise SettingsError(setting, f"expected an EC or RSA key, got {type(key).__name__}")
    if key.public_key() != certificate.public_key():
        raise SettingsError(setting, "the private key doesn't belong to the certificate")
    return ServerCertificate(certificate, chain, key)
