"""Bodies that the client role sends and fetches in blocks, from peers that don't do it well."""

from __future__ import annotations

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.coap.limits import EndpointLimits
from iotgw.wire.coap.message import Message, encode, options, uri_options
from iotgw.wire.coap.timing import Policy
from tests.unit.wire.coap.bench import PEER, Bench

BODY = bytes(range(200))
SMALL = Policy(block_size=64, max_body=1000)


class Asked(Bench):
    """A bench with one request under way; ``sent`` is what it sent last."""

    def __init__(self, payload=BODY, policy=SMALL, code=n.POST, **settings):
        super().__init__(**settings)
        self.answers = []
        self.failures = []
        request = Message(code, payload, options(*uri_options("a")))
        self.endpoint.request(request, PEER, self.answers.append, self.failures.append, policy)
        (self.last,) = self.take()

    def answer(self, code, payload=b"", *pairs):
        """Answer what was sent last; its follow-up."""
        last = self.last
        sent = self.put_in(encode(n.ACK, code, last.mid, last.token, options(*pairs), payload))
        if sent:
            (self.last,) = sent
        return sent

    @property
    def block1(self):
        return Block.of(self.last.options, n.BLOCK1)

    @property
    def block2(self):
        return Block.of(self.last.options, n.BLOCK2)

    @property
    def reasons(self):
        return [str(each) for each in self.failures]


def one(number, more, szx=2):
    return n.BLOCK1, Block(number, more, szx).value


def two(number, more, szx=2):
    return n.BLOCK2, Block(number, more, szx).value


@pytest.mark.parametrize("number", [1, 2, 1000])
def test_a_2_31_for_another_block_than_the_one_that_was_sent_is_not_taken_for_its_answer(number):
    bench = Asked()
    assert bench.answer(n.CONTINUE, b"", one(number, True)) == []
    assert bench.reasons == ["the response is about another block than the one that was sent"]


def test_a_2_31_that_asks_for_smaller_blocks_is_followed():
    bench = Asked()
    bench.answer(n.CONTINUE, b"", one(0, True, 0))
    assert bench.block1 == Block(4, True, 0)
    assert bench.last.payload == BODY[64:80]


def test_a_success_for_each_block_by_itself_lets_the_next_one_go():
    bench = Asked()
    for number in range(3):
        assert bench.block1 == Block(number, True, 2)
        bench.answer(n.CHANGED, b"", one(number, False))
    bench.answer(n.CHANGED, b"all", one(3, False))
    assert [answer.payload for answer in bench.answers] == [b"all"]


@pytest.mark.parametrize("code", [n.CHANGED, n.CREATED])
def test_a_success_before_the_whole_body_was_sent_is_none(code):
    bench = Asked()
    bench.answer(code)
    assert bench.reasons == ["the peer answered before it had the whole body"]


def test_a_2_31_that_nothing_can_follow_is_no_answer():
    bench = Asked(b"small")
    bench.answer(n.CONTINUE)
    assert bench.reasons == ["the peer answered before it had the whole body"]


def test_an_error_in_the_middle_of_a_body_is_its_answer():
    bench = Asked()
    bench.answer(n.CONTINUE, b"", one(0, True))
    bench.answer(n.REQUEST_ENTITY_INCOMPLETE, b"lost", one(1, True))
    assert [answer.code for answer in bench.answers] == [n.REQUEST_ENTITY_INCOMPLETE]


@pytest.mark.parametrize(("size", "szx"), [(1024, 1), (64, 0)])
def test_a_4_13_that_asks_for_smaller_blocks_gets_them_also_after_a_body_in_one_piece(size, szx):
    bench = Asked(policy=Policy(block_size=size))
    bench.answer(n.REQUEST_ENTITY_TOO_LARGE, b"", one(0, False, szx))
    assert bench.block1 == Block(0, True, szx)
    assert bench.last.payload == BODY[: 16 << szx]


def test_a_4_13_that_asks_for_larger_blocks_is_final():
    bench = Asked()
    bench.answer(n.REQUEST_ENTITY_TOO_LARGE, b"", one(0, False, 6))
    assert [answer.code for answer in bench.answers] == [n.REQUEST_ENTITY_TOO_LARGE]


def test_an_echo_asked_for_in_the_middle_repeats_that_block_only():
    bench = Asked()
    bench.answer(n.CONTINUE, b"", one(0, True))
    bench.answer(n.UNAUTHORIZED, b"", (n.ECHO, b"sign"))
    assert bench.block1 == Block(1, True, 2)
    assert bench.last.options.get(n.ECHO) == b"sign"


# --- bodies that come ---


def test_the_code_of_the_first_block_counts_as_some_servers_send_another_one_with_the_rest():
    bench = Asked(b"")
    bench.answer(n.CHANGED, b"a" * 64, two(0, True))
    bench.answer(n.CONTENT, b"b", two(1, False))
    assert [(answer.code, len(answer.payload)) for answer in bench.answers] == [(n.CHANGED, 65)]


@pytest.mark.parametrize(
    "second",
    [
        (n.CONTENT, b"b" * 64, two(0, True)),
        (n.CONTENT, b"b" * 64, two(2, False)),
        (n.CONTENT, b"b" * 10, two(1, True)),
        (n.CONTENT, b"b" * 10, two(1, False), (n.ETAG, b"\x02")),
        (n.CONTENT, b"b" * 10),
        (n.NOT_FOUND, b"gone"),
    ],
    ids=["the first again", "one left out", "cut", "another tag", "no block", "an error"],
)
def test_a_response_whose_blocks_do_not_fit_together_fails_with_its_first_block(second):
    bench = Asked(b"", code=n.GET)
    bench.answer(n.CONTENT, b"a" * 64, two(0, True), (n.ETAG, b"\x01"))
    assert bench.block2 == Block(1, False, 2)
    assert bench.answer(*second) == []
    (failure,) = bench.failures
    assert (failure.reason, failure.first.payload) == ("the response changed between its blocks", b"a" * 64)
    assert bench.endpoint.server.budget.used == 0


def test_a_response_is_no_larger_than_the_policy_allows():
    bench = Asked(b"", code=n.GET)
    for number in range(16):
        bench.answer(n.CONTENT, b"a" * 64, two(number, True))
    assert bench.reasons == ["the response is larger than allowed"]
    assert bench.failures[0].first.payload == b"a" * 64
    assert bench.endpoint.server.budget.used == 0


def test_all_responses_together_are_no_larger_than_the_endpoint_allows():
    bench = Asked(b"", code=n.GET, limits=EndpointLimits(body_bytes=100))
    bench.answer(n.CONTENT, b"a" * 64, two(0, True))
    assert bench.endpoint.server.budget.used == 64
    bench.answer(n.CONTENT, b"a" * 64, two(1, True))
    assert bench.reasons == ["too many responses are under way"]
    assert bench.endpoint.server.budget.used == 0


def test_a_large_answer_to_a_large_body_is_whole():
    bench = Asked()
    for number in range(3):
        bench.answer(n.CONTINUE, b"", one(number, True))
    bench.answer(n.CHANGED, b"a" * 64, one(3, False), two(0, True))
    assert (bench.last.payload, bench.block1) == (b"", None)
    bench.answer(n.CHANGED, b"b", two(1, False))
    assert [(answer.code, answer.payload) for answer in bench.answers] == [(n.CHANGED, b"a" * 64 + b"b")]
    assert bench.answers[0].options.get(n.BLOCK2) is None
