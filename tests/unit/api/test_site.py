"""The listener's caps: one body, all bodies, connections; whatever a client does."""

from __future__ import annotations

import gc
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from iotgw.api.site import ApiSite
from iotgw.api.visits import origin_of
from iotgw.core.trusted_proxies import TrustedProxies


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


def connect(site: ApiSite, host: str = "127.0.0.1") -> Any:
    channel = site.buildProtocol(IPv4Address("TCP", host, 1))
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


def test_no_answer_tells_what_the_server_is_made_of(site: ApiSite) -> None:
    for sent in (head(0), head(1001) + b"x" * 1001, b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n"):
        channel = connect(site)
        channel.dataReceived(sent)
        said = channel.sent_to.value()
        assert b"Server: iotgw\r\n" in said and b"Twisted" not in said, said


@pytest.mark.parametrize(
    "length", ["9" * 5000, "9" * 40 + " " * 40, "-1", "+1", "1_0", "\u00b2", "1" * 20 + "x"]
)
def test_a_length_that_is_none_is_refused(site: ApiSite, length: str) -> None:
    channel = connect(site)
    channel.dataReceived(f"POST / HTTP/1.1\r\nhost: x\r\ncontent-Length: {length}\r\n\r\n".encode("latin-1"))
    assert status(channel) == b"400"
    assert b"Connection: close" in channel.sent_to.value()


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (b"GET /" + b"x" * 20_000, b"414"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: x\r\n" * 10_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", b"400"),
        (b"rubbish\r\n\r\n", b"400"),
    ],
    ids=lambda sent: sent[:30].decode(),
)  # fmt: skip
def test_a_head_that_is_none_or_too_long_is_answered_and_the_rest_is_dropped_until_its_sender_has_read_that(
    site: ApiSite, sent: bytes, wanted: bytes
) -> None:
    channel = connect(site)
    channel.dataReceived(head(900) + b"x" * 900)
    assert status(channel) == b"200"
    channel.sent_to.clear()
    for at in range(0, len(sent), 5000):
        channel.dataReceived(sent[at : at + 5000])
    channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
    assert (status(channel), channel.sent_to.value().count(b"HTTP/1.1 ")) == (wanted, 1)
    assert b"application/problem+json" in channel.sent_to.value() and not channel.sent_to.disconnecting
    for _ in range(20):
        channel.dataReceived(b"x" * 0x100000)
    assert channel.sent_to.disconnecting
    channel.connectionLost(Failure(ConnectionLost()))
    assert site.buffered == 0


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


def hold(site: ApiSite, count: int, path: str = "/held") -> list[Any]:
    """Connections whose requests are being answered."""
    channels = [connect(site) for _ in range(count)]
    for channel in channels:
        channel.dataReceived(get(path))
    return channels


def test_connections_are_capped_and_their_places_come_back(site: ApiSite) -> None:
    channels = hold(site, 4)
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
    devices = hold(site, 28)
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
    hold(site, 27)
    devices = [connect(site) for _ in range(2)]
    devices[0].dataReceived(head(3, "/held"))
    devices[0].dataReceived(b"abc")
    devices.append(connect(site))
    devices[-1].dataReceived(head(3, "/i/key") + b"abc")
    assert status(devices[-1]) == b"200", "one that waits gives way"
    devices[-1].dataReceived(get("/held"))
    last = connect(site)
    last.dataReceived(head(3, "/i/key") + b"abc")
    assert status(last) == b"503"
    assert b"Retry-After: 10" in last.sent_to.value()
    assert b"Connection: close" in last.sent_to.value()


def test_a_request_under_way_keeps_its_place_while_others_have_none() -> None:
    site = ApiSite(Held(), max_connections=32)
    hold(site, 28)
    busy = connect(site)
    busy.dataReceived(get("/api/v1/status"))
    for _ in range(20):
        connect(site)
        end_of_turn(site)
    assert not busy.sent_to.disconnecting


def test_of_many_that_come_at_once_only_so_many_are_taken() -> None:
    site = ApiSite(Echo(), max_connections=32)
    hold(site, 28)
    channels = [connect(site) for _ in range(12)]
    assert [channel is None for channel in channels] == [False] * 8 + [True] * 4
    end_of_turn(site)
    assert site.connections == 32
    assert connect(site) is not None


def test_a_site_for_devices_alone_has_no_place_for_anybody_else() -> None:
    site = ApiSite(Echo(), max_connections=32, for_devices=True)
    hold(site, 32)
    assert connect(site) is None


def test_several_requests_of_one_connection_each_have_their_own_body() -> None:
    clock = Clock()
    site = ApiSite(Echo(), max_body=1000, reactor=clock)
    channel = connect(site)
    channel.dataReceived((head(3) + b"abc") * 2)
    clock.advance(0)
    assert channel.sent_to.value().count(b"200 OK") == 2
    assert site.buffered == 0


