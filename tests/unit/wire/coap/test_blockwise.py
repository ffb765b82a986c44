"""Block-wise transfer beyond the rows of the conformance table: time, room, repetition, replies to POST."""

from __future__ import annotations

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block, szx_of
from iotgw.wire.coap.limits import EndpointLimits
from iotgw.wire.coap.message import Message, Options, options
from iotgw.wire.coap.timing import Policy
from tests.unit.wire.coap.bench import OTHER, Bench, Box

BODY = bytes(number % 251 for number in range(200))


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def bench(box):
    return Bench({"i": box})


def block(number, more, szx=2):
    return Block(number, more, szx).value


def send(bench, number, more, payload=None, *pairs, **more_arguments):
    part = BODY[number * 64 : number * 64 + 64] if payload is None else payload
    return bench.one(n.POST, "i", part, (n.BLOCK1, block(number, more)), *pairs, **more_arguments)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"", Block(0, False, 0)), (b"\x0e", Block(0, True, 6)), (b"\xff\xff\xfe", Block(0xFFFFF, True, 6))],
)
def test_the_block_option_is_read(value, expected):
    assert Block.of(Options(((n.BLOCK1, value),)), n.BLOCK1) == expected
    assert expected.value == int.from_bytes(value, "big")


@pytest.mark.parametrize(("size", "szx"), [(16, 0), (17, 0), (64, 2), (1000, 5), (1024, 6), (5000, 6)])
def test_the_exponent_of_a_size(size, szx):
    assert szx_of(size) == szx


def test_a_pause_shorter_than_the_timeout_is_survived_and_a_longer_one_is_not(bench, box):
    send(bench, 0, True)
    bench.advance(29)
    send(bench, 1, True)
    bench.advance(29)
    assert send(bench, 2, True).code == n.CONTINUE
    bench.advance(31)
    assert send(bench, 3, False).code == n.REQUEST_ENTITY_INCOMPLETE
    assert box.requests == []


def test_the_timeout_is_the_resources(box):
    box.policy = Policy(block_timeout=65)
    bench = Bench({"i": box})
    send(bench, 0, True)
    bench.advance(60)  # a Lobaro device after two losses of 20 s
    assert send(bench, 1, False, b"end").code == n.CHANGED


def test_bodies_of_one_block_are_messages_of_their_own(bench, box):
    for reading in (b"21.5", b"21.5", b"21.6"):
        assert send(bench, 0, False, reading).code == n.CHANGED
    assert [request.payload for request in box.requests] == [b"21.5", b"21.5", b"21.6"]


def test_a_last_block_under_a_new_message_id_gets_the_same_response_and_runs_nothing(bench, box):
    send(bench, 0, True)
    first = send(bench, 1, False, b"end")
    again = send(bench, 1, False, b"end")
    assert (again.code, again.options) == (first.code, first.options) == (n.CHANGED, options((n.BLOCK1, 18)))
    assert len(box.requests) == 1


def test_a_last_block_that_comes_again_while_it_is_stored_is_answered_with_the_first(bench, box):
    box.response = None
    send(bench, 0, True)
    last = b"end", (n.BLOCK1, block(1, False))
    assert bench.ask(n.POST, "i", *last) == []
    assert bench.ask(n.POST, "i", *last) == []
    box.exchanges[0].reply(Message(n.CHANGED))
    assert [answer.code for answer in bench.take()] == [n.CHANGED, n.CHANGED]
    assert len(box.requests) == 1


def test_an_earlier_block_under_a_new_message_id_does_no_harm(bench, box):
    send(bench, 0, True)
    send(bench, 1, True)
    assert send(bench, 1, True).code == n.CONTINUE
    send(bench, 2, True)
    send(bench, 3, False)
    assert box.requests[0].payload == BODY


