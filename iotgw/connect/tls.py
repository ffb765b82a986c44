"""TLS as a client: trusted certificates, our own certificate, and why a server's certificate is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet import ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import VerifyError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.errors import SettingsError, Unavailable
from iotgw.core.pem import LARGEST_RSA, Pem, SecretPem
from iotgw.core.ports.connect import ITlsSettings

END = "-----END CERTIFICATE-----"
LARGEST_CA = 512 << 10
"""Characters of CA certificates; those that a system trusts are half of it."""

PROBLEMS = {
    9: "is not valid yet", 10: "has expired", 18: "is self-signed and not trusted",
    19: "comes from an authority that is not trusted", 20: "comes from an authority that is not trusted",
    21: "comes from an authority that is not trusted", 23: "is revoked", 26: "is not for this purpose",
    66: "has too weak a key",
}  # fmt: skip
"""OpenSSL's X509_V_ERR_… (x509_vfy.h) in words that a person can act on."""


class ClientTls(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """TLS towards a server. `ca`, `certificate` and `key` are PEM text."""

    ca: Annotated[
        str, Meta(max_length=LARGEST_CA, description="CA certificates to trust instead of the system's.")
    ] = ""
    certificate: Annotated[
        Pem, Meta(description="Client certificate with its chain, for servers that ask for one.")
    ] = ""
    key: Annotated[SecretPem, Meta(description="The private key of `certificate`.")] = ""
    server_name: Annotated[
        str, Meta(description="Name expected in the server's certificate; empty is the host name.")
    ] = ""


def trust(tls: ITlsSettings | None) -> tuple[str, str] | None:
    """What a server must prove: the authorities that count, and its name if it isn't the host's. Empty is the usual."""
    return None if tls is None else (tls.ca.strip(), tls.server_name)


def connection_creator(
    tls: ITlsSettings, host: str, place: str, alpn: Sequence[str] = ()
) -> IOpenSSLClientConnectionCreator:
    """What `wrapClientTLS` needs. Certificates are verified, always. ``alpn`` are the protocols to offer, the best first.

    ``place`` is the path of these settings; SettingsError is raised with it.
    """
    if "ENCRYPTED" in tls.key:  # OpenSSL would ask for its passphrase on the terminal
        raise SettingsError(f"{place}.key", "expected a private key that isn't encrypted")
    try:
        trust: Any = ssl.platformTrust()
        if tls.ca:
            blocks = [
                ssl.Certificate.loadPEM(f"{block}{END}\n".encode())
                for block in tls.ca.split(END)
                if "BEGIN CERTIFICATE" in block
            ]
            if not blocks:
                raise SettingsError(f"{place}.ca", "expected PEM certificates, found none")
            trust = ssl.trustRootFromCertificates(blocks)
        own = ssl.PrivateCertificate.loadPEM(f"{tls.certificate}\n{tls.key}") if tls.certificate else None
        if own is not None and (bits := own.privateKey.original.bits()) > LARGEST_RSA:
            raise SettingsError(f"{place}.key", f"expected a key of at most {LARGEST_RSA} bits, got {bits}")
        name = tls.server_name or host
        options = ssl.optionsForClientTLS(
            name,
            trustRoot=trust,
            clientCertificate=own,
            acceptableProtocols=[each.encode() for each in alpn] or None,
        )
        return _Explaining(options, name)
    except VerifyError as error:
        raise SettingsError(f"{place}.key", "expected the private key of the certificate") from error
    except (SSL.Error, crypto.Error, ValueError) as error:
        raise SettingsError(
            place, f"expected PEM certificates and key, got something else ({error})"
        ) from error


@implementer(IOpenSSLClientConnectionCreator)
class _Explaining:
    """Verifies as Twisted does, and says why a certificate is refused. OpenSSL by itself says only
    "certificate verify failed"."""

    def __init__(self, options: IOpenSSLClientConnectionCreator, host: str) -> None:
        self._options = options
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        """See `IOpenSSLClientConnectionCreator`."""
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        is_address = isIPAddress(self._host) or isIPv6Address(self._host)
        identity = IPAddress_ID(self._host) if is_address else DNS_ID(self._host.encode("idna").decode())

        def verified(connection: Any, certificate: Any, code: int, depth: int, good: int) -> bool:
            if not good:
                said = PROBLEMS.get(code, f"is refused (code {code})")
                tlsProtocol.failVerification(Failure(Unavailable(f"TLS: the certificate {said}")))
                return False
            if depth == 0:
                try:
                    verify_service_identity(extract_patterns(certificate), [identity], [])
                except (VerificationError, CertificateError):
                    said = f"TLS: the certificate is for another name than {self._host}"
                    tlsProtocol.failVerification(Failure(Unavailable(said)))
                    return False
            return True

        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verified)
        return connection
