"""Uploads of one peer in any order: what is stored is one of them, whole, and once."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode
from iotgw.wire.coap.site import Site
from tests.unit.wire.coap.bench import Bench, Box
from tests.unit.wire.coap.network import Network
from tests.unit.wire.coap.uploaders import CHANGING_TOKENS, ONE_TOKEN, TAGS, Upload, Uploaders

LETTERS = b"abc"


def bodies(number):
    """Bodies that begin, go on and end alike more often than not, no two of them the same."""
    parts = st.lists(st.sampled_from([bytes([letter]) * 32 for letter in LETTERS]), min_size=2, max_size=4)
    ends = st.sampled_from([b"", b"x", b"y" * 20])
    body = st.tuples(parts, ends).map(lambda found: b"".join(found[0]) + found[1])
    return st.lists(body, min_size=number, max_size=number, unique=True)


class Peer:
    """Uploads of one address, by hand."""

    def __init__(self, uploads):
        self.box = Box()
        self.bench = Bench({"i": self.box})
        self.uploads = uploads
        self._mids = itertools.count(1)
        self._tokens = itertools.count(1)

    def step(self, number, how):
        """Let an upload send its next block, or what it sent once more; what is late comes when time passes."""
        if how == "wait":
            self._hand_out(self.bench.advance(number % 4 * 0.7))
            return
        upload = self.uploads[number % len(self.uploads)]
        if upload.can_send:
            data = upload.next(next(self._mids), b"%d" % next(self._tokens))
        elif upload.block is None or how == "next":
            return
        elif how == "copy":
            data = upload.again(upload.mid)
        else:
            data = upload.again(next(self._mids))
        self._hand_out(self.bench.put_in(data))

    def finish(self):
        """Let every upload go on in turns until it has its last answer."""
        for _ in range(200):
            for number, upload in enumerate(self.uploads):
                if upload.can_send:
                    self.step(number, "next")
            if all(upload.code is not None for upload in self.uploads):
                return
            self._hand_out(self.bench.advance(0.1))
        raise AssertionError("it never ends")

    def _hand_out(self, answers):
        for answer in answers:
            if answer.type == n.CON:
                self.bench.endpoint.datagram(
                    encode(n.ACK, n.EMPTY, answer.mid), ("192.0.2.1", 40000), self.bench.now
                )
            for upload in self.uploads:
                if answer.code and answer.token == upload.token:
                    upload.take(answer)

    def check(self):
        """Nothing mixed, nothing twice, and nothing acknowledged that is not there."""
        stored = Counter(request.payload for request in self.box.requests)
        assert stored <= Counter(upload.body for upload in self.uploads)
        for upload in self.uploads:
            assert upload.code in (n.CHANGED, n.REQUEST_ENTITY_INCOMPLETE)
            assert upload.code != n.CHANGED or stored[upload.body] == 1


def steps(*hows):
    return st.lists(st.tuples(st.integers(0, 3), st.sampled_from(hows)), max_size=40)


@given(
    kind=st.sampled_from([TAGS, ONE_TOKEN]),
    found=bodies(4),
    order=steps("next", "next", "next", "copy", "repeat", "wait"),
)
@settings(max_examples=150, deadline=None)
def test_uploads_that_can_be_told_apart_are_all_stored(kind, found, order):
    peer = Peer([Upload(number, body, 1, kind) for number, body in enumerate(found)])
    for step in order:
        peer.step(*step)
    peer.finish()
    peer.check()
    assert len(peer.box.requests) == len(found)


@given(found=bodies(3), order=steps("next", "next", "copy"))
@settings(max_examples=150, deadline=None)
def test_with_a_token_per_block_three_at_a_time_are_all_stored(found, order):
    peer = Peer([Upload(number, body * 3, 3, CHANGING_TOKENS) for number, body in enumerate(found)])
    for step in order:
        peer.step(*step)
    peer.finish()
    peer.check()
    assert len(peer.box.requests) == len(found)


@given(
    minds_size=st.booleans(), found=bodies(4), order=steps("next", "next", "next", "copy", "repeat", "wait")
)
@example(
    minds_size=True,
    found=[b"a" * 64, b"a" * 64 + b"x", b"c" * 32 + b"a" * 32, b"b" * 64],
    order=[(1, "next"), (0, "next"), (3, "next"), (0, "next"), (1, "next"), (0, "repeat")],
)
@settings(max_examples=300, deadline=None)
def test_with_a_token_per_block_and_pauses_nothing_is_mixed(minds_size, found, order):
    peer = Peer([Upload(number, body, 1, CHANGING_TOKENS, minds_size) for number, body in enumerate(found)])
    for step in order:
        peer.step(*step)
    peer.finish()
    peer.check()


@pytest.mark.parametrize(
    ("kind", "each"), [(TAGS, 10), (ONE_TOKEN, 10), (CHANGING_TOKENS, 1), (CHANGING_TOKENS, 2)]
)
def test_the_uploads_of_a_hundred_peers_get_through_loss_and_copies(kind, each):
    """Each is stored whole and once. Those that can't be told apart are refused at times, and begin anew."""
    network, box, site = Network(seed=3, loss=0.05, repeat=0.1), Box(), Site()
    site.add(("i",), box)
    server = network.endpoint("server", site)
    random = Random(7)
    uploads = [
        Upload(number, random.randbytes(random.randrange(200, 700)), 2, kind) for number in range(100 * each)
    ]
    for peer in range(100):
        Uploaders(network, f"peer {peer}", uploads[peer * each : peer * each + each])
    assert network.run(lambda: all(upload.code == n.CHANGED for upload in uploads), 600)
    assert Counter(request.payload for request in box.requests) == Counter(upload.body for upload in uploads)
    network.run(seconds=100)
    assert (len(server.server.uploads), server.server.budget.used) == (0, 0)
