"""The message layer, with a clock that stands still."""

from __future__ import annotations

import itertools

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.limits import EndpointLimits
from iotgw.wire.coap.message import Message, encode, options, uri_options
from iotgw.wire.coap.timing import NB_IOT
from tests.unit.wire.coap.bench import OTHER, PEER, Bench, Boom, Box

SPAN = 45.0  # MAX_TRANSMIT_SPAN of RFC 7252 §4.8.2


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def bench(box):
    return Bench({"i": box, "boom": Boom()})


def test_a_con_request_gets_a_piggybacked_reply_with_its_mid_and_token(bench, box):
    reply = bench.one(n.POST, "i", b"21.5", mid=7, token=b"12345678")
    assert (reply.type, reply.code, reply.mid, reply.token) == (n.ACK, n.CHANGED, 7, b"12345678")
    assert box.requests[0].payload == b"21.5"


@pytest.mark.parametrize("mid", [0, 1, 0xFFFF])
def test_message_id_zero_is_as_good_as_any(bench, mid):
    assert bench.one(n.POST, "i", mid=mid, token=b"").mid == mid


def test_a_non_request_gets_a_non_reply_with_a_message_id_of_ours(bench):
    first = bench.one(n.POST, "i", type=n.NON, mid=7)
    second = bench.one(n.POST, "i", type=n.NON, mid=8)
    assert (first.type, first.code, first.token) == (n.NON, n.CHANGED, b"\xaa\xbb")
    assert (second.mid - first.mid) & 0xFFFF == 1


def test_message_ids_are_a_sequence_per_peer(bench):
    mids = [bench.one(n.POST, "i", type=n.NON, mid=m, remote=r).mid for m in range(3) for r in (PEER, OTHER)]
    assert [(b - a) & 0xFFFF for a, b in zip(mids[::2], mids[2::2], strict=False)] == [1, 1]
    assert [(b - a) & 0xFFFF for a, b in zip(mids[1::2], mids[3::2], strict=False)] == [1, 1]


def test_duplicate_con_gets_the_stored_reply(bench, box):
    data = encode(n.CON, n.POST, 9, b"t", options(*uri_options("i")), b"x")
    bench.endpoint.datagram(data, PEER, bench.now)
    first = bench.raw[-1]
    bench.now += 240
    bench.endpoint.datagram(data, PEER, bench.now)
    assert bench.raw[-1] == first
    assert len(box.requests) == 1
    assert bench.endpoint.counters.duplicates == 1


def test_duplicate_non_is_handled_once_and_not_answered_again(bench, box):
    assert bench.ask(n.POST, "i", mid=9, type=n.NON)
    assert bench.ask(n.POST, "i", mid=9, type=n.NON) == []
    assert len(box.requests) == 1


@pytest.mark.parametrize(("type_", "lifetime"), [(n.CON, 247), (n.NON, 145)])
def test_a_message_id_is_free_again_after_its_lifetime(bench, box, type_, lifetime):
    bench.ask(n.POST, "i", mid=9, type=type_)
    bench.advance(lifetime - 1)
    bench.ask(n.POST, "i", mid=9, type=type_)
    assert len(box.requests) == 1
    bench.advance(3)
    bench.ask(n.POST, "i", mid=9, type=type_)
    assert len(box.requests) == 2


def test_a_slower_timing_remembers_for_longer(bench, box):
    bench.endpoint.set_timing(NB_IOT)  # EXCHANGE_LIFETIME is 315 s
    bench.ask(n.POST, "i", mid=9)
    bench.advance(314)
    bench.ask(n.POST, "i", mid=9)
    assert len(box.requests) == 1
    bench.advance(1000)
    assert len(bench.endpoint.remembered) == len(bench.endpoint.peers) == 0


def test_the_same_message_id_from_another_port_is_another_message(bench, box):
    bench.ask(n.POST, "i", mid=9)
    bench.ask(n.POST, "i", mid=9, remote=(PEER[0], PEER[1] + 1))
    assert len(box.requests) == 2


def test_a_duplicate_that_comes_while_the_first_is_being_stored_is_answered_after_the_commit(bench, box):
    box.response = None
    assert bench.ask(n.POST, "i", mid=9) == []
    assert bench.ask(n.POST, "i", mid=9) == []
    box.exchanges[0].reply(Message(n.CHANGED))
    assert [m.code for m in bench.take()] == [n.CHANGED]
    assert bench.one(n.POST, "i", mid=9).code == n.CHANGED
    assert len(box.requests) == 1


