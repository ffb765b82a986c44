"""How the journal's size limit (``store.max-bytes``) is divided among the integrations.

* Dead letters may take a quarter of it together, and so may parked records. Beyond that, the integration that has the
  most gives up its oldest. The stream has the rest: half of it at least.
* The stream is shared: a record that several integrations wait for is stored once, and all that came after it is kept
  too. So the queues are not added up. The journal measures what is there, and when everything that nobody waits for is
  gone and there is still too much (`ITelemetryStream.short`), the integrations that are furthest behind give up their
  oldest: with ``dropOldest`` they drop it; with ``rejectNew`` nothing new is accepted until they have delivered it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from iotgw.core.errors import SettingsError
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.specs import DeadLetterSpec, IntegrationSpec, QueueSpec

PART = 4
"""Dead letters may take one part in so many, and parked records another."""
ROW_BYTES = 200
"""About what a dead letter or a parked record takes in the database besides its body."""
NO_LIMIT = 1 << 62


class Allotment(Struct, frozen=True):
    """What one integration may take of the journal's room: bytes of the bodies of its dead letters and of its parked
    records. It gives up what waits in the stream up to a position, 0 for nothing; ``holds_up`` says that it would have
    to, but may not drop it."""

    max_dead: int = NO_LIMIT
    max_parked: int = NO_LIMIT
    give_up: int = 0
    holds_up: bool = False


class Holding(Struct, frozen=True):
    """What one integration takes of the journal's room. ``cursor`` is the position up to which it needs nothing; sizes are
    bytes of bodies."""

    drops: bool
    cursor: int
    dead: int
    dead_bytes: int
    parked: int
    parked_bytes: int


class Holder(Protocol):
    """Somebody who takes some of the journal's room."""

    def holding(self) -> Holding:
        """What it takes."""

    def allot(self, allotment: Allotment) -> None:
        """Take no more than this from now on."""


def divide(holdings: Sequence[Holding], short: int, max_bytes: int) -> list[Allotment]:
    """What each of these may take of a journal of ``max_bytes``, 0 for no limit, that is ``short`` up to a position."""
    dead = _limits([(each.dead, each.dead_bytes) for each in holdings], max_bytes)
    parked = _limits([(each.parked, each.parked_bytes) for each in holdings], max_bytes)
    # Nothing is freed by what others give up behind one that may not.
    until = min([short, *(each.cursor for each in holdings if not each.drops)])
    return [
        Allotment(
            max_dead,
            max_parked,
            until if each.drops and each.cursor < until else 0,
            not each.drops and each.cursor < short,
        )
        for each, max_dead, max_parked in zip(holdings, dead, parked, strict=True)
    ]


def _limits(held: Sequence[tuple[int, int]], max_bytes: int) -> list[int]:
    """Of rows and the bytes of their bodies, how many bytes each may have: whoever has the most gives up what is too much."""
    limits = [NO_LIMIT] * len(held)
    taken = [count * ROW_BYTES + size for count, size in held]
    over = sum(taken) - max_bytes // PART
    if max_bytes and over > 0:
        most = taken.index(max(taken))
        limits[most] = int(held[most][1] * max(0, taken[most] - over) / taken[most])
    return limits


class StoreRoom:
    """Divides a journal of ``max_bytes``, 0 for no limit."""

    def __init__(self, journal: ITelemetryStream, max_bytes: int) -> None:
        self._journal = journal
        self._max_bytes = max_bytes

    @property
    def short(self) -> int:
        """See `ITelemetryStream.short`."""
        return self._journal.short

    def divide(self, holders: Sequence[Holder]) -> None:
        """Tell each of these what it may take from now on."""
        allotments = divide([each.holding() for each in holders], self.short, self._max_bytes)
        for holder, allotment in zip(holders, allotments, strict=True):
            holder.allot(allotment)

    def check(self, spec: IntegrationSpec) -> None:
        """Raise SettingsError for limits that can't be reached: the journal has no room for so much."""
        for path, size, most in self._too_large(spec):
            raise SettingsError(
                path, f"expected at most {most}, what store.max-bytes leaves for it, got {size}"
            )

    def doubts(self, spec: IntegrationSpec, others: Iterable[IntegrationSpec]) -> list[str]:
        """What a person should know of the limits of an integration, beside those of others."""
        if not self._max_bytes:
            return []
        part, half, queue = self._max_bytes // PART, self._max_bytes // 2, spec.queue.max_bytes
        found = [
            f"{path} is {size}, but store.max-bytes leaves {most} for it: that is the limit"
            for path, size, most in self._too_large(spec)
        ]
        if _is_chosen(spec.queue) and half < queue <= self._max_bytes:
            found.append(
                f"queue.maxBytes is {queue}, but of store.max-bytes only {half} is always there for queues: dead letters "
                "and parked messages may take the rest"
            )
        if _is_chosen(spec.dead_letters) and spec.dead_letters.max_bytes <= part:
            total = sum(
                each.dead_letters.max_bytes for each in [spec, *others] if _is_chosen(each.dead_letters)
            )
            if total > part:
                found.append(
                    f"the integrations' deadLetters.maxBytes are {total} together, but store.max-bytes leaves {part} for "
                    "them: beyond that, whoever has the most loses its oldest"
                )
        return found

    def _too_large(self, spec: IntegrationSpec) -> list[tuple[str, int, int]]:
        """The limits that somebody chose, and that can't be reached: path, size, and the most that there is room for. A
        default means as much as there is room for."""
        queue, dead = spec.queue, spec.dead_letters
        limits = [
            ("queue.maxBytes", _is_chosen(queue), queue.max_bytes, self._max_bytes),
            ("deadLetters.maxBytes", _is_chosen(dead), dead.max_bytes, self._max_bytes // PART),
        ]
        return [
            (path, size, most)
            for path, chosen, size, most in limits
            if chosen and self._max_bytes > 0 and size > most
        ]


def _is_chosen(limits: QueueSpec | DeadLetterSpec) -> bool:
    return limits.max_bytes != type(limits)().max_bytes
