"""A broker in a test's hands: an endpoint in memory, whose connections say what the test writes."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

CONNACK = b"\x20\x02\x00\x00"
CONNACK_WITH_SESSION = b"\x20\x02\x01\x00"
PINGREQ = b"\xc0\x00"
BYE = b"\xe0\x00"


def publish(topic: str, payload: bytes, id_: int = 0, qos: int = 1, duplicate: bool = False) -> bytes:
    """A PUBLISH of fewer than 16,384 bytes."""
    body = len(topic).to_bytes(2, "big") + topic.encode()
    body += (id_.to_bytes(2, "big") if qos else b"") + payload
    length = (len(body),) if len(body) < 128 else (len(body) & 127 | 128, len(body) >> 7)
    return bytes((0x30 | qos << 1 | duplicate << 3, *length)) + body


class Wire(StringTransport):
    """One connection, seen by the broker."""

    def setTcpNoDelay(self, enabled):
        pass

    def abortConnection(self):
        self.lose(ConnectionAborted())

    def loseConnection(self):
        self.lose(ConnectionDone())

    def lose(self, why=None):
        if not self.disconnected:
            self.disconnected = True
            self.client.connectionLost(Failure(why or ConnectionLost()))

    def say(self, data: bytes) -> bytes:
        """Have the client hear something; returns what it says."""
        self.clear()
        self.client.dataReceived(data)
        return self.value()

    def heard(self) -> bytes:
        """What the client has said since the last call."""
        data = self.value()
        self.clear()
        return data

    @property
    def is_read(self) -> bool:
        return self.producerState == "producing"


@implementer(IStreamClientEndpoint)
class Broker:
    """Takes connections while ``is_there``."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.is_there = True
        self.wires: list[Wire] = []

    def connect(self, factory) -> Deferred:
        if not self.is_there:
            return fail(ConnectionRefusedError())
        wire = Wire()
        wire.protocol = None
        client = factory.buildProtocol(None)
        wire.client = client
        self.wires.append(wire)
        client.makeConnection(wire)
        return succeed(client)

    @property
    def wire(self) -> Wire:
        """The latest connection."""
        return self.wires[-1]

    def wait(self, seconds: float) -> None:
        """A second at a time, as the client looks at its clock."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
