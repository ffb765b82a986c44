"""The records that were taken from the stream and have not come to an end: in flight, or in line behind one.

Their first is the low-water mark: all before it are settled or parked.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence, Set, Sized

from iotgw.core.model import TelemetryRecord
from iotgw.delivery.lines import KeyOf, Lines, by_device, by_itself


class Flight:
    """Records in memory, in the order of the stream. ``ordered``: of each device one send at a time.

    *Held* are all of them, *in flight* those that the target has and didn't answer yet.

    Many methods: each step of a record's way is one, of a few lines.
    """

    def __init__(self, ordered: bool) -> None:
        self._ordered = ordered
        self.key_of: KeyOf = by_device if ordered else by_itself
        self._lines = Lines()
        self.ready_lines: Sized = self._lines.ready
        """The lines whose first may go, to be looked at."""
        self._held: dict[int, TelemetryRecord] = {}
        self._flying: dict[int, TelemetryRecord] = {}
        self.in_flight: Set[int] = self._flying.keys()
        """The positions that the target has, as of now."""

    # --- what there is

    def __iter__(self) -> Iterator[TelemetryRecord]:
        """All that are held, oldest first."""
        return iter(self._held.values())

    @property
    def first(self) -> TelemetryRecord | None:
        """The oldest that is held."""
        return next(iter(self._held.values()), None)

    @property
    def waiting(self) -> int:
        """How many wait in their lines."""
        return self._lines.size

    def holds(self, seq: int) -> bool:
        """Whether a record is held."""
        return seq in self._held

    def in_flight_of(self, seqs: Sequence[int]) -> list[TelemetryRecord]:
        """Those of these records that the target has."""
        return [self._flying[seq] for seq in seqs if seq in self._flying]

    # --- out to the target

    def admit(
        self, records: Sequence[TelemetryRecord], batch: list[TelemetryRecord], mine: set[Hashable] | None
    ) -> None:
        """Hold new records of the stream: those that may go join ``batch``, the others wait in their lines.

        ``mine`` are the keys of the batch where it may carry several records of one; it is added to.
        """
        held, lines, ordered = self._held, self._lines, self._ordered
        for record in records:
            seq = record.seq
            key: Hashable = record.device_name if ordered else seq
            held[seq] = record
            if lines.claim(key, mine is not None and key in mine):
                batch.append(record)
                if mine is not None:
                    mine.add(key)
            else:
                lines.hold(key, record)

    def next_mark(self) -> bool | None:
        """Whether the first of the next line goes by itself: False in a send of its own, True with nothing else
        in flight; None when it doesn't matter."""
        return self._lines.next_mark()

    def is_marked(self, record: TelemetryRecord) -> bool:
        """Whether a record goes by itself."""
        return self._lines.mark_of(record.seq) is not None

    def take_line(self, limit: int) -> list[TelemetryRecord]:
        """The first records of the next line, at most ``limit``; to be launched or `end`ed."""
        return self._lines.take(limit)

    def launch(self, batch: Sequence[TelemetryRecord]) -> None:
        """The target gets these."""
        flying = self._flying
        for record in batch:
            flying[record.seq] = record

    # --- back from it

    def land(self, seqs: Sequence[int]) -> tuple[list[TelemetryRecord], list[int]]:
        """These came to an end at the target; returns the records, and the positions that are not from here."""
        flying, held, lines, key_of = self._flying, self._held, self._lines, self.key_of
        landed: list[TelemetryRecord] = []
        others: list[int] = []
        for seq in seqs:
            record = flying.pop(seq, None)
            if record is None:
                others.append(seq)
                continue
            del held[seq]
            lines.done(key_of(record))
            landed.append(record)
        lines.unmark(seqs)
        return landed, others

    def back(self, seqs: Sequence[int]) -> None:
        """Those of these that are in flight go again, first in their lines."""
        for seq in seqs:
            record = self._flying.pop(seq, None)
            if record is not None:
                self._lines.back(self.key_of(record), record)

    def back_all(self) -> None:
        """What is in flight goes again."""
        self.back(list(self._flying))

    def apart(self, seqs: Sequence[int]) -> None:
        """As `back`, each in a send of its own."""
        for seq in seqs:
            self._lines.mark(seq, alone=False)
        self.back(seqs)

    def suspect(self, seq: int) -> bool:
        """Send a record with nothing else in flight next time; True when it was so already."""
        if self._lines.mark_of(seq):
            return True
        self._lines.mark(seq, alone=True)
        return False

    # --- out of here

    def end(self, record: TelemetryRecord) -> None:
        """A record of `take_line` came to an end without being sent."""
        del self._held[record.seq]
        self._lines.unmark((record.seq,))
        self._lines.done(self.key_of(record))

    def lift(self, seq: int) -> TelemetryRecord | None:
        """Give a record in flight away; its line stands still until `free`. None when it isn't from here."""
        record = self._flying.pop(seq, None)
        if record is not None:
            del self._held[seq]
            self._lines.unmark((seq,))
        return record

    def empty_line(self, record: TelemetryRecord) -> list[TelemetryRecord]:
        """Give away, in order, what waits behind a record."""
        behind = self._lines.empty(self.key_of(record))
        for later in behind:
            del self._held[later.seq]
        return behind

    def free(self, record: TelemetryRecord) -> None:
        """The line of a record that was lifted may go on."""
        self._lines.done(self.key_of(record))

    def clear(self) -> list[TelemetryRecord]:
        """Give away, in order, all that waits in the lines."""
        waiting = sorted(self._lines.clear(), key=lambda record: record.seq)
        for record in waiting:
            del self._held[record.seq]
        return waiting
