"""How a target is reached: name, port, TLS, and which addresses an operator forbids."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet import ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IOpenSSLClientConnectionCreator,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from iotgw.core.errors import SettingsError, Unavailable
from iotgw.core.secrets import Secret

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAMED = {
    "loopback": ("127.0.0.0/8", "::1/128", "0.0.0.0/32", "::/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
}
"""What an operator may forbid by name."""


PROBLEMS = {
    9: "is not valid yet", 10: "has expired", 18: "is self-signed and not trusted",
    19: "comes from an authority that is not trusted", 20: "comes from an authority that is not trusted",
    21: "comes from an authority that is not trusted", 23: "is revoked", 26: "is not for this purpose",
    66: "has too weak a key",
}  # fmt: skip
"""X509_V_ERR_… of OpenSSL (x509_vfy.h), as what a person can act on."""


class Tls(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """TLS towards a target. All three are PEM text."""

    ca: Annotated[str, Meta(description="Certificates to trust instead of the system's.")] = ""
    certificate: Annotated[
        str, Meta(description="Our certificate, with its chain, where the target asks for one.")
    ] = ""
    key: Annotated[Secret, Meta(description="The private key of `certificate`.")] = ""
    server_name: Annotated[
        str, Meta(description="The name to expect in the target's certificate; its host name when empty.")
    ] = ""


def in_words(failure: Failure) -> str:
    """Why a connection failed, in one line for a person."""
    error = failure.value
    if isinstance(error, SSL.Error):
        reasons = [
            item[-1] for item in (error.args[0] if error.args and isinstance(error.args[0], list) else [])
        ]
        return f"TLS: {', '.join(filter(None, reasons)) or 'the connection broke'}"
    return failure.getErrorMessage() or type(error).__name__


def networks(forbidden: Iterable[str]) -> tuple[Network, ...]:
    """Names of `NAMED` and CIDR texts as networks; raises SettingsError."""
    found: list[Network] = []
    for text in forbidden:
        for one in NAMED.get(text, (text,)):
            try:
                found.append(ipaddress.ip_network(one, strict=False))
            except ValueError:
                names = ", ".join(NAMED)
                raise SettingsError("forbid", f"expected {names} or a network like 10.0.0.0/8, got {text!r}")
    return tuple(found)


@implementer(IOpenSSLClientConnectionCreator)
class _Explaining:
    """Verifies as Twisted does, and says why a certificate is refused: OpenSSL by itself says only
    "certificate verify failed"."""

    def __init__(self, options: Any, host: str) -> None:
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


def context_of(tls: Tls, host: str) -> Any:
    """What `wrapClientTLS` needs: certificates are verified, always. Raises SettingsError."""
    try:
        trust = None
        if tls.ca:
            blocks = [
                ssl.Certificate.loadPEM(f"{block}-----END CERTIFICATE-----\n".encode())
                for block in tls.ca.split("-----END CERTIFICATE-----")
                if "BEGIN CERTIFICATE" in block
            ]
            if not blocks:
                raise SettingsError("tls.ca", "expected PEM certificates, found none")
            trust = ssl.trustRootFromCertificates(blocks)
        own = None
        if tls.certificate:
            own = ssl.PrivateCertificate.loadPEM(f"{tls.certificate}\n{tls.key}")
        name = tls.server_name or host
        options = ssl.optionsForClientTLS(name, trustRoot=trust or ssl.platformTrust(), clientCertificate=own)
        return _Explaining(options, name)
    except (SSL.Error, ValueError) as error:
        raise SettingsError("tls", f"expected PEM certificates and key, got something else ({error})")


def endpoint(
    reactor: Any, host: str, port: int, tls: Tls | None, timeout: float, forbidden: Sequence[Network] = ()
) -> Any:
    """A Twisted client endpoint for a target. Names resolve off the reactor; ``timeout`` in seconds."""
    plain: Any
    if forbidden:
        plain = _Guarded(reactor, host, port, timeout, forbidden)
    else:
        plain = HostnameEndpoint(reactor, host, port, timeout=timeout)
    return plain if tls is None else wrapClientTLS(context_of(tls, host), plain)


class Forbidden(ConnectError):
    """The target's name leads to an address that the operator forbids."""

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        super().__init__()
        self._said = f"{host} leads to {', '.join(addresses)}, which is forbidden here"

    def __str__(self) -> str:
        return self._said


@implementer(IStreamClientEndpoint)
class _Guarded:
    """Connects to a name, but not to addresses that are forbidden.

    A name may lead elsewhere on the next look, so it is the address that is judged, each time.
    """

    def __init__(
        self, reactor: Any, host: str, port: int, timeout: float, forbidden: Sequence[Network]
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._timeout = timeout
        self._forbidden = forbidden

    def connect(self, protocolFactory: Any) -> Any:
        """See `IStreamClientEndpoint`; fails with `Forbidden`."""
        resolver = _Sieve(self._reactor.nameResolver, self._forbidden)
        reactor = _WithResolver(self._reactor, resolver)
        directlyProvides(reactor, providedBy(self._reactor), IReactorPluggableNameResolver)

        def judged(failure: Failure) -> Failure:
            failure.trap(DNSLookupError)
            return Failure(Forbidden(self._host, resolver.refused)) if resolver.refused else failure

        made = HostnameEndpoint(reactor, self._host, self._port, timeout=self._timeout)
        return made.connect(protocolFactory).addErrback(judged)


class _WithResolver:
    """A reactor with another resolver."""

    def __init__(self, reactor: Any, resolver: Any) -> None:
        self._reactor = reactor
        self.nameResolver = resolver

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


@implementer(IHostnameResolver)
class _Sieve:
    """Resolves names, and lets only addresses through that aren't forbidden."""

    def __init__(self, resolver: Any, forbidden: Sequence[Network]) -> None:
        self._resolver = resolver
        self._forbidden = forbidden
        self.refused: list[str] = []

    def resolveHostName(  # type: ignore[override]
        self, receiver: Any, host: str, *args: Any, **kwargs: Any
    ) -> Any:
        """See `IHostnameResolver`."""
        return self._resolver.resolveHostName(_Judge(receiver, self._judge), host, *args, **kwargs)

    def _judge(self, host: str) -> bool:
        ip = ipaddress.ip_address(host.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if any(ip in network for network in self._forbidden):
            self.refused.append(host)
            return False
        return True


class _Judge(proxyForInterface(IResolutionReceiver, "receiver")):  # type: ignore[misc]
    """Passes on the addresses that ``judge`` lets through."""

    def __init__(self, receiver: Any, judge: Callable[[str], bool]) -> None:
        super().__init__(receiver)
        self._judge = judge

    def addressResolved(self, address: Any) -> None:
        """One address."""
        if self._judge(address.host):
            self.receiver.addressResolved(address)
