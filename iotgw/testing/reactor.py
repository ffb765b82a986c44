"""A reactor in memory: its clock stands still until a test advances it, and no port or connection is real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from iotgw.core.ports.reactor import IReactor

START = 1_795_262_400.0
"""When a test's clock begins, in seconds since 1970: 2026-11-21T12:00:00Z."""


def clock() -> Clock:
    """A clock that stands at `START`."""
    made = Clock()
    made.rightNow = START
    return made


@implementer(IListeningPort, IUDPTransport)
class MemoryDatagramPort:
    """A UDP port without a socket: ``sent`` are the datagrams that left, each with its address."""

    def __init__(self, port: int, interface: str) -> None:
        self.host = IPv4Address("UDP", interface or "0.0.0.0", port)
        self.sent: list[tuple[bytes, tuple[str, int] | None]] = []
        self.connected: tuple[str, int] | None = None
        self.closed = False
        self.broadcast = False

    def getHost(self) -> IPv4Address:
        """Where it listens."""
        return self.host

    def write(self, packet: bytes, addr: tuple[str, int] | None = None) -> None:
        """Send a datagram."""
        self.sent.append((packet, addr or self.connected))

    def connect(self, host: str, port: int) -> None:
        """Send to this address where none is said."""
        self.connected = (host, port)

    def startListening(self) -> None:
        """It listens already."""

    def stopListening(self) -> Deferred[None]:
        """Close it."""
        self.closed = True
        return succeed(None)

    def getBroadcastAllowed(self) -> bool:
        """Whether it may broadcast."""
        return self.broadcast

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """Allow or forbid broadcasts."""
        self.broadcast = enabled


@implementer(IReactor)
class MemoryReactor(MemoryReactorClock):
    """Twisted's `MemoryReactorClock` with datagrams and threads, at `START`.

    ``tcpServers`` and ``tcpClients`` are what was asked for, as there; ``udpPorts`` are pairs of the protocol and its
    `MemoryDatagramPort`. A call for a thread runs at once, in this one. Processes are not started: that raises.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = START
        self.udpPorts: list[tuple[DatagramProtocol, MemoryDatagramPort]] = []

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> MemoryDatagramPort:
        """Bind a port in memory; a test hands datagrams to ``protocol.datagramReceived``."""
        made = MemoryDatagramPort(port, interface)
        self.udpPorts.append((protocol, made))
        protocol.makeConnection(made)
        return made

    def listenMulticast(
        self,
        port: int,
        protocol: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = 8192,
        listenMultiple: bool = False,
    ) -> Any:
        """Not here."""
        raise NotImplementedError("the reactor in memory has no multicast; use the real one")

    def callInThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Run it now."""
        callable(*args, **kwargs)

    def callFromThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Run it now."""
        callable(*args, **kwargs)

    def getThreadPool(self) -> Any:
        """There is none."""
        raise NotImplementedError("the reactor in memory has no threads; use the real one")

    def suggestThreadPoolSize(self, size: int) -> None:
        """There is none."""

    def spawnProcess(
        self,
        processProtocol: Any,
        executable: Any,
        args: Any = (),
        env: Any = None,
        path: Any = None,
        uid: Any = None,
        gid: Any = None,
        usePTY: Any = False,
        childFDs: Any = None,
    ) -> Any:
        """Not here."""
        raise NotImplementedError("the reactor in memory starts no processes; use the real one")
