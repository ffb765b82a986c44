"""Networks that an operator forbids: the gateway never connects there, whatever the host name.

A name may resolve to another address the next time, so the address is checked for every connection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.errors import SettingsError
from iotgw.core.ports.reactor import IReactor

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAMED = {
    "loopback": ("127.0.0.0/8", "::1/128", "0.0.0.0/32", "::/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
}
"""What an operator may forbid by name."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""NAT64 prefixes: a translator maps these to the IPv4 address in the last four bytes (RFC 6052 §2.1)."""


def networks(forbid: Iterable[str]) -> tuple[Network, ...]:
    """Names of `NAMED` and CIDR texts as networks. Raises SettingsError."""
    found: list[Network] = []
    for text in forbid:
        for one in NAMED.get(text, (text,)):
            try:
                found.append(ipaddress.ip_network(one, strict=False))
            except ValueError as error:
                names = ", ".join(NAMED)
                raise SettingsError(
                    "forbid", f"expected {names} or a network like 10.0.0.0/8, got {text!r}"
                ) from error
    return tuple(found)


def is_forbidden(host: str, forbidden: Sequence[Network]) -> bool:
    """Whether an address (text, perhaps with a zone such as ``%eth0``) lies in one of the networks.

    An IPv6 address that represents an IPv4 address is checked as both: mapped (RFC 4291 §2.5.5.2), 6to4 (RFC
    3056) and NAT64.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    meant: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        meant += [inner for inner in (address.ipv4_mapped, address.sixtofour) if inner is not None]
        if address in NAT64:
            meant.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return any(one in network for one in meant for network in forbidden)


class Forbidden(ConnectError):
    """The name resolves only to addresses that the operator forbids."""

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        super().__init__()
        self._said = f"{host} leads to {', '.join(addresses)}, which is forbidden here"

    def __str__(self) -> str:
        return self._said


@implementer(IStreamClientEndpoint)
class GuardedEndpoint:
    """Connects to a host by TCP within ``timeout`` seconds, but never to a forbidden address."""

    def __init__(
        self, reactor: IReactor, host: str, port: int, timeout: float, forbidden: Sequence[Network]
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._timeout = timeout
        self._forbidden = forbidden

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`; fails with `Forbidden`."""
        resolver = _Sieve(self._reactor.nameResolver, self._forbidden)

        def judged(failure: Failure) -> Failure:
            failure.trap(DNSLookupError)
            return Failure(Forbidden(self._host, resolver.refused)) if resolver.refused else failure

        reactor = _ResolvingReactor(self._reactor, resolver)
        endpoint = HostnameEndpoint(reactor, self._host, self._port, timeout=self._timeout)
        connecting: Deferred[IProtocol] = endpoint.connect(protocolFactory)
        return connecting.addErrback(judged)


@implementer(IReactorPluggableNameResolver)
class _ResolvingReactor:
    """As much of a reactor as `HostnameEndpoint` uses, with another resolver."""

    def __init__(self, reactor: IReactor, resolver: IHostnameResolver) -> None:
        self.nameResolver = resolver
        self.connectTCP = reactor.connectTCP
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """See `IReactorPluggableNameResolver`."""
        old, self.nameResolver = self.nameResolver, resolver
        return old


@implementer(IHostnameResolver)
class _Sieve:
    """Resolves names, and drops forbidden addresses from the results."""

    def __init__(self, resolver: IHostnameResolver, forbidden: Sequence[Network]) -> None:
        self._resolver = resolver
        self._forbidden = forbidden
        self.refused: list[str] = []

    def resolveHostName(self, resolutionReceiver: Any, hostName: str, *args: Any, **kwargs: Any) -> Any:
        """See `IHostnameResolver`."""
        receiver = _Judge(resolutionReceiver, self._lets_through)
        return self._resolver.resolveHostName(receiver, hostName, *args, **kwargs)

    def _lets_through(self, host: str) -> bool:
        if is_forbidden(host, self._forbidden):
            self.refused.append(host)
            return False
        return True


class _Judge(proxyForInterface(IResolutionReceiver, "receiver")):  # type: ignore[misc]
    """Passes on the addresses for which ``lets_through`` is true."""

    def __init__(self, receiver: Any, lets_through: Callable[[str], bool]) -> None:
        super().__init__(receiver)
        self._lets_through = lets_through

    def addressResolved(self, address: Any) -> None:
        """One address."""
        if self._lets_through(address.host):
            self.receiver.addressResolved(address)