def test_whoever_trickles_gives_way_to_a_new_connection_and_whoever_is_served_stays() -> None:
    told: list[tuple[str, str]] = []
    site = ApiSite(Echo(), max_connections=8, for_devices=True, tell=lambda *what: told.append(what))
    (busy,) = hold(site, 1)
    served = connect(site)
    served.dataReceived(get("/"))
    tricklers = [connect(site) for _ in range(6)]
    for _ in range(3):
        for each in tricklers:
            each.dataReceived(b"G")
        device = connect(site)
        end_of_turn(site)
        device.dataReceived(head(3, "/i/key") + b"abc")
        assert status(device) == b"200"
    assert [each.sent_to.disconnecting for each in tricklers] == [True] * 3 + [False] * 3
    assert not busy.sent_to.disconnecting
    assert not served.sent_to.disconnecting
    assert told == [("127.0.0.1", "it had no whole request while too many others wanted its place")] * 3


def test_one_address_has_a_share_and_a_proxy_has_none() -> None:
    site = ApiSite(
        Echo(), max_connections=8, for_devices=True, of_address=2, proxies=TrustedProxies(["192.0.2.9"])
    )
    first = connect(site, "192.0.2.1")
    hold_one = connect(site, "192.0.2.1")
    hold_one.dataReceived(get("/held"))
    others = [connect(site, host) for host in ("192.0.2.2", "192.0.2.9", "192.0.2.9", "192.0.2.9")]
    assert connect(site, "192.0.2.1") is not None
    assert first.sent_to.disconnecting
    assert not any(channel.sent_to.disconnecting for channel in (hold_one, *others))


class Timed:
    """A site with a clock of its own, and one connection."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[str] = []
        self.site = ApiSite(Echo(), reactor=self.clock, tell=lambda address, said: self.told.append(said))
        self.site.startFactory()
        self.channel = connect(self.site)

    def trickle(self, data: bytes, seconds: float, step: float = 5.0) -> bool:
        """Send so much every few seconds; whether the connection is still there then."""
        for _ in range(int(seconds / step)):
            if self.channel.sent_to.disconnecting:
                return False
            self.channel.dataReceived(data)
            self.clock.advance(step)
        return not self.channel.sent_to.disconnecting


@pytest.fixture
def timed() -> Any:
    timed = Timed()
    yield timed
    timed.site.stopFactory()
    timed.channel.connectionLost(Failure(ConnectionLost()))
    assert timed.clock.getDelayedCalls() == []


def test_a_first_line_that_trickles_is_cut_off(timed: Timed) -> None:
    assert timed.trickle(b"G", 55)
    assert not timed.trickle(b"G", 15)


def test_a_head_that_trickles_is_cut_off(timed: Timed) -> None:
    timed.channel.dataReceived(b"POST /i/key HTTP/1.1\r\n")
    assert timed.trickle(b"A: b\r\n", 15)
    assert not timed.trickle(b"A: b\r\n", 15)
    assert timed.told == ["its request took too long to come in"]


def test_a_body_that_trickles_is_cut_off_and_one_that_is_only_slow_is_not(timed: Timed) -> None:
    timed.channel.dataReceived(head(22))
    assert timed.trickle(b"x", 110)
    assert status(timed.channel) == b"200"
    timed.channel.dataReceived(head(100))
    assert timed.trickle(b"x", 115)
    assert not timed.trickle(b"x", 15)


def test_an_answer_may_take_as_long_as_it_likes_and_a_connection_may_be_used_again(timed: Timed) -> None:
    for _ in range(5):
        timed.channel.dataReceived(get("/"))
        timed.clock.advance(50)
    timed.channel.dataReceived(get("/held"))
    for _ in range(100):
        timed.clock.advance(10)
    assert not timed.channel.sent_to.disconnecting


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_whose_connections_count_together(address: str, origin: str) -> None:
    assert origin_of(address) == origin


def test_nothing_is_remembered_of_connections_that_are_gone() -> None:
    site = ApiSite(Echo(), max_connections=16)
    for number in range(100):
        channel = connect(site, f"192.0.2.{number}")
        channel.dataReceived(get("/") if number % 2 else b"GET")
        end_of_turn(site)
        if number % 3:
            channel.connectionLost(Failure(ConnectionLost()))
            made[site].remove(channel)
    for channel in list(made[site]):
        channel.connectionLost(Failure(ConnectionLost()))
    visits = site.visits
    assert (dict(visits._visits), dict(visits._origins), visits._leaving, visits._spare) == ({}, {}, set(), 0)
    assert site.connections == 0
