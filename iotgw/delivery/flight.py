"""The records that were taken from the stream and are not settled: in flight, or waiting in line behind one that is.

The first of them is the low-water mark: everything before it is settled or parked.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence, Set, Sized

from iotgw.core.model import TelemetryRecord
from iotgw.delivery.lines import KeyOf, Lines, by_device, by_itself


class Flight:
    """Records in memory, in stream order. With ``ordered``, a device has at most one send under way.

    All records here are *held*. Those that the target has and did not answer yet are *in flight*.

    Many methods: each step of a record's way is one, of a few lines.
    """

    def __init__(self, ordered: bool) -> None:
        self._ordered = ordered
        self.key_of: KeyOf = by_device if ordered else by_itself
        self._lines = Lines()
        self.ready_lines: Sized = self._lines.ready
        """The lines whose first record may be sent (a live view)."""
        self._held: dict[int, TelemetryRecord] = {}
        self._flying: dict[int, TelemetryRecord] = {}
        self.in_flight: Set[int] = self._flying.keys()
        """A live view of the positions that the target has."""

    # --- what there is

    def __iter__(self) -> Iterator[TelemetryRecord]:
        """All held records, oldest first."""
        return iter(self._held.values())

    @property
    def first(self) -> TelemetryRecord | None:
        """The oldest held record; None when there is none."""
        return next(iter(self._held.values()), None)

    @property
    def waiting(self) -> int:
        """How many records wait in their lines."""
        return self._lines.size

    def holds(self, seq: int) -> bool:
        """Whether a record is held."""
        return seq in self._held

    def in_flight_of(self, seqs: Sequence[int]) -> list[TelemetryRecord]:
        """The records at these positions that the target has."""
        return [self._flying[seq] for seq in seqs if seq in self._flying]

    # --- out to the target

    def admit(
        self, records: Sequence[TelemetryRecord], batch: list[TelemetryRecord], mine: set[Hashable] | None
    ) -> None:
        """Hold new records of the stream. Those that may be sent are added to ``batch``; the others wait in line.

        ``mine`` is the set of keys in the batch, if it may carry several records with one key, else None. New keys are
        added to it.
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
        """How the first record of the next line is marked: False to be sent by itself, True to be sent with nothing else
        in flight, None when it isn't marked."""
        return self._lines.next_mark()

    def is_marked(self, record: TelemetryRecord) -> bool:
        """Whether a record has to be sent by itself."""
        return self._lines.mark_of(record.seq) is not None

    def take_line(self, limit: int) -> list[TelemetryRecord]:
        """The first records of the next line, at most ``limit``. Each must be given to `launch` or `end`."""
        return self._lines.take(limit)

    def launch(self, batch: Sequence[TelemetryRecord]) -> None:
        """The target gets these records: they are in flight now."""
        flying = self._flying
        for record in batch:
            flying[record.seq] = record

    # --- back from it

    def land(self, seqs: Sequence[int]) -> tuple[list[TelemetryRecord], list[int]]:
        """The target settled these positions. Returns the records, and the positions that are not held here."""
        flying, held, lines, ordered = self._flying, self._held, self._lines, self._ordered
        landed: list[TelemetryRecord] = []
        others: list[int] = []
        for seq in seqs:
            record = flying.pop(seq, None)
            if record is None:
                others.append(seq)
                continue
            del held[seq]
            lines.done(record.device_name if ordered else seq)
            landed.append(record)
        lines.unmark(seqs)
        return landed, others

    def back(self, seqs: Sequence[int]) -> None:
        """Put those that are in flight back at the head of their lines, to be sent again."""
        for seq in seqs:
            record = self._flying.pop(seq, None)
            if record is not None:
                self._lines.back(self.key_of(record), record)

    def back_all(self) -> None:
        """Put back all that is in flight, to be sent again."""
        self.back(list(self._flying))

    def is_alone(self, seq: int) -> bool:
        """Whether a record in flight was sent by itself because it was marked. True also if it isn't held here."""
        return seq not in self._flying or self._lines.mark_of(seq) is not None

    def apart(self, seqs: Sequence[int]) -> None:
        """As `back`, but each is sent by itself next time."""
        for seq in seqs:
            self._lines.mark(seq, alone=False)
        self.back(seqs)

    def suspect(self, seq: int) -> bool:
        """Send a record with nothing else in flight next time. Returns True if it was sent that way already."""
        if self._lines.mark_of(seq):
            return True
        self._lines.mark(seq, alone=True)
        return False

    # --- out of here

    def end(self, record: TelemetryRecord) -> None:
        """A record from `take_line` was settled without being sent."""
        del self._held[record.seq]
        self._lines.unmark((record.seq,))
        self._lines.done(self.key_of(record))

    def lift(self, seq: int) -> TelemetryRecord | None:
        """Remove a record in flight and return it; None if it isn't held here. Its line is blocked until `free`."""
        record = self._flying.pop(seq, None)
        if record is not None:
            del self._held[seq]
            self._lines.unmark((seq,))
        return record

    def empty_line(self, record: TelemetryRecord) -> list[TelemetryRecord]:
        """Remove the records that wait behind this one and return them, in order."""
        behind = self._lines.empty(self.key_of(record))
        for later in behind:
            del self._held[later.seq]
        return behind

    def free(self, record: TelemetryRecord) -> None:
        """Unblock the line of a record that was lifted."""
        self._lines.done(self.key_of(record))

    def shed(self, ends: Callable[[TelemetryRecord], bool]) -> bool:
        """Remove the oldest of those that wait, while ``ends(record)`` says that it came to an end. True when that were
        all."""
        ended: set[int] = set()
        for seq, record in self._held.items():
            if seq in self._flying:
                continue
            if not ends(record):
                break
            ended.add(seq)
        if ended:
            for seq in ended:
                del self._held[seq]
            self._lines.drop(ended)
        return not self._lines.size

    def clear(self) -> list[TelemetryRecord]:
        """Remove all records that wait in lines and return them, in order."""
        waiting = sorted(self._lines.clear(), key=lambda record: record.seq)
        for record in waiting:
            del self._held[record.seq]
        return waiting
