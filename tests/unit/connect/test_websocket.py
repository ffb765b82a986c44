"""WebSockets as a client, against a server in memory."""

from __future__ import annotations

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from iotgw.connect import websocket
from tests.unit.connect.brokers import Broker


class Inner(Protocol):
    def __init__(self):
        self.received = b""
        self.lost = None

    def dataReceived(self, data):
        self.received += data

    def connectionLost(self, reason=None):
        self.lost = reason


class World:
    """A client that has asked for a WebSocket, and a server that has not answered."""

    def __init__(self, path="/mqtt"):
        self.broker = Broker()
        self.inner = Inner()
        self.results = []
        way = websocket.over(self.broker, self.broker.clock, "h:9001", path, False, "host")
        self.made = way.connect(Factory.forProtocol(lambda: self.inner)).addBoth(self.results.append)
        self.server = ServerProtocol(subprotocols=["mqtt"])
        self.server.receive_data(self.wire.heard())
        (self.request,) = self.server.events_received()

    @property
    def wire(self):
        return self.broker.wire

    def say(self):
        """The server's bytes, one by one; returns what the client says then."""
        return b"".join(self.wire.say(bytes((byte,))) for data in self.server.data_to_send() for byte in data)

    def agree(self):
        self.server.send_response(self.server.accept(self.request))
        self.say()
        return self

    def events(self, data):
        self.server.receive_data(data)
        return self.server.events_received()


def test_it_asks_for_mqtt_at_the_path_and_gives_the_protocol_inside_when_the_server_agrees():
    world = World("/broker?x=1")
    assert isinstance(world.request, Request) and world.request.path == "/broker?x=1"
    assert world.request.headers["Sec-WebSocket-Protocol"] == "mqtt"
    assert world.request.headers["Host"] == "h:9001"
    assert world.results == []
    world.agree()
    assert world.results == [world.inner]
    assert world.broker.clock.getDelayedCalls() == []


def test_bytes_leave_as_one_binary_message_and_come_as_they_are():
    world = World().agree()
    world.wire.clear()
    world.inner.transport.writeSequence([b"ab", b"c"])
    (frame,) = world.events(world.wire.value())
    assert (frame.opcode, bytes(frame.data)) == (Opcode.BINARY, b"abc")
    world.server.send_binary(b"12", fin=False)
    world.server.send_continuation(b"34", fin=True)
    world.say()
    assert world.inner.received == b"1234"


def test_a_ping_is_answered():
    world = World().agree()
    world.server.send_ping(b"x")
    (pong,) = world.events(world.say())
    assert bytes(pong.data) == b"x"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "the server refused the WebSocket: HTTP 404",
        ),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "the server's answer to the WebSocket's request is wrong"),
        (b"\x20\x02\x00\x00\r\n", "the server speaks no HTTP, so no WebSocket can be made there"),
        (b"x" * 20_000, "the server speaks no HTTP, so no WebSocket can be made there"),
    ],
)
def test_a_server_that_does_not_agree_is_left_with_a_reason(answer, said):
    world = World()
    world.wire.say(answer)
    (failure,) = world.results
    assert failure.getErrorMessage() == said and world.wire.disconnected
    assert world.broker.clock.getDelayedCalls() == []


def test_a_server_that_says_nothing_is_left():
    world = World()
    world.broker.wait(16)
    (failure,) = world.results
    assert "did not answer" in failure.getErrorMessage() and world.wire.disconnected


def test_a_server_that_leaves_before_it_answers_is_told_of():
    world = World()
    world.wire.lose()
    assert "before it answered" in world.results[0].getErrorMessage()
    assert world.broker.clock.getDelayedCalls() == []


def test_who_no_longer_waits_leaves_nothing_behind():
    world = World()
    world.made.cancel()
    assert world.wire.disconnected and world.broker.clock.getDelayedCalls() == []


@pytest.mark.parametrize("frame", [Frame(Opcode.TEXT, b"x"), Frame(Opcode.BINARY, b"x" * (5 << 20))])
def test_what_is_no_mqtt_or_too_large_ends_the_connection(frame):
    world = World().agree()
    world.wire.say(frame.serialize(mask=False))
    assert world.wire.disconnected and world.inner.received == b"" and world.inner.lost is not None


def test_a_close_of_the_server_s_is_told_to_the_protocol_inside():
    world = World().agree()
    world.server.send_close(1001)
    world.wire.say(b"".join(world.server.data_to_send()))
    assert world.wire.disconnected
    assert "closed the WebSocket (code 1001)" in world.inner.lost.getErrorMessage()


def test_leaving_says_so_to_the_server():
    world = World().agree()
    world.wire.clear()
    world.inner.transport.loseConnection()
    (frame,) = world.events(world.wire.value())
    assert (frame.opcode, bytes(frame.data)) == (Opcode.CLOSE, b"\x03\xe8") and world.wire.disconnected
    world.inner.transport.write(b"too late")


def test_reading_stops_and_goes_on_with_the_connection():
    world = World().agree()
    world.inner.transport.pauseProducing()
    assert not world.wire.is_read
    world.inner.transport.resumeProducing()
    assert world.wire.is_read


def test_a_failed_connection_fails_as_it_would_without_a_websocket():
    broker = Broker()
    broker.is_there = False
    failures = []
    way = websocket.over(broker, broker.clock, "h:1", "/", False, "host")
    way.connect(Factory.forProtocol(Inner)).addErrback(failures.append)
    assert isinstance(failures[0], Failure) and failures[0].check(ConnectionDone) is None
