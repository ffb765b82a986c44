"""How much of a connection is looked at before others have their turn."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from iotgw.api.site import ApiSite
from tests.unit.api.test_site import Echo, connect, head, status


def test_requests_that_are_sent_at_once_are_answered_in_turn_with_everybody_else_s() -> None:
    clock = Clock()
    site = ApiSite(Echo(), reactor=clock)
    greedy, other = connect(site), connect(site)
    greedy.dataReceived((head(0) + head(3) + b"abc") * 50 + b"GET / HT")
    assert greedy.sent_to.value().count(b"HTTP/1.1 200") == 1
    assert greedy.sent_to.producerState == "paused"
    other.dataReceived(head(2) + b"ok")
    assert status(other) == b"200"
    clock.advance(0)
    assert greedy.sent_to.value().count(b"HTTP/1.1 200") == 100
    assert greedy.sent_to.producerState == "producing"
    greedy.dataReceived(b"TP/1.1\r\nHost: x\r\n\r\n")
    assert greedy.sent_to.value().count(b"HTTP/1.1 200") == 101
    bodies = greedy.sent_to.value().split(b"HTTP/1.1 200")[1:]
    assert [each[-1:] for each in bodies] == [b"0", b"3"] * 50 + [b"0"]


def test_what_waits_behind_a_request_is_nobody_s_when_its_client_has_left() -> None:
    clock = Clock()
    site = ApiSite(Echo(), reactor=clock)
    channel = connect(site)
    channel.dataReceived(head(0) * 3)
    channel.connectionLost(Failure(ConnectionLost()))
    clock.advance(0)
    assert channel.sent_to.value().count(b"HTTP/1.1 200") == 1


def test_a_body_in_tiny_chunks_without_end_is_refused_and_a_talkative_client_s_is_not() -> None:
    start = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    site = ApiSite(Echo())
    channel = connect(site)
    channel.dataReceived(start + b"3\r\nabc\r\n" * 1900 + b"0\r\n\r\n")
    assert status(channel) == b"200"
    channel = connect(site)
    channel.dataReceived(start + b"1\r\na\r\n" * 5000)
    assert channel.sent_to.producerState == "paused"
    assert status(channel) == b"400" and b"expected chunks of at least 16 bytes" in channel.sent_to.value()
    channel.dataReceived(b"1\r\na\r\n" * 1000 + b"0\r\n\r\n" + head(0))
    assert channel.sent_to.value().count(b"HTTP/1.1 ") == 1
    channel.connectionLost(Failure(ConnectionLost()))
    assert site.buffered == 0


def test_a_connection_is_read_a_little_at_a_time() -> None:
    assert connect(ApiSite(Echo())).sent_to.bufferSize == 2048
