"""TLS of a listener from a certificate and its key. Where they are files, they are read again when they change: a renewed
certificate is used for new connections, and existing ones go on undisturbed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from cryptography import x509
from msgspec import Meta, Struct
from OpenSSL import SSL
from OpenSSL.crypto import X509, PKey
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from iotgw.core.errors import SettingsError
from iotgw.core.pem import WHERE, Files, Pem, SecretPem, content, names
from iotgw.dtls.certificate import private_key, public_key


class ServerTls(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A listener's certificate and key, each as PEM text, or as the name of a file in the operator's directory of
    certificates."""

    certificate: Annotated[Pem, Meta(description="The certificate and its chain.")]
    key: Annotated[SecretPem, Meta(description="The private key, not encrypted.")]

    @property
    def files(self) -> list[str]:
        """The names of the files."""
        return names([self.certificate, self.key])


@implementer(IOpenSSLContextFactory)
class RenewableContext:
    """A context factory that Twisted asks for each connection; ``files`` are the contents of those that the settings name.
    Raises SettingsError when created from invalid ones. If they become invalid later, that is reported, and the last valid
    ones stay in use."""

    def __init__(self, settings: ServerTls, files: Files, report: Callable[[str], None]) -> None:
        self._settings = settings
        self._report = report
        self._files = files
        self._context = self._load(files)

    def getContext(self) -> SSL.Context:
        """The context of the last valid files."""
        return self._context

    def renew(self, files: Files) -> None:
        """Take the files' present contents."""
        if files == self._files:
            return
        self._files = files
        try:
            self._context = self._load(files)
        except SettingsError as error:
            self._report(f"the old certificate stays in use: {error}")
        else:
            self._report("the certificate was reloaded")

    def _load(self, files: Files) -> SSL.Context:
        settings = self._settings
        try:
            chain = x509.load_pem_x509_certificates(content(settings.certificate, files))
        except ValueError as error:
            raise SettingsError("configuration.tls.certificate", f"expected certificates, {WHERE}") from error
        key = private_key(settings.key, files, "configuration.tls.key")
        if key.public_key() != public_key(chain[0]):
            raise SettingsError("configuration.tls.key", "the private key doesn't belong to the certificate")
        options = CertificateOptions(
            privateKey=PKey.from_cryptography_key(key),
            certificate=X509.from_cryptography(chain[0]),
            extraCertChain=[X509.from_cryptography(each) for each in chain[1:]],
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        try:
            context: SSL.Context = options.getContext()
        except (SSL.Error, ValueError) as error:
            raise SettingsError("configuration.tls", "expected a certificate and a key for TLS") from error
        return context


class TlsFactory(TLSMemoryBIOFactory):
    """TLS around a factory; a connection that the factory refuses is closed."""

    noisy = False

    def __init__(self, context: RenewableContext, inner: Any) -> None:
        super().__init__(context, False, inner)
        self._inner = inner

    def buildProtocol(self, addr: Any) -> Any:
        """See IProtocolFactory."""
        protocol = self._inner.buildProtocol(addr)
        return None if protocol is None else self.protocol(self, protocol)