def test_a_body_over_the_limit_is_4_13_with_the_limit(box):
    box.policy = Policy(max_body=100)
    bench = Bench({"i": box})
    send(bench, 0, True)
    refused = send(bench, 1, True)
    assert refused.code == n.REQUEST_ENTITY_TOO_LARGE
    assert refused.options.get_uint(n.SIZE1) == 100
    assert bench.one(n.POST, "i", bytes(101)).code == n.REQUEST_ENTITY_TOO_LARGE
    assert len(bench.endpoint.server.uploads) == 0


def test_a_peer_has_few_uploads_at_a_time_and_others_theirs(bench):
    for tag in range(Policy().max_uploads):
        assert send(bench, 0, True, None, (n.REQUEST_TAG, tag)).code == n.CONTINUE
    refused = send(bench, 0, True, None, (n.REQUEST_TAG, 99))
    assert (refused.code, refused.options.get_uint(n.MAX_AGE)) == (n.SERVICE_UNAVAILABLE, 10)
    assert send(bench, 0, True, remote=OTHER).code == n.CONTINUE
    bench.advance(31)
    assert send(bench, 0, True, None, (n.REQUEST_TAG, 99)).code == n.CONTINUE


def test_the_bodies_under_way_have_a_limit_together(box):
    bench = Bench({"i": box}, limits=EndpointLimits(body_bytes=1600))
    first = bench.one(n.POST, "i", bytes(256), (n.BLOCK1, block(0, True, 4)))
    assert first.code == n.CONTINUE
    assert send(bench, 0, True, remote=OTHER).code == n.SERVICE_UNAVAILABLE
    second = bench.one(n.POST, "i", bytes(256), (n.BLOCK1, block(1, True, 4)))
    assert second.code == n.SERVICE_UNAVAILABLE
    assert bench.endpoint.server.budget.used == 0


def test_block_sizes_may_shrink_on_the_way(bench, box):
    bench.one(n.POST, "i", BODY[:128], (n.BLOCK1, block(0, True, 3)))
    bench.one(n.POST, "i", BODY[128:160], (n.BLOCK1, block(4, True, 1)))
    bench.one(n.POST, "i", BODY[160:192], (n.BLOCK1, block(5, True, 1)))
    assert bench.one(n.POST, "i", BODY[192:], (n.BLOCK1, block(6, False, 1))).code == n.CHANGED
    assert box.requests[0].payload == BODY


def test_the_response_to_a_post_is_kept_for_its_further_blocks(bench, box):
    box.response = Message(n.CHANGED, BODY)
    first = bench.one(n.POST, "i", b"x", (n.BLOCK2, block(0, False)))
    assert first.options.get_uint(n.BLOCK2) == block(0, True)
    parts = [first.payload]
    for number in (1, 2, 3):
        answer = bench.one(n.POST, "i", b"", (n.BLOCK2, block(number, False)))
        assert answer.options.get(n.ETAG) == first.options.get(n.ETAG)
        parts.append(answer.payload)
    assert b"".join(parts) == BODY
    assert len(box.requests) == 1
    bench.advance(31)
    assert bench.one(n.POST, "i", b"", (n.BLOCK2, block(1, False))).code == n.REQUEST_ENTITY_INCOMPLETE
    assert len(box.requests) == 1


def test_a_get_of_a_further_block_goes_on_with_the_body_that_was_begun(bench, box):
    box.response = Message(n.CONTENT, BODY)
    bench.one(n.GET, "i", b"", (n.BLOCK2, block(0, False)))
    box.response = Message(n.CONTENT, b"another" * 30)
    assert bench.one(n.GET, "i", b"", (n.BLOCK2, block(1, False))).payload == BODY[64:128]


def test_a_session_that_ends_takes_its_transfers_along(bench, box):
    box.response = Message(n.CONTENT, BODY)
    bench.one(n.GET, "i", b"", (n.BLOCK2, block(0, False)))
    send(bench, 0, True)
    bench.endpoint.forget(("192.0.2.1", 40000))
    server = bench.endpoint.server
    assert (len(server.uploads), len(server.bodies), server.budget.used) == (0, 0, 0)


