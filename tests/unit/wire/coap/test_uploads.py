"""Which upload of a peer a block belongs to: tokens, Request-Tags, repetitions, and what can't be decided."""

from __future__ import annotations

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.timing import Policy
from tests.unit.wire.coap.bench import Bench, Box

A0, A1, A2, B0, B1, B2 = (bytes([letter]) * 64 for letter in b"ABCDEF")
TAIL = b"the end"


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def bench(box):
    return Bench({"i": box})


def put(bench, token, number, payload, more=True, szx=2, *pairs, **settings):
    """Send a block; what comes back at once."""
    value = Block(number, more, szx).value
    return bench.ask(n.POST, "i", payload, (n.BLOCK1, value), *pairs, token=token, **settings)


def codes(answers):
    return [n.dotted(answer.code) for answer in answers]


def stored(box):
    return [request.payload for request in box.requests]


def play(bench, steps):
    """Send ``(token, number, payload, more)`` and the codes that come back at once, step by step."""
    for step, (token, number, payload, more, expected) in enumerate(steps):
        found = codes(put(bench, token, number, payload, more))
        assert found == expected, f"step {step}: expected {expected}, got {found}"


ONE_TOKEN_EACH = [
    pytest.param(
        [
            (b"a", 0, A0, True, ["2.31"]),
            (b"b", 0, B0, True, ["2.31"]),
            (b"a", 1, TAIL, False, ["2.04"]),
            (b"b", 1, B1[:9], False, ["2.04"]),
        ],
        [A0 + TAIL, B0 + B1[:9]],
        id="the last blocks in the order of the first",
    ),
    pytest.param(
        [
            (b"a", 0, A0, True, ["2.31"]),
            (b"a", 1, A1, True, ["2.31"]),
            (b"b", 0, B0, True, ["2.31"]),
            (b"b", 1, B1, True, ["2.31"]),
            (b"a", 2, A2, True, ["2.31"]),
            (b"b", 2, TAIL, False, ["2.04"]),
            (b"a", 3, TAIL, False, ["2.04"]),
        ],
        [B0 + B1 + TAIL, A0 + A1 + A2 + TAIL],
        id="both in turns",
    ),
    pytest.param(
        [
            (b"a", 0, A0, True, ["2.31"]),
            (b"b", 0, A0, True, ["2.31"]),
            (b"c", 0, A0, True, ["2.31"]),
            (b"a", 1, A1, True, ["2.31"]),
            (b"b", 1, B1, True, ["2.31"]),
            (b"c", 1, TAIL, False, ["2.04"]),
            (b"b", 2, TAIL, False, ["2.04"]),
            (b"a", 2, TAIL, False, ["2.04"]),
        ],
        [A0 + TAIL, A0 + B1 + TAIL, A0 + A1 + TAIL],
        id="three that begin alike",
    ),
]


@pytest.mark.parametrize(("steps", "bodies"), ONE_TOKEN_EACH)
def test_uploads_that_keep_a_token_each_do_not_mix(bench, box, steps, bodies):
    play(bench, steps)
    assert stored(box) == bodies


def test_with_a_token_per_block_a_newer_upload_is_known_by_its_smaller_blocks(bench, box):
    put(bench, b"1", 0, A0)
    (answer,) = put(bench, b"2", 0, B0)
    assert answer.options.get_uint(n.BLOCK1) == Block(0, True, 1).value
    assert codes(put(bench, b"3", 1, A1)) == ["0.00"]  # it may be of the newer one, if that minds no sizes
    late, at_once = put(bench, b"4", 2, B1[:32], True, 1)
    assert (late.type, late.token, late.code) == (n.CON, b"3", n.CONTINUE)
    assert (at_once.type, at_once.token, at_once.code) == (n.ACK, b"4", n.CONTINUE)
    play(bench, [(b"5", 2, TAIL, False, ["2.04"])])
    assert codes(put(bench, b"6", 3, TAIL, False, 1)) == ["2.04"]
    assert stored(box) == [A0 + A1 + TAIL, B0 + B1[:32] + TAIL]


def test_a_last_block_that_waited_is_stored_when_it_is_known_whose_it_is(bench, box):
    put(bench, b"1", 0, A0)
    put(bench, b"2", 0, B0)
    assert codes(put(bench, b"3", 1, TAIL, False)) == ["0.00"]
    assert stored(box) == []
    assert codes(put(bench, b"4", 2, TAIL, False, 1)) == ["2.04", "2.04"]
    assert stored(box) == [A0 + TAIL, B0 + TAIL]