def test_a_slow_reply_is_an_empty_ack_of_four_bytes_and_then_a_con_response(bench, box):
    box.response = None
    bench.ask(n.POST, "i", mid=9)
    assert bench.advance(0.49) == []
    (ack,) = bench.advance(0.02)
    assert ack == Message(n.EMPTY, type=n.ACK, mid=9)
    box.exchanges[0].reply(Message(n.CHANGED))
    (response,) = bench.take()
    assert (response.type, response.code, response.token) == (n.CON, n.CHANGED, b"\xaa\xbb")
    assert bench.put_in(encode(n.ACK, n.EMPTY, response.mid)) == []
    assert bench.advance(300) == []


def test_a_duplicate_of_a_request_with_a_separate_response_is_acknowledged_again(bench, box):
    box.response = None
    bench.ask(n.POST, "i", mid=9)
    bench.advance(0.5)
    assert bench.one(n.POST, "i", mid=9) == Message(n.EMPTY, type=n.ACK, mid=9)
    box.exchanges[0].reply(Message(n.CHANGED))
    bench.take()
    assert bench.one(n.POST, "i", mid=9) == Message(n.EMPTY, type=n.ACK, mid=9)
    assert len(box.requests) == 1


def separate(bench, box):
    outcome = []
    box.response = None
    bench.ask(n.POST, "i", mid=9)
    box.exchanges[0].acknowledge()
    box.exchanges[0].reply(Message(n.CHANGED), lambda: outcome.append("arrived"), outcome.append)
    return bench.take()[-1], outcome


def test_a_separate_response_is_retransmitted_with_growing_pauses_and_then_given_up(bench, box):
    response, outcome = separate(bench, box)
    start = bench.now
    bench.until(lambda: outcome)
    times = [time - start for time in bench.times]
    pauses = [b - a for a, b in itertools.pairwise([0, *times])]
    assert bench.take() == [response] * 4
    assert 2 <= pauses[0] <= 3
    assert all(later == pytest.approx(2 * earlier) for earlier, later in itertools.pairwise(pauses))
    assert outcome == ["not acknowledged"]


def test_an_acknowledged_response_is_known_to_have_arrived(bench, box):
    response, outcome = separate(bench, box)
    bench.put_in(encode(n.ACK, n.EMPTY, response.mid))
    assert outcome == ["arrived"]
    assert bench.advance(100) == []


def test_a_reset_stops_a_separate_response(bench, box):
    response, outcome = separate(bench, box)
    bench.put_in(encode(n.RST, n.EMPTY, response.mid))
    assert outcome == ["reset by the peer"]
    assert bench.advance(100) == []


def test_an_acknowledgement_from_another_address_stops_nothing(bench, box):
    response, outcome = separate(bench, box)
    bench.one(n.GET, "boom", remote=OTHER)
    bench.put_in(encode(n.ACK, n.EMPTY, response.mid), OTHER)
    bench.put_in(encode(n.RST, n.EMPTY, response.mid), (PEER[0], 1))
    assert outcome == []
    assert bench.advance(3.1) == [response]


def test_a_piggybacked_reply_is_confirmed_no_sooner_than_by_the_next_request(bench, box):
    outcome = []
    box.response = None
    bench.ask(n.POST, "i", mid=9)
    box.exchanges[0].reply(Message(n.CHANGED), lambda: outcome.append("next"))
    bench.ask(n.POST, "i", mid=9)
    assert outcome == []
    bench.ask(n.POST, "i", mid=10)
    assert outcome == ["next"]
    bench.ask(n.POST, "i", mid=11)
    assert outcome == ["next"]


def test_a_piggybacked_reply_counts_as_confirmed_when_the_peer_asks_no_more(bench, box):
    outcome = []
    box.response = None
    bench.ask(n.POST, "i", mid=9)
    box.exchanges[0].reply(Message(n.CHANGED), lambda: outcome.append("silent"))
    bench.advance(246)
    assert outcome == []
    bench.advance(600)
    assert outcome == ["silent"]


def test_cancelled_timers_do_not_pile_up(bench, box):
    for _ in range(5000):
        response, _ = separate(bench, box)
        bench.put_in(encode(n.ACK, n.EMPTY, response.mid))
        box.exchanges.clear()
        bench.endpoint.forget(PEER)
    assert len(bench.endpoint.timers) < 2100