def downlink(bench, box):
    """A response in blocks whose sender waits to hear of it; the outcome, as it comes."""
    outcome = []
    box.response = None
    bench.ask(n.POST, "i", b"x", (n.BLOCK2, block(0, False)))
    box.exchanges[0].reply(Message(n.CHANGED, BODY), lambda: outcome.append("arrived"), outcome.append)
    return outcome


def test_a_body_in_blocks_has_arrived_when_its_last_block_is_asked_for(bench, box):
    outcome = downlink(bench, box)
    for number in (1, 2):
        bench.one(n.POST, "i", b"", (n.BLOCK2, block(number, False)))
        assert outcome == []
    bench.one(n.POST, "i", b"", (n.BLOCK2, block(3, False)))
    assert outcome == ["arrived"]
    bench.advance(100)
    assert outcome == ["arrived"]


def test_a_body_that_is_not_fetched_to_its_end_is_lost(bench, box):
    outcome = downlink(bench, box)
    bench.one(n.POST, "i", b"", (n.BLOCK2, block(1, False)))
    bench.advance(31)
    assert outcome == ["the peer did not ask for every block"]


# --- several bodies at a time ---------------------------------------------------------------------


def fetch(bench, number, token, code=n.POST):
    return bench.one(code, "i", b"", (n.BLOCK2, block(number, False)), token=token)


def begin(bench, box, body, token, code=n.POST):
    """Let the resource answer with a body; its first block."""
    box.response = Message(n.CONTENT, body)
    return fetch(bench, 0, token, code)


@pytest.mark.parametrize("code", [n.POST, n.GET])
def test_two_bodies_that_are_fetched_with_a_token_each_do_not_mix(bench, box, code):
    firsts = begin(bench, box, BODY, b"a", code), begin(bench, box, BODY[::-1], b"b", code)
    parts = [[first.payload] for first in firsts]
    for number in (1, 2, 3):
        for which, token in ((0, b"a"), (1, b"b")):
            answer = fetch(bench, number, token, code)
            assert answer.options.get(n.ETAG) == firsts[which].options.get(n.ETAG)
            parts[which].append(answer.payload)
    assert [b"".join(found) for found in parts] == [BODY, BODY[::-1]]


def test_with_a_token_per_block_a_body_is_known_by_its_next_block(bench, box):
    begin(bench, box, BODY, b"1")
    assert fetch(bench, 1, b"2").payload == BODY[64:128]
    begin(bench, box, BODY[::-1], b"3")
    assert fetch(bench, 2, b"4").payload == BODY[128:192]
    assert fetch(bench, 1, b"5").payload == BODY[::-1][64:128]


def test_a_block_that_may_be_of_two_bodies_is_4_08_after_post_and_made_anew_after_get(bench, box):
    begin(bench, box, BODY, b"1")
    begin(bench, box, BODY[::-1], b"2")
    assert fetch(bench, 1, b"3").code == n.REQUEST_ENTITY_INCOMPLETE
    begin(bench, box, BODY, b"4", n.GET)
    begin(bench, box, BODY[::-1], b"5", n.GET)
    newest = box.response = Message(n.CONTENT, b"newest" * 30)
    assert fetch(bench, 1, b"6", n.GET).payload == newest.payload[64:128]


def test_two_downlinks_at_a_time_arrive_each_by_its_own_last_block(bench, box):
    outcome = []
    box.response = None
    for token, body in ((b"a", BODY), (b"b", BODY[::-1])):
        bench.ask(n.POST, "i", b"x", (n.BLOCK2, block(0, False)), token=token)
        box.exchanges[-1].reply(Message(n.CHANGED, body), lambda token=token: outcome.append(token), print)
    fetch(bench, 3, b"a")
    assert outcome == [b"a"]
    fetch(bench, 3, b"b")
    assert outcome == [b"a", b"b"]


def test_a_peer_has_few_bodies_at_a_time(bench, box):
    for number in range(20):
        begin(bench, box, BODY + b"%d" % number, b"%d" % number)
    assert len(bench.endpoint.server.bodies) == 4
    bench.advance(31)
    assert (len(bench.endpoint.server.bodies), bench.endpoint.server.budget.used) == (0, 0)