@pytest.mark.parametrize("first", [A1, B1], ids=["the older goes on", "the newer goes on"])
def test_what_cannot_be_decided_is_4_08_for_both_and_stored_for_none(bench, box, first):
    put(bench, b"1", 0, A0)
    put(bench, b"2", 0, B0)
    second = B1 if first is A1 else A1
    assert codes(put(bench, b"3", 1, first, False)) == ["0.00"]
    assert codes(put(bench, b"4", 1, second, False)) == ["4.08", "4.08"]
    assert stored(box) == []


def test_a_block_that_may_be_another_uploads_is_4_08_after_a_while_and_the_older_forgotten(bench, box):
    put(bench, b"1", 0, A0)
    put(bench, b"2", 0, B0)
    put(bench, b"3", 1, A1)
    assert codes(bench.advance(3)) == []
    assert codes(bench.advance(1)) == ["4.08"]
    assert codes(put(bench, b"4", 1, A1)) == ["4.08"]
    assert codes(put(bench, b"5", 2, TAIL, False, 1)) == ["2.04"]
    assert stored(box) == [B0 + TAIL]


def test_a_device_that_rebooted_starts_over_at_once_with_a_token_per_block(bench, box):
    play(bench, [(b"1", 0, A0, True, ["2.31"]), (b"2", 1, A1, True, ["2.31"]), (b"3", 0, B0, True, ["2.31"])])
    assert codes(put(bench, b"4", 2, B1[:32], True, 1)) == ["2.31"]
    assert codes(put(bench, b"5", 3, B1[:32], True, 1)) == ["2.31"]
    assert codes(put(bench, b"6", 4, TAIL, False, 1)) == ["2.04"]
    assert stored(box) == [B0 + B1 + TAIL]


def test_blocks_are_halved_twice_at_most_and_further_uploads_go_by_their_token(bench, box):
    answers = [put(bench, b"%d" % number, 0, bytes([number]) * 1024, True, 6)[0] for number in range(5)]
    sizes = [Block.of(answer.options, n.BLOCK1).size for answer in answers]
    assert sizes == [1024, 512, 256, 1024, 1024]
    assert codes(put(bench, b"4", 1, TAIL, False, 6)) == ["2.04"]
    assert stored(box) == [bytes([4]) * 1024 + TAIL]


def test_a_device_that_rebooted_starts_over_at_once_with_its_token(bench, box):
    play(
        bench,
        [
            (b"a", 0, A0, True, ["2.31"]),
            (b"a", 1, A1, True, ["2.31"]),
            (b"a", 0, B0, True, ["2.31"]),
            (b"a", 1, B1, True, ["2.31"]),
            (b"a", 2, TAIL, False, ["2.04"]),
        ],
    )
    assert stored(box) == [B0 + B1 + TAIL]


@pytest.mark.parametrize("later", [A1, B1], ids=["the same body", "a body that begins alike"])
def test_an_upload_that_starts_over_with_the_same_block_is_the_newer_one(bench, box, later):
    play(
        bench,
        [
            (b"a", 0, A0, True, ["2.31"]),
            (b"a", 1, A1, True, ["2.31"]),
            (b"a", 2, A2, True, ["2.31"]),
            (b"a", 0, A0, True, ["2.31"]),
            (b"a", 1, later, True, ["2.31"]),
            (b"a", 2, TAIL, False, ["2.04"]),
        ],
    )
    assert stored(box) == [A0 + later + TAIL]


def test_another_block_with_a_number_that_was_had_is_another_uploads(bench, box):
    play(
        bench,
        [
            (b"a", 0, A0, True, ["2.31"]),
            (b"a", 1, A1, True, ["2.31"]),
            (b"x", 1, B1, True, ["4.08"]),
            (b"a", 2, TAIL, False, ["2.04"]),
        ],
    )
    assert stored(box) == [A0 + A1 + TAIL]


def test_another_block_under_its_own_token_ends_an_upload(bench, box):
    play(
        bench,
        [
            (b"a", 0, A0, True, ["2.31"]),
            (b"a", 1, A1, True, ["2.31"]),
            (b"a", 1, B1, True, ["4.08"]),
            (b"a", 2, TAIL, False, ["4.08"]),
        ],
    )
    assert stored(box) == []


