"""HTTP servers that answer 200 in ways that a client doesn't expect. A delivery is one delivery all the same."""

import json
import re

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from .delivering import Delivering, numbers, per_device, until

OK = b"HTTP/1.1 200 OK\r\n"


class Odd(Protocol):
    """Reads requests as HTTP says; how it answers is the factory's ``answer(connection)``, called once a request
    is complete, and ``early(connection)``, called at its headers; a true result of that says that it was
    the answer, and the rest is never read."""

    def connectionMade(self):
        self.factory.connections.append(self)
        self._buffer = b""

    def dataReceived(self, data):
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            if self.factory.early(self):
                self.transport.pauseProducing()
                return
            size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
            if len(rest) < size:
                return
            self._buffer = rest[size:]
            self.factory.bodies.append(json.loads(rest[:size]))
            self.factory.answer(self)


@pytest.fixture
def server():
    factory = Factory.forProtocol(Odd)
    factory.noisy = False
    factory.connections, factory.bodies = [], []
    factory.early = lambda connection: False
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    factory.url = f"http://127.0.0.1:{port.getHost().port}/"
    yield factory
    port.stopListening()


def huge(connection):
    connection.transport.write(OK + b"Content-Length: 8000000\r\n\r\n")
    connection.transport.write(b"x" * 8_000_000)


def huge_in_chunks(connection):
    connection.transport.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    connection.transport.write(b"10000\r\n%b\r\n" % (b"x" * 65536) * 100 + b"0\r\n\r\n")


def trickle(connection):
    connection.transport.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    pieces = list(b"3;ext=1\r\nabc\r\n1\r\nd\r\n0\r\nTrailer: x\r\n\r\n")

    def next_piece():
        connection.transport.write(bytes(pieces[:1]))
        del pieces[:1]
        if pieces:
            reactor.callLater(0, next_piece)

    next_piece()


def interim_first(connection):
    connection.transport.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3)
    connection.transport.write(OK + b"Content-Length: 2\r\n\r\nok")


def close_each_time(connection):
    connection.transport.write(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok")
    connection.transport.loseConnection()


def close_unannounced(connection):
    connection.transport.write(OK + b"Content-Length: 2\r\n\r\nok")
    connection.transport.loseConnection()


def until_closed(connection):
    connection.transport.write(b"HTTP/1.0 200 OK\r\n\r\nbye")
    connection.transport.loseConnection()


def two_answers(connection):
    connection.transport.write((OK + b"Content-Length: 0\r\n\r\n") * 2)


@pytest.mark.parametrize(
    "answer",
    [
        huge,
        huge_in_chunks,
        trickle,
        interim_first,
        close_each_time,
        close_unannounced,
        until_closed,
        two_answers,
    ],
)
@ensureDeferred
async def test_each_message_is_delivered_once(server, answer):
    server.answer = answer
    async with Delivering("http", configuration={"url": server.url, "concurrency": 4}) as world:
        world.store(*"abcde" * 6)
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (30, 0)
        arrived = numbers(server.bodies)
        assert len(arrived) == 30
        assert all(line == sorted(line) for line in per_device(arrived).values())


@ensureDeferred
async def test_an_answer_that_comes_too_slowly_is_none(server):
    """What isn't complete in time doesn't count: the message comes again."""
    slow = []

    def answer(connection):
        connection.transport.write(OK + b"Content-Length: 2\r\n\r\n")
        if len(server.bodies) > 1:
            connection.transport.write(b"ok")
        else:
            slow.append(connection)

    server.answer = answer
    async with Delivering("http", configuration={"url": server.url, "timeout": 0.5}) as world:
        world.store("a")
        stats = await world.settled()
        assert stats["delivered"] == 1
        assert "no complete response" in stats["lastError"]
    assert len(server.bodies) == 2


@pytest.mark.parametrize("close", [True, False])
@ensureDeferred
async def test_a_batch_that_is_refused_before_it_was_read_is_taken_apart(server, close, monkeypatch):
    """413 at the headers; the body is far larger than what the sockets between hold."""
    monkeypatch.setattr("iotgw.integrations.http_pool.LEAVE", 1000.0)
    size = 16_000_000

    def early(connection):
        if int(re.search(rb"(?i)content-length: (\d+)", connection._buffer)[1]) < size // 2:
            return False
        connection.transport.write(
            b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        if close:
            connection.transport.loseConnection()
        return True

    server.early = early
    server.answer = lambda connection: connection.transport.write(OK + b"Content-Length: 0\r\n\r\n")
    configuration = {"url": server.url, "batch": "array", "concurrency": 1}
    async with Delivering("http", configuration=configuration) as world:
        world.service.pause("i1")
        body = '{"deviceName":"a","deviceType":"t","attributes":{},"telemetry":[{"ts":1,"values":{"n":%d,"x":"%s"}}]}'
        for n in range(4):
            world.store(f"d{n}", body=(body % (n, "x" * (size // 4))).encode())
        world.service.resume("i1")
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (4, 0)
        assert "413" in stats["lastError"]
        assert sorted(len(each) for each in server.bodies) == [1, 1, 1, 1]
        pool = world.service.entry("i1").target._pool
        if not close:
            assert pool._leaving  # it still holds the rest of the request ...
            for connection in pool._leaving:
                connection.deadline = 0.0
        await until(lambda: not pool._leaving)  # ... but not for ever
