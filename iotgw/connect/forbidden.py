"""Networks that are forbidden: the gateway never connects there, whatever the host name. Link-local addresses and clouds'
metadata services are, unless the operator allows them; the operator forbids others.

A name may resolve to another address the next time, so the address is checked for every connection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
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
Net = TypeVar("Net", ipaddress.IPv4Network, ipaddress.IPv6Network)

NAMED = {
    "loopback": ("127.0.0.0/8", "::1/128", "0.0.0.0/32", "::/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    "metadata": (
        "100.100.100.200/32", "fd00:100::100:200/128",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure's WireServer, a public address that only its machines reach
        "192.0.0.192/32", "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud
        "fd00:ec2::/32",  # AWS: instance metadata, EKS Pod Identity, DNS
        "fd20:ce::254/128",  # Google Cloud
        "fd00:42::42/128",  # Scaleway
        "fd00:a9fe:a9fe::1/128",  # Akamai
    ),
}  # fmt: skip
"""What an operator may forbid or allow by name. ``metadata`` are the services that give a cloud's machine its credentials,
where they are not link-local."""

ALWAYS = ("link-local", "metadata")
"""What is forbidden unless the operator allows it: nothing there is meant for anybody but the machine itself."""

_MAPPED = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible (RFC 4291 §2.5.5.1)
        "::ffff:0:0/96",  # mapped (RFC 4291 §2.5.5.2)
        "::ffff:0:0:0/96",  # translated (RFC 2765 §2.1)
        "64:ff9b::/96",  # NAT64 (RFC 6052 §2.1)
        "64:ff9b:1::/48",  # NAT64 of one's own (RFC 8215), with a prefix of 96 bits
    )
)
"""IPv6 networks whose addresses stand for the IPv4 address in the last four bytes."""
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")


def effective(forbid: Iterable[str], allow: Iterable[str] = ()) -> tuple[Network, ...]:
    """What may not be connected to: what `ALWAYS` and ``forbid`` say, without what ``allow`` does. Raises SettingsError."""
    found = networks([*ALWAYS, *forbid])
    for hole in networks(allow, "allow"):
        found = tuple(left for network in found for left in _without(network, hole))
    return found


def _without(network: Network, hole: Network) -> Iterable[Network]:
    if isinstance(network, ipaddress.IPv4Network) and isinstance(hole, ipaddress.IPv4Network):
        return _remainder(network, hole)
    if isinstance(network, ipaddress.IPv6Network) and isinstance(hole, ipaddress.IPv6Network):
        return _remainder(network, hole)
    return (network,)


def _remainder(network: Net, hole: Net) -> Iterable[Net]:
    if not network.overlaps(hole):
        return (network,)
    return () if network.subnet_of(hole) else network.address_exclude(hole)


def networks(texts: Iterable[str], setting: str = "forbid") -> tuple[Network, ...]:
    """Names of `NAMED` and CIDR texts as networks. Raises SettingsError."""
    found: list[Network] = []
    for text in texts:
        for one in NAMED.get(text, (text,)):
            try:
                found.append(ipaddress.ip_network(one, strict=False))
            except ValueError as error:
                names = ", ".join(NAMED)
                raise SettingsError(
                    setting, f"expected {names} or a network like 10.0.0.0/8, got {text!r}"
                ) from error
    return tuple(found)


def is_forbidden(host: str, forbidden: Sequence[Network]) -> bool:
    """Whether an address (text, perhaps with a zone such as ``%eth0``) lies in one of the networks.

    An IPv6 address that represents an IPv4 address is checked as both.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    meant: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        meant += _represented(address)
    return any(one in network for one in meant for network in forbidden)


def _represented(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address may lead to."""
    found: list[ipaddress.IPv4Address] = []
    if address.sixtofour is not None:  # RFC 3056
        found.append(address.sixtofour)
    if address.teredo is not None:  # RFC 4380: the server and the client
        found += address.teredo
    raw = address.packed
    if any(address in network for network in _MAPPED):
        found.append(ipaddress.IPv4Address(raw[12:]))
    if (
        address in _LOCAL_NAT64
    ):  # with a prefix of 48, 56 or 64 bits; byte 8 is not of the address (RFC 6052 §2.2)
        found += [ipaddress.IPv4Address((raw[at:8] + raw[9:])[:4]) for at in (6, 7, 8)]
    if raw[8:12] in (b"\0\0\x5e\xfe", b"\2\0\x5e\xfe"):  # ISATAP (RFC 5214 §6.1)
        found.append(ipaddress.IPv4Address(raw[12:]))
    return found


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


def addresses(reactor: IReactor, host: str, port: int, forbidden: Sequence[Network]) -> Deferred[list[str]]:
    """The addresses of a host that may be connected to, those of IPv4 first. Fails with `Forbidden`, or with DNSLookupError
    where there is none."""
    found: Deferred[list[str]] = Deferred()
    resolver = _Sieve(reactor.nameResolver, forbidden)
    resolver.resolveHostName(_Collecting(found, resolver.refused, host), host, port)
    return found


def expect_allowed(host: str, spelled_out: Sequence[str], forbidden: Sequence[Network]) -> None:
    """Raise `Forbidden` where the addresses that a host's name spells out are forbidden."""
    if spelled_out and all(is_forbidden(each, forbidden) for each in spelled_out):
        raise Forbidden(host, spelled_out)


@implementer(IResolutionReceiver)
class _Collecting:
    """Gathers what a resolver finds."""

    def __init__(self, found: Deferred[list[str]], refused: Sequence[str], host: str) -> None:
        self._found = found
        self._refused = refused
        self._host = host
        self._addresses: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """See `IResolutionReceiver`."""

    def addressResolved(self, address: Any) -> None:
        """See `IResolutionReceiver`."""
        if address.host not in self._addresses:
            self._addresses.append(address.host)

    def resolutionComplete(self) -> None:
        """See `IResolutionReceiver`."""
        if self._found.called:
            return
        if self._addresses:
            self._found.callback(sorted(self._addresses, key=lambda each: ":" in each))
        elif self._refused:
            self._found.errback(Forbidden(self._host, self._refused))
        else:
            self._found.errback(DNSLookupError(f"no results for hostname lookup: {self._host}"))


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
