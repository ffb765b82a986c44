"""Bodies that are larger than one wants in memory: sent as they are read, whole even where one datagram of ten is lost."""

from __future__ import annotations

import hashlib

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.coap.message import Message, options, uri_options
from iotgw.wire.coap.site import Resource, Site
from iotgw.wire.coap.timing import Policy, Timing
from tests.unit.wire.coap.network import Network

MEGABYTE = 1 << 20


class Counted:
    """A body that knows the largest slice that was read of it, and its hash."""

    def __init__(self, size):
        self.size, self.largest = size, 0

    def __len__(self):
        return self.size

    def __getitem__(self, part):
        start, stop, _ = part.indices(self.size)
        self.largest = max(self.largest, stop - start)
        return b"".join(
            hashlib.md5(number.to_bytes(4, "big"), usedforsecurity=False).digest()
            for number in range(start >> 4, (stop + 15) >> 4)
        )[: stop - start]

    @property
    def digest(self):
        return hashlib.sha256(self[0 : self.size]).hexdigest()


class Taking(Resource):
    """Takes a body."""

    methods = frozenset((n.PUT,))
    policy = Policy(max_body=2 * MEGABYTE, block_timeout=300.0)

    def __init__(self):
        self.bodies = []

    def render(self, request, exchange):
        self.bodies.append(hashlib.sha256(request.payload).hexdigest())
        exchange.reply(Message(n.CHANGED))


class Cutting(Resource):
    """Cuts its own blocks."""

    def __init__(self, body):
        self.body = body

    def render(self, request, exchange):
        block = Block.of(request.options, n.BLOCK2) or Block(0, False, 5)
        end = block.offset + block.size
        value = Block(block.number, end < len(self.body), block.szx).value
        exchange.reply(
            Message(n.CONTENT, self.body[block.offset : end], options((n.BLOCK2, value), (n.ETAG, b"e")))
        )


@pytest.mark.parametrize("seed", [1, 2])
def test_a_megabyte_arrives_whole_where_one_datagram_of_ten_is_lost(seed):
    network = Network(seed=seed, loss=0.1, repeat=0.02)
    taking, body = Taking(), Counted(MEGABYTE)
    site = Site()
    site.add(("5", "0", "0"), taking)
    network.endpoint("device", site)
    gateway = network.endpoint("gateway")
    answers, failures = [], []
    request = Message(n.PUT, b"", options(*uri_options("5/0/0"), (n.CONTENT_FORMAT, n.OCTET_STREAM)))
    policy = Policy(timing=Timing(max_retransmit=6))
    call = gateway.request(request, "device", answers.append, failures.append, policy, body=body)
    network.run(lambda: call.progress > MEGABYTE // 2, seconds=20_000)
    assert MEGABYTE // 2 < call.progress <= MEGABYTE // 2 + 1024
    assert body.largest == 1024
    network.run(lambda: answers or failures, seconds=20_000)
    assert ([answer.code for answer in answers], failures) == ([n.CHANGED], [])
    assert taking.bodies == [body.digest]


def test_a_small_long_body_goes_in_one_piece():
    network = Network()
    taking, body = Taking(), Counted(32)
    site = Site()
    site.add(("a",), taking)
    network.endpoint("device", site)
    answers = []
    gateway = network.endpoint("gateway")
    gateway.request(
        Message(n.PUT, b"", options(*uri_options("a"))), "device", answers.append, print, body=body
    )
    network.run(lambda: answers)
    assert taking.bodies == [body.digest]


def test_blocks_that_a_resource_has_cut_itself_are_put_together_over_losses():
    network = Network(seed=3, loss=0.1)
    body = Counted(20_000)
    site = Site()
    site.add(("fw",), Cutting(body))
    served = network.endpoint("gateway", site)
    answers = []
    device = network.endpoint("device")
    device.request(Message(n.GET, b"", options(*uri_options("fw"))), "gateway", answers.append, print)
    network.run(lambda: answers)
    assert hashlib.sha256(answers[0].payload).hexdigest() == body.digest
    assert (len(served.server.bodies), served.server.budget.used) == (0, 0)
