"""Many things of one sender: everybody else has a turn in between."""

from __future__ import annotations

import pytest

from iotgw.datasources.pieces import PIECE, in_pieces
from tests.unit.datasources.fakes import clock


@pytest.mark.parametrize("count", [0, 1, PIECE - 1])
def test_a_few_are_done_at_once(count):
    reactor, done, ends = clock(), [], []
    in_pieces(reactor, iter(range(count)), done.append, ends.append)
    assert (done, ends, reactor.getDelayedCalls()) == ([*range(count)], [None], [])


def test_more_are_done_in_order_some_in_each_turn():
    reactor, done, ends, seen = clock(), [], [], []

    def other() -> None:
        seen.append(len(done))
        if not ends:
            reactor.callLater(0, other)

    reactor.callLater(0, other)
    in_pieces(reactor, iter(range(10 * PIECE + 7)), done.append, ends.append)
    reactor.advance(0)
    assert (done, ends) == ([*range(10 * PIECE + 7)], [None])
    assert seen[:10] == [PIECE * turn for turn in range(1, 11)]


def test_a_fault_of_the_things_ends_them_and_one_of_the_work_is_nobody_s():
    def things():
        yield from range(PIECE + 1)
        raise ValueError("no more")

    reactor, done, ends = clock(), [], []
    in_pieces(reactor, things(), done.append, ends.append)
    reactor.advance(0)
    assert len(done) == PIECE + 1 and [str(end) for end in ends] == ["no more"]
    with pytest.raises(ValueError):
        in_pieces(reactor, iter("x"), int, ends.append)
    assert len(ends) == 1
