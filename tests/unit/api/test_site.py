"""The listener's caps: one body, all bodies, connections; whatever a client does."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from iotgw.api.site import ApiSite


class Echo(Resource):
    """Says how long a body is; `/held` never answers."""

    isLeaf = True

    def render(self, request: Any) -> Any:
        if request.path == b"/held":
            return NOT_DONE_YET
        if request.path == b"/read":
            request.content.read()
            request.content.truncate(0)
            return NOT_DONE_YET
        return b"%d" % len(request.content.read())


@pytest.fixture
def site() -> ApiSite:
    return ApiSite(Echo(), max_body=1000, max_buffered=2500, max_connections=4)


def connect(site: ApiSite) -> Any:
    channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
    if channel is None:
        return None
    transport = StringTransport()
    channel.makeConnection(transport)
    channel.sent_to = transport
    return channel


def status(channel: Any) -> bytes:
    return bytes(channel.sent_to.value().split(b" ", 2)[1])


def head(length: int, path: str = "/") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_body_is_taken_up_to_the_cap_and_then_refused(site: ApiSite) -> None:
    for length, expected in [(1000, b"200"), (1001, b"413"), (50_000, b"413")]:
        channel = connect(site)
        channel.dataReceived(head(length) + b"x" * length)
        assert status(channel) == expected
        assert site.buffered == 0
        channel.connectionLost(Failure(ConnectionLost()))


def test_a_body_that_never_ends_is_cut_off(site: ApiSite) -> None:
    channel = connect(site)
    channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    sent = 0
    while not channel.sent_to.disconnecting and sent < 40:
        channel.dataReceived(chunk)
        sent += 1
    assert sent == 17
    assert site.buffered == 0


def test_all_bodies_together_are_capped_and_their_room_comes_back(site: ApiSite) -> None:
    slow = [connect(site) for _ in range(3)]
    for channel in slow[:2]:
        channel.dataReceived(head(1000, "/held") + b"x" * 999)
    assert site.buffered == 1998
    slow[2].dataReceived(head(900) + b"x" * 900)
    assert status(slow[2]) == b"503"
    assert b"Retry-After: 1" in slow[2].sent_to.value()
    slow[0].connectionLost(Failure(ConnectionLost()))
    assert site.buffered == 999
    fourth = connect(site)
    fourth.dataReceived(head(900) + b"x" * 900)
    assert status(fourth) == b"200"
    slow[1].dataReceived(b"x")
    assert site.buffered == 1000, "its request is under way"
    slow[1].connectionLost(Failure(ConnectionLost()))
    assert site.buffered == 0


def test_a_body_that_was_read_can_be_let_go_before_the_answer(site: ApiSite) -> None:
    channel = connect(site)
    channel.dataReceived(head(900, "/read") + b"x" * 900)
    assert site.buffered == 0
    channel.connectionLost(Failure(ConnectionLost()))
    assert site.buffered == 0


def test_connections_are_capped_and_their_places_come_back(site: ApiSite) -> None:
    channels = [connect(site) for _ in range(4)]
    assert connect(site) is None
    channels[0].connectionLost(Failure(ConnectionLost()))
    assert connect(site) is not None
    del channels
    gc.collect()
    assert site.connections == 4


def test_several_requests_of_one_connection_each_have_their_own_body(site: ApiSite) -> None:
    channel = connect(site)
    channel.dataReceived((head(3) + b"abc") * 2)
    assert channel.sent_to.value().count(b"200 OK") == 2
    assert site.buffered == 0
