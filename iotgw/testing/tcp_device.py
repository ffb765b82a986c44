"""A device on a TCP listener, without a socket."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocolFactory
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure


class FakeTcpDevice:
    """Connects to a listener's factory, sends, reads the answers, and disconnects."""

    def __init__(self, factory: IProtocolFactory, host: str = "192.0.2.7", port: int = 40_000) -> None:
        address = IPv4Address("TCP", host, port)
        protocol = factory.buildProtocol(address)
        if protocol is None:
            raise ConnectionRefusedError("the listener takes no more connections")
        self.transport = StringTransport(peerAddress=address)
        self.protocol = protocol
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes, size: int = 0) -> None:
        """Send bytes, all at once or in pieces of a size."""
        for start in range(0, len(data), size or max(1, len(data))):
            self.protocol.dataReceived(data[start : start + (size or len(data))])

    def read(self) -> bytes:
        """The bytes received since the last call."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    @property
    def is_closed(self) -> bool:
        """Whether the gateway closed the connection."""
        return bool(self.transport.disconnecting or self.transport.disconnected)

    @property
    def is_paused(self) -> bool:
        """Whether the gateway doesn't read."""
        return self.transport.producerState == "paused"

    def half_close(self) -> None:
        """Close the sending side, and go on reading."""
        IHalfCloseableProtocol(self.protocol).readConnectionLost()

    def hang_up(self) -> None:
        """Close the connection."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def vanish(self) -> None:
        """Lose the connection."""
        self.protocol.connectionLost(Failure(ConnectionLost()))
