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
    async with Delivering("http", configuration={"url": server.url, "timeout": 2.0}) as world:
        world.store("a")
        stats = await world.settled()
        assert stats["delivered"] == 1
        assert "no complete response" in stats["lastError"]
    assert len(server.bodies) == 2


@pytest.mark.parametrize("close", [True, False])
@ensureDeferred
async def test_a_batch_that_is_refused_before_it_was_read_is_taken_apart(server, close, monkeypatch):
    """413 at the headers; the body is far larger than what the sockets between hold."""
    monkeypatch.setattr("iotgw.connect.http_pool.LEAVE", 1000.0)
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


HOSTILE = [
    b"Retry-After: \xb2",
    b"Retry-After: " + b"9" * 5000,
    b"Retry-After: \xd9\xa3",
    b"Retry-After: -1",
    b"Retry-After: nan",
    b"Retry-After: Mon, 31 Feb 9999 99:99:99 GMT",
    b"Retry-After: Fri, 01 Jan 0001 00:00:00 -2359",
    b"Retry-After: Sun, 06 Nov 1994 08:49:37 +999999999999999",
    b"Retry-After: ,",
    b"Content-Length: \xb2",
    b"Content-Length: " + b"9" * 5000,
    b"Content-Length: -2",
    b"Transfer-Encoding: chunked",
]


@pytest.mark.parametrize("status", [b"503 Busy", b"429 Slow Down", b"409 No"])
@pytest.mark.parametrize("header", HOSTILE, ids=lambda header: repr(header[:30]))
@ensureDeferred
async def test_no_header_of_an_answer_wedges_the_messages_behind_it(server, header, status):
    """As many such answers as there are connections, twice; then the server does as it should."""
    told = []

    def answer(connection):
        told.append(connection)
        if len(told) > 8:
            connection.transport.write(OK + b"Content-Length: 0\r\n\r\n")
            return
        length = b"" if header.startswith((b"Content", b"Transfer")) else b"Content-Length: 0\r\n"
        # what is no chunk size at the end is read as the body where there is none
        connection.transport.write(b"HTTP/1.1 %b\r\n%b%b\r\n\r\n+1\r\n" % (status, length, header))

    server.answer = answer
    configuration = {"url": server.url, "concurrency": 4, "timeout": 2}
    async with Delivering("http", configuration=configuration) as world:
        world.store(*"abcdefghijkl")
        await until(lambda: len(told) > 8)
        world.store(*"mnop")
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (16, 0)


@pytest.mark.parametrize(
    "body",
    [b"[" * 200_000, b'{"a":' * 100_000, b"\xff" * 100, b'[{"msg":1e999}]', b'{"msg":1,"ttl":"\\ud800"}'],
)
@ensureDeferred
async def test_a_response_that_is_no_downlink_delivers_its_message_all_the_same(server, body):
    server.answer = lambda connection: connection.transport.write(
        OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    configuration = {"url": server.url, "concurrency": 2, "downlinks": True}
    async with Delivering("http", configuration=configuration) as world:
        world.store(*"abcdefgh")
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (8, 0)
    assert len(server.bodies) == 8


class Tokens(Protocol):
    """Gives tokens: what the factory's ``answers`` hold, one after the other, and then a good one."""

    def connectionMade(self):
        self._buffer = b""

    def dataReceived(self, data):
        self._buffer += data
        if b"grant_type" in self._buffer:
            self._buffer = b""
            good = OK + b'Content-Length: 23\r\n\r\n{"access_token":"good"}'
            self.transport.write(self.factory.answers.pop(0) if self.factory.answers else good)
            self.transport.loseConnection()


def token(body):
    return OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize(
    "answer",
    [
        token(b"[" * 60_000),
        token(b'{"access_token":"x","expires_in":"\xc2\xb2"}'),
        token(b'{"access_token":"x","expires_in":1' + b"0" * 400 + b"}"),
        token(b'{"access_token":"x","expires_in":1e308}'),
        token(b'{"access_token":"x","expires_in":[]}'),
        token(b'{"access_token":"\\u0000"}'),
        token(b'{"access_token":{"a":1}}'),
        token(b"null"),
        OK + b"Content-Length: \xb2\r\n\r\n{}",
        b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
        b"",
    ],
    ids=lambda answer: repr(answer[-40:]),
)
@ensureDeferred
async def test_no_answer_of_a_token_server_wedges_the_messages_that_wait_for_it(server, answer):
    factory = Factory.forProtocol(Tokens)
    factory.noisy = False
    factory.answers = [answer]
    tokens = reactor.listenTCP(0, factory, interface="127.0.0.1")
    server.answer = lambda connection: connection.transport.write(OK + b"Content-Length: 0\r\n\r\n")
    auth = {
        "type": "oauth2", "tokenUrl": f"http://127.0.0.1:{tokens.getHost().port}/", "clientId": "me",
        "clientSecret": "s",
    }  # fmt: skip
    try:
        async with Delivering("http", configuration={"url": server.url, "auth": auth}) as world:
            world.store(*"abcdefgh")
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (8, 0)
    finally:
        await tokens.stopListening()
