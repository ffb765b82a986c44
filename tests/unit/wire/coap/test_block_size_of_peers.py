"""A peer that takes smaller blocks than the policy would send, as one behind DTLS may say in its handshake."""

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.coap.message import Message, options, uri_options
from iotgw.wire.coap.timing import Policy
from tests.unit.wire.coap.bench import OTHER, PEER, Bench, Box

BODY = bytes(range(256)) * 4
ROOMY = Policy(block_size=512)


@pytest.fixture
def bench():
    box = Box(Message(n.CONTENT, BODY), policy=ROOMY, observable=True)
    bench = Bench({"a": box})
    bench.box = box
    bench.endpoint.peers.block_size_of = lambda remote: 64 if remote == PEER else 1024
    return bench


def test_gets_responses_in_blocks_that_it_takes(bench):
    answer = bench.one(n.GET, "a")
    assert Block.of(answer.options, n.BLOCK2) == Block(0, True, 2)
    assert answer.payload == BODY[:64]


def test_leaves_other_peers_the_blocks_of_the_policy(bench):
    answer = bench.one(n.GET, "a", remote=OTHER)
    assert Block.of(answer.options, n.BLOCK2) == Block(0, True, 5)
    assert answer.payload == BODY[:512]


def test_may_ask_for_still_smaller_ones(bench):
    answer = bench.one(n.GET, "a", b"", (n.BLOCK2, Block(0, False, 0).value))
    assert answer.payload == BODY[:16]


def test_is_asked_to_upload_in_blocks_of_that_size(bench):
    answer = bench.one(n.POST, "a", BODY[:512], (n.BLOCK1, Block(0, True, 5).value))
    assert answer.code == n.CONTINUE
    assert Block.of(answer.options, n.BLOCK1) == Block(0, True, 2)


def test_gets_requests_in_blocks_that_it_takes(bench):
    bench.endpoint.request(Message(n.POST, BODY, options(*uri_options("b"))), PEER, print, print, ROOMY)
    (request,) = bench.take()
    assert Block.of(request.options, n.BLOCK1) == Block(0, True, 2)
    assert request.payload == BODY[:64]
