"""A listener behind trusted proxies that begin each connection with a PROXY header (`iotgw.wire.proxy`).

Only a connection of a trusted proxy may begin with one. Such a connection without it is the proxy's own, or that of a program
beside it: whatever comes from a client stands behind the header.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from iotgw.core.trusted_proxies import TrustedProxies, tcp_address
from iotgw.wire import proxy

PATIENCE = 20.0
"""Seconds in which a trusted proxy's connection must begin."""


@implementer(IProtocolFactory)
class ProxiedFactory:
    """Gives the connections of ``proxies`` to ``factory`` as those of the clients that they name. ``refuse(address, message)``
    hears of proxies whose header is none."""

    def __init__(
        self,
        proxies: TrustedProxies,
        refuse: Callable[[str, str], None],
        clock: IReactorTime,
        factory: IProtocolFactory,
    ) -> None:
        self._proxies = proxies
        self.refuse = refuse
        self.clock = clock
        self.inner = factory

    def doStart(self) -> None:
        """See `IProtocolFactory.doStart`."""
        self.inner.doStart()

    def doStop(self) -> None:
        """See `IProtocolFactory.doStop`."""
        self.inner.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """See `IProtocolFactory.buildProtocol`."""
        if not self._proxies.has(str(getattr(addr, "host", ""))):
            return self.inner.buildProtocol(addr)
        return ProxiedConnection(self, addr)


class ProxiedConnection(Protocol):
    """A trusted proxy's connection: a transport for the protocol inside, which begins behind the header."""

    def __init__(self, factory: ProxiedFactory, peer: IAddress) -> None:
        self._factory = factory
        self._peer = peer
        self._inner: Any = None
        self._header = bytearray()
        self._timer: IDelayedCall | None = None
        self._is_over = False

    # --- Twisted ---

    def connectionMade(self) -> None:
        """A proxy connected."""
        directlyProvides(self, providedBy(self.transport))
        self._timer = self._factory.clock.callLater(PATIENCE, self._too_late)

    def dataReceived(self, data: bytes) -> None:
        """Bytes came: the header, or what stands behind it."""
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        if self._is_over:
            return
        self._header += data
        if not proxy.may_begin(self._header):
            self._begin(self._peer, bytes(self._header))
            return
        found = proxy.parse(self._header)
        if isinstance(found, str):
            self._refuse(found)
        elif found is not None:
            client = tcp_address(found.host, found.port) if found.host else self._peer
            self._begin(client, bytes(self._header[found.size :]))

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """The connection is gone."""
        self._stop_waiting()
        self._is_over = True
        if self._inner is not None:
            inner, self._inner = self._inner, None
            inner.connectionLost(reason)

    # --- the transport of the protocol inside ---

    def getPeer(self) -> IAddress:
        """The client's address."""
        return self._peer

    def __getattr__(self, name: str) -> Any:
        """What else a transport can do."""
        return getattr(self.transport, name)

    def _begin(self, client: IAddress, data: bytes) -> None:
        self._stop_waiting()
        self._header.clear()
        self._peer = client
        inner: Any = self._factory.inner.buildProtocol(client)
        if inner is None:
            self._abort()
            return
        self._inner = inner
        inner.makeConnection(self)
        if data and self._inner is not None:
            inner.dataReceived(data)

    def _too_late(self) -> None:
        self._timer = None
        self._refuse("it did not begin")

    def _refuse(self, reason: str) -> None:
        self._factory.refuse(str(getattr(self._peer, "host", "")), f"a trusted proxy's connection: {reason}")
        self._abort()

    def _abort(self) -> None:
        self._stop_waiting()
        self._is_over = True
        self.transport.abortConnection()  # type: ignore[union-attr]

    def _stop_waiting(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
