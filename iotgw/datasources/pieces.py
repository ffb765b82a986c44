"""Work on many things of one sender, some at a time, so that everybody else has a turn in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")

PIECE = 100
"""Things of one turn."""


def in_pieces(
    clock: IReactorTime,
    things: Iterator[T],
    work: Callable[[T], object],
    done: Callable[[ValueError | None], object],
) -> None:
    """Call ``work`` for each of ``things``: for the first piece at once, for each further one in a turn of its own. ``done`` is called once: with None
    when there are no more, or with the ValueError that ``things`` raised, which ends them."""

    def turn() -> None:
        for _ in range(PIECE):
            try:
                thing = next(things)
            except StopIteration:
                done(None)
                return
            except ValueError as error:
                done(error)
                return
            work(thing)
        clock.callLater(0, turn)

    turn()


def piece_of(
    things: Iterator[T],
    work: Callable[[T], object],
    over: Callable[[], object],
    goes_on: Callable[[], bool],
) -> Callable[[], bool]:
    """What calls ``work`` for the next piece of ``things`` each time that it is called, and returns whether there may be more. ``over`` is called
    after the last one. It ends without that as soon as it no longer ``goes_on``."""

    def piece() -> bool:
        if not goes_on():
            return False
        count = 0
        for thing in islice(things, PIECE):
            work(thing)
            count += 1
        if count == PIECE:
            return True
        over()
        return False

    return piece
