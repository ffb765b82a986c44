"""How a target is reached: name, port, TLS, and which addresses an operator forbids."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import ssl
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver, IResolutionReceiver
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from iotgw.errors import SettingsError
from iotgw.sealing import Secret

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAMED = {
    "loopback": ("127.0.0.0/8", "::1/128", "0.0.0.0/32", "::/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
}
"""What an operator may forbid by name."""


class Tls(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """TLS towards a target. All three are PEM text."""

    ca: str = ""
    """Certificates to trust instead of the system's."""
    certificate: str = ""
    """Our certificate, with its chain, where the target asks for one."""
    key: Secret = ""
    """The private key of ``certificate``."""
    server_name: str = ""
    """The name to expect in the target's certificate; its host name when empty."""


def in_words(failure: Failure) -> str:
    """Why a connection failed, in one line for a person."""
    error = failure.value
    if isinstance(error, SSL.Error):
        reasons = [
            item[-1] for item in (error.args[0] if error.args and isinstance(error.args[0], list) else [])
        ]
        return f"TLS: {', '.join(filter(None, reasons)) or 'the connection broke'}"
    if isinstance(error, VerificationError):
        names = ", ".join(str(getattr(problem, "mismatched_id", problem)) for problem in error.errors)
        return f"TLS: the certificate is for another name than {names}"
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
        return ssl.optionsForClientTLS(
            tls.server_name or host, trustRoot=trust or ssl.platformTrust(), clientCertificate=own
        )
    except (SSL.Error, ValueError) as error:
        raise SettingsError("tls", f"expected PEM certificates and key, got something else ({error})")


def endpoint(
    reactor: Any, host: str, port: int, tls: Tls | None, timeout: float, forbidden: Sequence[Network] = ()
) -> Any:
    """A Twisted client endpoint for a target. Names resolve off the reactor; ``timeout`` in seconds."""
    plain = HostnameEndpoint(_guard(reactor, forbidden), host, port, timeout=timeout)
    return plain if tls is None else wrapClientTLS(context_of(tls, host), plain)


def _guard(reactor: Any, forbidden: Sequence[Network]) -> Any:
    if not forbidden:
        return reactor

    class Guarded:
        nameResolver = _Filter(reactor.nameResolver, forbidden)

        def __getattr__(self, name: str) -> Any:
            return getattr(reactor, name)

    guarded = Guarded()
    directlyProvides(guarded, providedBy(reactor), IReactorPluggableNameResolver)
    return guarded


@implementer(IHostnameResolver)
class _Filter:
    """Resolves names, and lets through only addresses that aren't forbidden.

    A name may lead elsewhere on the next look, so it is the address that is judged, each time.
    """

    def __init__(self, resolver: Any, forbidden: Sequence[Network]) -> None:
        self._resolver = resolver
        self._forbidden = forbidden

    def resolveHostName(  # type: ignore[override]
        self, receiver: Any, host: str, *args: Any, **kwargs: Any
    ) -> Any:
        forbidden = self._forbidden

        class Sieve(proxyForInterface(IResolutionReceiver, "_to")):  # type: ignore[misc]
            def addressResolved(self, address: Any) -> None:
                ip = ipaddress.ip_address(address.host.partition("%")[0])
                ip = getattr(ip, "ipv4_mapped", None) or ip
                if not any(ip in network for network in forbidden):
                    self._to.addressResolved(address)

        return self._resolver.resolveHostName(Sieve(receiver), host, *args, **kwargs)
