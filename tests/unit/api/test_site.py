"""The listener's caps: one body, all bodies, connections; whatever a client does."""

from __future__ import annotations

import gc
from typing import Any
from weakref import WeakKeyDictionary

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


class Held(Resource):
    """Never answers."""

    isLeaf = True

    def render(self, request: Any) -> Any:
        return NOT_DONE_YET


@pytest.fixture
def site() -> ApiSite:
    return ApiSite(Echo(), max_body=1000, max_buffered=2500, max_connections=4)


made: WeakKeyDictionary[ApiSite, list[Any]] = WeakKeyDictionary()


def connect(site: ApiSite) -> Any:
    channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
    if channel is None:
        return None
    transport = StringTransport()
    channel.makeConnection(transport)
    channel.sent_to = transport
    made.setdefault(site, []).append(channel)
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


def end_of_turn(site: ApiSite) -> None:
    """The connections that were cut off are gone."""
    for channel in list(made[site]):
        if channel.sent_to.disconnecting:
            made[site].remove(channel)
            channel.connectionLost(Failure(ConnectionLost()))


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def test_the_last_places_are_for_the_api_and_whoever_asks_for_nothing_gives_way() -> None:
    site = ApiSite(Echo(), max_connections=32)
    devices = [connect(site) for _ in range(28)]
    idle, answered = connect(site), connect(site)
    answered.dataReceived(get("/api/v1/status"))
    assert status(answered) == b"200"
    for _ in range(20):
        channel = connect(site)
        end_of_turn(site)
        channel.dataReceived(get("/health/live"))
        assert status(channel) == b"200"
    assert [channel.sent_to.disconnecting for channel in (idle, answered)] == [True, True]
    assert not any(channel.sent_to.disconnecting for channel in devices)


def test_an_upload_in_a_place_of_the_api_is_told_to_come_back() -> None:
    site = ApiSite(Echo(), max_connections=32)
    devices = [connect(site) for _ in range(29)]
    for channel, expected in [(devices[0], b"200"), (devices[-1], b"503")]:
        channel.dataReceived(head(3, "/i/key") + b"abc")
        assert status(channel) == expected
    assert b"Retry-After: 10" in devices[-1].sent_to.value()
    assert b"Connection: close" in devices[-1].sent_to.value()


def test_a_request_under_way_keeps_its_place_while_others_have_none() -> None:
    site = ApiSite(Held(), max_connections=32)
    for _ in range(28):
        connect(site)
    busy = connect(site)
    busy.dataReceived(get("/api/v1/status"))
    for _ in range(20):
        connect(site)
        end_of_turn(site)
    assert not busy.sent_to.disconnecting


def test_of_many_that_come_at_once_only_so_many_are_taken() -> None:
    site = ApiSite(Echo(), max_connections=32)
    channels = [connect(site) for _ in range(40)]
    assert [channel is None for channel in channels] == [False] * 36 + [True] * 4
    end_of_turn(site)
    assert site.connections == 32
    assert connect(site) is not None


def test_a_site_for_devices_alone_has_no_place_for_anybody_else() -> None:
    site = ApiSite(Echo(), max_connections=32, for_devices=True)
    assert [connect(site) is None for _ in range(33)] == [False] * 32 + [True]


def test_several_requests_of_one_connection_each_have_their_own_body(site: ApiSite) -> None:
    channel = connect(site)
    channel.dataReceived((head(3) + b"abc") * 2)
    assert channel.sent_to.value().count(b"200 OK") == 2
    assert site.buffered == 0