def test_a_ping_is_reset(bench):
    assert bench.put_in(encode(n.CON, n.EMPTY, 77)) == [Message(n.EMPTY, type=n.RST, mid=77)]


@pytest.mark.parametrize(
    "data",
    [
        encode(n.NON, n.EMPTY, 1),
        encode(n.ACK, n.EMPTY, 1),
        encode(n.RST, n.EMPTY, 1),
        encode(n.ACK, n.GET, 1, b"t", options(*uri_options("i"))),
        encode(n.RST, n.GET, 1, b"t", options(*uri_options("i"))),
        encode(n.ACK, n.CONTENT, 1, b"t"),
        encode(n.NON, n.CONTENT, 1, b"t"),
        encode(n.NON, 0x20, 1, b"t"),
        encode(n.NON, 0xE1, 1, b"t"),
    ],
)
def test_what_has_no_place_here_and_asks_for_no_acknowledgement_is_ignored(bench, box, data):
    assert bench.put_in(data) == []
    assert box.requests == []
    assert bench.endpoint.counters.unexpected == 1


@pytest.mark.parametrize("code", [n.CONTENT, 0x20, 0x3F, 0xC0, 0xE1])
def test_a_confirmable_message_that_has_no_place_here_is_reset(bench, code):
    assert bench.put_in(encode(n.CON, code, 5, b"t")) == [Message(n.EMPTY, type=n.RST, mid=5)]


def test_a_malformed_con_is_reset_a_malformed_non_ignored_and_both_are_counted():
    heard = []
    bench = Bench(notice=lambda kind, remote, text: heard.append((kind, remote)))
    assert bench.put_in(bytes.fromhex("49011234") + b"A" * 9) == [Message(n.EMPTY, type=n.RST, mid=0x1234)]
    assert bench.put_in(bytes.fromhex("59011234") + b"A" * 9) == []
    assert bench.endpoint.counters.malformed == 2
    assert heard == [("malformed", PEER)] * 2
    assert len(bench.endpoint.peers) == 0


def test_an_exception_in_a_resource_is_a_5_00_and_heard_of(bench):
    assert bench.one(n.GET, "boom").code == n.INTERNAL_SERVER_ERROR
    assert [type(error) for error in bench.failures] == [ZeroDivisionError]


@pytest.mark.parametrize(
    ("code", "path", "answer"),
    [(n.GET, "no/such", n.NOT_FOUND), (31, "i", n.METHOD_NOT_ALLOWED), (n.FETCH, "i", n.METHOD_NOT_ALLOWED)],
)
def test_a_path_or_method_that_is_not_there_is_an_error(bench, code, path, answer):
    assert bench.one(code, path).code == answer


def test_a_flaw_in_the_options_of_a_con_is_explained_and_of_a_non_rejected_silently(bench, box):
    assert bench.one(n.GET, "i", b"", (9999, b"x")).code == n.BAD_OPTION
    assert bench.ask(n.GET, "i", b"", (9999, b"x"), type=n.NON) == []
    assert box.requests == []


def test_a_flood_of_message_ids_stays_under_the_cap_and_is_gone_within_the_hour():
    bench = Bench({"i": Box(keep=False)}, limits=EndpointLimits(remembered=20_000, peers=1000))
    bench.site.find(("i",))[0].requests = _Nothing()
    bench.site.find(("i",))[0].exchanges = _Nothing()
    opts = options(*uri_options("i"))
    for number in range(100_000):
        bench.endpoint.datagram(
            encode(n.CON, n.POST, number * 40503 & 0xFFFF, b"t", opts), ("h", number >> 4), bench.now
        )
        bench.raw.clear()
        bench.sent.clear()
    endpoint = bench.endpoint
    assert 10_000 < len(endpoint.remembered) <= 20_000 + 20_000 // 16 + 1
    assert endpoint.remembered.evicted == 100_000 - len(endpoint.remembered)
    assert len(endpoint.peers) <= 2000
    bench.advance(3600)
    assert (len(endpoint.remembered), len(endpoint.peers), endpoint.deadline) == (0, 0, None)
    assert endpoint.remembered.size == 0


class _Nothing(list):
    def append(self, item):
        pass


def test_a_session_that_ended_leaves_nothing_behind(bench, box):
    _, outcome = separate(bench, box)
    bench.endpoint.forget(PEER)
    assert outcome == ["the peer is gone"]
    assert len(bench.endpoint.peers) == 0
    assert bench.advance(100) == []
