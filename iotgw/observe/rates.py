"""How much there is of everything, second by second: once a second, it asks every room what it has counted, and keeps the differences in rings.

So nothing is counted twice on the way of a message, and nothing is written. A restart begins anew.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.ports.rates import (
    COARSE,
    COARSE_STEPS,
    FIGURES,
    FINE,
    FINE_STEPS,
    Counted,
    Figures,
    IRates,
    ISampled,
)
from iotgw.observe.live import LiveFeed

MOST = 300
"""Things that are followed; a further one is followed when another one goes. Each takes up to 40 kB."""
_LARGEST = 0xFFFFFFFF
Thing = tuple[Counted, str]


class Ring:
    """Figures of one thing: ``length`` steps of ``step`` seconds each. A step is found by its number: gateway time by ``step``."""

    __slots__ = ("_columns", "_first", "_last", "_length", "_step")

    def __init__(self, step: int, length: int, figures: int, second: int) -> None:
        self._step = step
        self._length = length
        self._columns = [array("I", bytes(4 * length)) for _ in range(figures)]
        self._first = self._last = second // step

    def add(self, second: int, grown: Sequence[int]) -> None:
        """Figures grew in the second; the last one is what it is now."""
        number = second // self._step
        for skipped in range(max(self._last + 1, number - self._length + 1), number + 1):
            for column in self._columns:
                column[skipped % self._length] = 0
        self._last = max(self._last, number)
        at = number % self._length
        *counts, level = self._columns
        for column, more in zip(counts, grown, strict=False):
            if more > 0:
                column[at] = min(_LARGEST, column[at] + more)
        level[at] = min(_LARGEST, max(0, grown[-1]))

    def read(self, first: int, seconds: int) -> list[int] | None:
        """How much each figure grew from a second on for so many, and what the last one was at their end; None where that is not known."""
        low, high = first // self._step, (first + seconds - 1) // self._step
        low, high = max(low, self._first, self._last - self._length + 1), min(high, self._last)
        if low > high:
            return None
        places = [number % self._length for number in range(low, high + 1)]
        *counts, level = self._columns
        return [*(sum(column[at] for at in places) for column in counts), level[places[-1]]]


class Followed:
    """One thing that is followed: its last figures, and how they grew."""

    __slots__ = ("coarse", "figures", "fine")

    def __init__(self, sample: Figures, second: int) -> None:
        size = len(sample.figures)
        self.figures = sample.figures
        self.fine = Ring(FINE, FINE_STEPS, size, second)
        self.coarse = Ring(COARSE, COARSE_STEPS, size, second)

    def took(self, sample: Figures, second: int) -> bool:
        """Take the figures of this second; returns whether any has changed."""
        now, before = sample.figures, self.figures
        grown = [new - old for new, old in zip(now, before, strict=True)]
        grown[-1] = now[-1]
        self.fine.add(second, grown)
        self.coarse.add(second, grown)
        self.figures = now
        return now != before


@implementer(IRates)
class RateMeter:
    """An `IRates` of what ``rooms`` count; what has changed goes to whoever looks on ``live``."""

    _log = Logger()

    def __init__(
        self, rooms: Sequence[ISampled], live: LiveFeed, clock: IReactorTime, most: int = MOST
    ) -> None:
        self._rooms = rooms
        self._live = live
        self._clock = clock
        self._most = most
        self._followed: dict[Thing, Followed] = {}
        self._was_watched = False
        self._loop = LoopingCall(self.take)
        self._loop.clock = clock

    def start(self) -> None:
        """Count from now on."""
        self._loop.start(1.0).addErrback(self._failed)

    def stop(self) -> None:
        """No more."""
        if self._loop.running:
            self._loop.stop()

    def _failed(self, failure: Failure) -> None:
        self._log.failure("figures are no longer counted by the second", failure)

    def take(self) -> None:
        """Ask every room."""
        second = int(self._clock.seconds())
        followed, self._followed = self._followed, {}
        changed: dict[str, list[Figures]] = {}
        is_watched = self._live.watchers("stats") > 0
        samples = [sample for room in self._rooms for sample in room.samples()]
        for sample in sorted(samples, key=lambda each: (each.kind, each.id) not in followed):
            if len(self._followed) >= self._most:
                break
            thing = sample.kind, sample.id
            its = followed.get(thing) or Followed(sample, second)
            self._followed[thing] = its
            has_changed = its.took(sample, second)
            if is_watched and (has_changed or not self._was_watched):
                changed.setdefault(sample.tenant, []).append(sample)
        self._was_watched = is_watched
        for tenant, those in changed.items():
            self._live.counted(tenant, those)

    def points(
        self, kind: Counted, id: str, step: int, first: int, count: int
    ) -> dict[str, list[int | None]]:
        """See `IRates.points`."""
        names = FIGURES[kind]
        followed = self._followed.get((kind, id))
        rows: list[Any] = [None] * count
        if followed is not None:
            ring = followed.fine if step < COARSE else followed.coarse
            rows = [ring.read(first + number * step, step) for number in range(count)]
        return {name: [None if row is None else row[at] for row in rows] for at, name in enumerate(names)}
