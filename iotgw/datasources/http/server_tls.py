"""TLS of a listener from certificate files. They are read again when they change: a renewed certificate is used
for new connections, and existing ones go on undisturbed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Meta, Struct
from OpenSSL import SSL
from OpenSSL.crypto import X509, PKey
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from iotgw.core.errors import SettingsError


class ServerTls(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Certificate files of a listener."""

    certificate: Annotated[str, Meta(description="PEM file with the certificate and its chain.")]
    key: Annotated[str, Meta(description="PEM file with the private key.")]


@implementer(IOpenSSLContextFactory)
class FileContext:
    """A context factory that Twisted asks for each connection. Raises SettingsError when created from invalid
    files. If files become invalid later, that is reported, and the last valid ones stay in use."""

    def __init__(self, settings: ServerTls, report: Callable[[str], None]) -> None:
        self._settings = settings
        self._report = report
        self._marks = self._look()
        self._context = self._load()

    def getContext(self) -> SSL.Context:
        """The context for the files as they are now."""
        marks = self._look()
        if marks != self._marks:
            self._marks = marks
            try:
                self._context = self._load()
            except SettingsError as error:
                self._report(f"the old certificate stays in use: {error}")
            else:
                self._report("the certificate was reloaded")
        return self._context

    def _look(self) -> tuple[Any, ...]:
        """A stamp that changes when one of the files does."""
        marks: list[Any] = []
        for path in (self._settings.certificate, self._settings.key):
            try:
                stat = Path(path).stat()
                marks.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                marks.append(None)
        return tuple(marks)

    def _load(self) -> SSL.Context:
        settings = self._settings
        try:
            chain = x509.load_pem_x509_certificates(Path(settings.certificate).read_bytes())
        except (OSError, ValueError) as error:
            raise SettingsError("configuration.tls.certificate", f"expected a PEM file: {error}") from error
        try:
            key: Any = load_pem_private_key(Path(settings.key).read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise SettingsError(
                "configuration.tls.key", f"expected a PEM file without password: {error}"
            ) from error
        if key.public_key() != chain[0].public_key():
            raise SettingsError("configuration.tls.key", "the private key doesn't belong to the certificate")
        options = CertificateOptions(
            privateKey=PKey.from_cryptography_key(key),
            certificate=X509.from_cryptography(chain[0]),
            extraCertChain=[X509.from_cryptography(each) for each in chain[1:]],
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        return options.getContext()


class TlsFactory(TLSMemoryBIOFactory):
    """TLS around a factory; a connection that the factory refuses is closed."""

    noisy = False

    def __init__(self, context: FileContext, inner: Any) -> None:
        super().__init__(context, False, inner)
        self._inner = inner

    def buildProtocol(self, addr: Any) -> Any:
        """See IProtocolFactory."""
        protocol = self._inner.buildProtocol(addr)
        return None if protocol is None else self.protocol(self, protocol)
