"""What all TCP datasources share: a port, its settings, and the limits of its connections.

A connection that sends nothing, or the start of a frame and no end, is closed after ``idleTimeout``.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import ServerFactory
from zope.interface import implementer

from iotgw.core.allowance import Allowance
from iotgw.core.descriptors import are_few
from iotgw.core.networks import NOT_ALLOWED, Networks
from iotgw.core.ports.datasources import DatasourceContext, IDatasource
from iotgw.core.urls import url
from iotgw.datasources.sampling import SampledEvents
from iotgw.datasources.socket.connection import DeviceConnection, StreamSession

Seconds = Annotated[float, Meta(gt=0)]

KEPT = 30
"""Rejected frames kept per address and minute; a flood of garbage must not fill the journal."""


class StreamSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of every TCP datasource. Times are seconds, sizes bytes."""

    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port.")]
    interface: Annotated[
        str,
        Meta(description="Address to listen on: `0.0.0.0` is all of IPv4, `::` all of IPv6 and IPv4."),
    ] = "0.0.0.0"
    max_connections: Annotated[
        int, Meta(gt=0, description="Open connections; further ones are closed at once.")
    ] = 10_000
    max_connections_per_address: Annotated[
        int,
        Meta(gt=0, description="The same for one address. Many NB-IoT devices share their operator's few."),
    ] = 2_500
    idle_timeout: Annotated[
        Seconds, Meta(description="A connection without a whole frame for this long is closed.")
    ] = 120.0
    proxy_protocol: Annotated[
        bool,
        Meta(
            description="Expect a PROXY header (version 1 or 2) with the device's address in front of each "
            "connection. Only behind a load balancer that sends it: anybody else could lie."
        ),
    ] = False
    trusted_proxies: Annotated[
        list[str],
        Meta(
            description="Addresses or networks of these load balancers: connections of others are closed. If none is named, everybody who "
            "gets to the port is believed."
        ),
    ] = []

    def __post_init__(self) -> None:
        """Refuse an interface that nothing could listen on, and proxies that are none."""
        ipaddress.ip_address(self.interface.partition("%")[0])
        try:
            Networks(self.trusted_proxies)
        except ValueError as error:
            raise ValueError(str(error).replace("allow", "trustedProxies")) from error
        if self.trusted_proxies and not self.proxy_protocol:
            raise ValueError("trustedProxies: expected `proxyProtocol` beside it")


@implementer(IDatasource)
class StreamSource(ServerFactory):
    """A TCP port with its connections. ``make_session`` makes the part that knows the protocol of one."""

    noisy = False

    def __init__(
        self,
        settings: StreamSettings,
        context: DatasourceContext,
        make_session: Callable[[DeviceConnection], StreamSession],
    ) -> None:
        self.settings = settings
        self._trusted = Networks(settings.trusted_proxies)
        self.context = context
        self.make_session = make_session
        self.counts: Counter[str] = Counter()
        self._connections: dict[DeviceConnection, None] = {}
        self._by_address: Counter[str] = Counter()
        self._counted: dict[DeviceConnection, str] = {}
        self._refusals = SampledEvents(context.reactor, context.intake, "refused")
        self.kept = Allowance(context.reactor, KEPT)
        self.faults = SampledEvents(context.reactor, context.intake, "malformed", "error")
        self._port: IListeningPort | None = None
        self._closed: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> DeviceConnection | None:
        """See IProtocolFactory."""
        if are_few():
            self._note_refused(getattr(addr, "host", ""), "too few files and connections are left")
            return None
        host = getattr(addr, "host", "")
        if self.settings.proxy_protocol:
            if not self._trusted.has(host):
                self._note_refused(host, "it is no trusted proxy")
                return None
        elif not self.allows(host):
            return None
        return DeviceConnection(self)

    # --- limits ---

    def allows(self, host: str) -> bool:
        """Whether a device may have this address."""
        if self.context.allow.has(host):
            return True
        self.counts["refused"] += 1
        self.context.intake.refuse("network", host, NOT_ALLOWED)
        return False

    def count(self, connection: DeviceConnection) -> bool:
        """Note a new connection; False when there are too many."""
        self._connections[connection] = None
        self.counts["accepted"] += 1
        return len(self._connections) <= self.settings.max_connections

    def admit(self, connection: DeviceConnection) -> bool:
        """Note a connection's address; False when the address has too many."""
        host = connection.host
        self._by_address[host] += 1
        self._counted[connection] = host
        return self._by_address[host] <= self.settings.max_connections_per_address

    def gone(self, connection: DeviceConnection) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)
        host = self._counted.pop(connection, None)
        if host is not None:
            self._by_address[host] -= 1
            if not self._by_address[host]:
                del self._by_address[host]
        if not self._connections:
            waiting, self._closed = self._closed, []
            for each in waiting:
                each.callback(None)

    def refused(self, connection: DeviceConnection, reason: str) -> None:
        """Report a refused connection."""
        self._note_refused(connection.host, reason)

    def _note_refused(self, host: str, reason: str) -> None:
        self.counts["refused"] += 1
        self._refusals.note(host, f"refused a connection from {host}: {reason}")

    # --- IDatasource ---

    def start(self) -> Deferred[Any]:
        """Open the port."""
        return maybeDeferred(self._open)

    def _open(self) -> None:
        settings = self.settings
        self._port = self.context.reactor.listenTCP(settings.port, self, 511, settings.interface)

    @property
    def port(self) -> int:
        """The port that was opened; its settings may have said 0."""
        return self._address.port

    @property
    def _address(self) -> IPv4Address | IPv6Address:
        assert self._port is not None
        address = self._port.getHost()
        assert isinstance(address, IPv4Address | IPv6Address)
        return address

    def stop(self) -> Deferred[Any]:
        """Close the port, then the connections; fires when the last one is gone."""
        if self._port is None:
            return succeed(None)
        closing: list[Deferred[Any]] = [maybeDeferred(self._port.stopListening)]
        if self._connections:
            gone: Deferred[None] = Deferred()
            self._closed.append(gone)
            closing.append(gone)
            for connection in list(self._connections):
                connection.abort()
        self._port = None
        return gatherResults(closing, consumeErrors=True)

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`."""
        if self._port is None:
            return {"state": "stopped"}
        host = self._address
        return {
            "state": "listening",
            "address": f"tcp {_bracketed(host.host)}:{host.port}",
            "urls": [url("tcp", host.host, host.port)],
            "connections": len(self._connections),
            **self.counts,
        }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