@pytest.mark.parametrize("tokens", [b"aaa", b"abc"], ids=["one token", "a token per block"])
def test_a_repeated_block_is_one_with_the_same_bytes(bench, box, tokens):
    first, second, third = (bytes([token]) for token in tokens)
    play(
        bench,
        [
            (first, 0, A0, True, ["2.31"]),
            (second, 1, A1, True, ["2.31"]),
            (second, 1, A1, True, ["2.31"]),
            (third, 2, TAIL, False, ["2.04"]),
            (third, 2, TAIL, False, ["2.04"]),
        ],
    )
    assert stored(box) == [A0 + A1 + TAIL]


def test_a_last_block_that_comes_again_under_a_new_token_is_stored_once(bench, box):
    play(
        bench,
        [
            (b"1", 0, A0, True, ["2.31"]),
            (b"2", 1, TAIL, False, ["2.04"]),
            (b"3", 1, TAIL, False, ["2.04"]),
            (b"4", 1, B1, False, ["4.08"]),
        ],
    )
    assert stored(box) == [A0 + TAIL]


@pytest.mark.parametrize("token", [b"a", b"b"], ids=["the same token", "another token"])
def test_a_lone_last_block_of_another_upload_is_4_08(bench, box, token):
    play(
        bench,
        [
            (b"a", 0, A0, True, ["2.31"]),
            (b"a", 1, TAIL, False, ["2.04"]),
            (token, 1, B1, False, ["4.08"]),
            (b"a", 1, TAIL, False, ["2.04"]),  # while the whole one's last block gets its answer
        ],
    )
    assert stored(box) == [A0 + TAIL]


def test_a_lone_last_block_with_the_bytes_of_another_uploads_is_4_08(bench, box):
    play(bench, [(b"a", 0, A0, True, ["2.31"]), (b"a", 1, TAIL, False, ["2.04"])])
    assert codes(put(bench, b"b", 1, TAIL, False)) == ["4.08"]
    assert stored(box) == [A0 + TAIL]


def test_a_body_of_one_block_passes_by_an_upload_under_way(bench, box):
    put(bench, b"1", 0, A0)
    assert codes(put(bench, b"2", 0, b"21.5", False)) == ["2.04"]
    assert codes(put(bench, b"3", 1, TAIL, False)) == ["2.04"]
    assert stored(box) == [b"21.5", A0 + TAIL]


def test_a_size_over_the_limit_ends_its_own_upload_alone(bench, box):
    put(bench, b"a", 0, A0)
    put(bench, b"a", 1, A1)
    put(bench, b"b", 0, B0)
    refused = put(bench, b"b", 1, B1, True, 2, (n.SIZE1, 1 << 30))
    assert codes(refused) == ["4.13"]
    play(bench, [(b"b", 2, TAIL, False, ["4.08"]), (b"a", 2, TAIL, False, ["2.04"])])
    assert stored(box) == [A0 + A1 + TAIL]


def test_whole_uploads_do_not_count_as_under_way(bench, box):
    for number in range(100):
        token = b"%d" % number
        play(bench, [(token, 0, A0, True, ["2.31"]), (token, 1, TAIL, False, ["2.04"])])
    uploads = bench.endpoint.server.uploads
    assert len(uploads) == Policy().max_uploads
    bench.advance(31)
    assert (len(uploads), bench.endpoint.server.budget.used) == (0, 0)


def test_a_block_that_waits_ends_with_its_session(bench, box):
    put(bench, b"1", 0, A0)
    put(bench, b"2", 0, B0)
    put(bench, b"3", 1, A1)
    bench.endpoint.forget(("192.0.2.1", 40000))
    assert bench.advance(100) == []
    server = bench.endpoint.server
    assert (len(server.uploads), server.budget.used) == (0, 0)


def test_a_last_block_waits_for_its_response_though_another_upload_begins(bench, box):
    box.response = None
    play(
        bench,
        [
            (b"a", 0, A0, True, ["2.31"]),
            (b"a", 1, TAIL, False, []),
            (b"a", 0, B0, True, ["2.31"]),
            (b"a", 1, B1, True, ["2.31"]),
        ],
    )
    box.exchanges[0].reply(Message(n.CHANGED))
    assert codes(bench.take()) == ["2.04"]
    assert codes(put(bench, b"a", 2, TAIL, False)) == []
    assert stored(box) == [A0 + TAIL, B0 + B1 + TAIL]
