"""What is committed together. It gathers in the reactor's thread while the previous group is being written.

A group is handed to the writer whole and isn't changed any more, so it needs no lock.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from twisted.internet.defer import Deferred

from iotgw.core.model import Counters, Outcome, Parked, Progress, StoredUplink, TelemetryRecord
from iotgw.core.ports.journal import Entries, Waiter

ROW_BYTES = 100
"""Bytes that a record weighs besides its texts, for the limit on what may wait."""


class SettledUplinks(Struct, frozen=True, gc=False):
    """Outcomes of a datasource's uplinks, and the position up to which it is done with them. ``kept`` of those uplinks
    have no outcome, and ``lost`` are given up unread."""

    datasource: str
    cursor: int
    outcomes: list[Outcome]
    kept: int = 0
    lost: int = 0


class Advance:
    """Progress of one integration: any number of `model.Progress` combined, of which the last to name a position
    wins."""

    __slots__ = ("counters", "cursor", "lent", "parked", "released")

    def __init__(self) -> None:
        self.cursor = 0
        self.counters = Counters()
        self.lent = False
        self.parked: dict[int, Parked] = {}
        self.released: set[int] = set()

    def add(self, progress: Progress) -> None:
        """Add further progress."""
        self.cursor = progress.cursor
        self.counters = progress.counters
        self.lent = progress.lent
        for seq in progress.released:
            self.parked.pop(seq, None)
            self.released.add(seq)
        for parked in progress.parked:  # a position that is both released and parked is parked
            seq = parked.record.seq
            self.parked[seq] = parked
            self.released.discard(seq)

    def then(self, later: Advance) -> None:
        """Add progress that was made after this."""
        self.add(
            Progress(
                "",
                later.cursor,
                later.counters,
                tuple(later.parked.values()),
                tuple(later.released),
                later.lent,
            )
        )


class Group:
    """Records for one commit.

    ``results`` holds settlements and events in order; both go to the telemetry stream.
    """

    __slots__ = ("entries", "forgotten", "haste", "progress", "results", "size", "waiters", "weight")

    def __init__(self) -> None:
        self.entries: Entries = []
        self.results: list[SettledUplinks | TelemetryRecord] = []
        self.haste = False
        """Whether somebody waits for a result."""
        self.progress: dict[str, Advance] = {}
        self.forgotten: list[str] = []
        self.waiters: list[Deferred[None]] = []
        self.size = 0
        """How many records it holds."""
        self.weight = 0
        """Roughly how many bytes it holds."""

    def __bool__(self) -> bool:
        """Whether there is something to write."""
        return bool(self.entries or self.results or self.progress or self.forgotten)

    @property
    def urgent(self) -> bool:
        """Whether to write it at once. Progress that nobody waits for may wait for company."""
        return bool(self.entries or self.haste or self.forgotten or self.waiters)

    def append(self, stored: StoredUplink, token: Waiter) -> None:
        """Add an uplink."""
        self.entries.append((stored, token))
        uplink = stored.uplink
        self.size += 1
        self.weight += len(uplink.payload) + len(uplink.metadata) + ROW_BYTES

    def put_first(self, entries: Entries) -> None:
        """Put uplinks before all others."""
        self.entries[:0] = entries
        self.size += len(entries)
        self.weight += weigh([stored for stored, _ in entries])

    def settle(self, settlement: SettledUplinks, haste: bool = True) -> None:
        """Add the outcomes of a datasource's uplinks. ``haste`` says that somebody waits for them."""
        self.haste |= haste
        self.results.append(settlement)
        self.size += len(settlement.outcomes) or 1
        self.weight += sum(
            [len(output.body) for outcome in settlement.outcomes for output in outcome.outputs], ROW_BYTES
        )

    def emit(self, record: TelemetryRecord) -> None:
        """Add an event."""
        self.haste = True
        self.results.append(record)
        self.size += 1
        self.weight += len(record.body) + ROW_BYTES

    def advance(self, progress: Progress) -> None:
        """Add an integration's progress."""
        known = self.progress.get(progress.integration)
        if known is None:
            known = self.progress[progress.integration] = Advance()
        known.add(progress)
        self.weight += sum([len(parked.record.body) for parked in progress.parked])

    def forget(self, integration: str) -> None:
        """Drop an integration, along with its progress in this group."""
        self.progress.pop(integration, None)
        self.forgotten.append(integration)

    def once_written(self) -> Deferred[None]:
        """Fires when all of it is durable, or was refused."""
        waiter: Deferred[None] = Deferred()
        self.waiters.append(waiter)
        return waiter

    def keep_for(self, later: Group) -> None:
        """The group could not be written: put everything but its uplinks before the content of ``later``, so that it
        isn't lost."""
        later.results[:0] = self.results
        later.haste |= self.haste
        earlier = self.progress
        for integration in later.forgotten:
            earlier.pop(integration, None)
        for integration, advance in later.progress.items():
            if integration in earlier:
                earlier[integration].then(advance)
            else:
                earlier[integration] = advance
        later.progress = earlier
        later.forgotten[:0] = self.forgotten
        later.waiters[:0] = self.waiters
        later.size += self.size - len(self.entries)
        later.weight += self.weight - weigh([stored for stored, _ in self.entries])


def weigh(uplinks: Iterable[StoredUplink]) -> int:
    """Bytes that these uplinks weigh in a group."""
    return sum([len(stored.uplink.payload) + len(stored.uplink.metadata) + ROW_BYTES for stored in uplinks])
