"""Lines of records in memory, for at most one send in flight per device. The caller bounds their size."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Set, Sized

from iotgw.core.model import TelemetryRecord

KeyOf = Callable[[TelemetryRecord], Hashable]
"""The ordering key of a record: records with the same key are delivered one after another."""


def by_device(record: TelemetryRecord) -> Hashable:
    """The key where order matters: the device."""
    return record.device_name


def by_itself(record: TelemetryRecord) -> Hashable:
    """The key where order doesn't matter: the record's own position."""
    return record.seq


class Lines:
    """Records that were taken from the stream, in one line per ordering key (usually the device).

    A key is *busy* while any of its records is in flight. It is *ready* when it isn't busy and has records waiting.
    A position may carry a mark: False to be sent by itself, True to be sent with nothing else in flight at all.
    """

    def __init__(self) -> None:
        self._busy: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[TelemetryRecord]] = {}
        self.size = 0
        """How many records wait in all lines."""
        self._ready: deque[Hashable] = deque()
        self.ready: Sized = self._ready
        """The keys that are ready (a live view)."""
        self._single: dict[int, bool] = {}

    def mark(self, seq: int, alone: bool) -> None:
        """Send a record by itself from now on; with ``alone``, also with nothing else in flight."""
        self._single[seq] = alone

    def mark_of(self, seq: int) -> bool | None:
        """How a record is marked; None if it isn't."""
        return self._single.get(seq)

    def unmark(self, seqs: Iterable[int]) -> None:
        """Forget the marks of these positions."""
        if self._single:
            for seq in seqs:
                self._single.pop(seq, None)

    def claim(self, key: Hashable, mine: bool) -> bool:
        """Ask to send a new record. False means that it must be given to `hold`. ``mine`` says that the batch being made
        already has a record with this key."""
        if key in self._waiting:
            return False
        busy = self._busy
        if key in busy:
            if not mine:
                return False
            busy[key] += 1
        else:
            busy[key] = 1
        return True

    def hold(self, key: Hashable, record: TelemetryRecord) -> None:
        """Add a record to the end of its line."""
        self._waiting.setdefault(key, deque()).append(record)
        self.size += 1

    def next_mark(self) -> bool | None:
        """How the first record of the next ready line is marked; None if it isn't."""
        return self._single.get(self._waiting[self._ready[0]][0].seq) if self._single else None

    def take(self, limit: int) -> list[TelemetryRecord]:
        """The first records of the next ready line, at most ``limit``. They count as in flight now."""
        key = self._ready.popleft()
        line = self._waiting[key]
        taken = [line.popleft()]
        if taken[0].seq not in self._single:
            while line and len(taken) < limit and line[0].seq not in self._single:
                taken.append(line.popleft())
        if not line:
            del self._waiting[key]
        self.size -= len(taken)
        self._busy[key] = self._busy.get(key, 0) + len(taken)
        return taken

    def done(self, key: Hashable) -> None:
        """One of a key's records is no longer in flight."""
        left = self._busy[key] - 1
        if left:
            self._busy[key] = left
            return
        del self._busy[key]
        if key in self._waiting:
            self._ready.append(key)

    def back(self, key: Hashable, record: TelemetryRecord) -> None:
        """Put a record from flight back into its line, by position."""
        line = self._waiting.setdefault(key, deque())
        place = 0
        while place < len(line) and line[place].seq < record.seq:
            place += 1
        line.insert(place, record)
        self.size += 1
        self.done(key)

    def empty(self, key: Hashable) -> list[TelemetryRecord]:
        """Remove and return all records that wait in a key's line."""
        line = self._waiting.pop(key, None)
        if line is None:
            return []
        self.size -= len(line)
        if key not in self._busy:
            self._ready.remove(key)
        for record in line:
            self._single.pop(record.seq, None)
        return list(line)

    def drop(self, seqs: Set[int]) -> None:
        """Remove these records, which wait in lines."""
        for key, line in list(self._waiting.items()):
            left = deque(record for record in line if record.seq not in seqs)
            self.size -= len(line) - len(left)
            if left:
                self._waiting[key] = left
            else:
                del self._waiting[key]
        ready = [key for key in self._ready if key in self._waiting]
        self._ready.clear()
        self._ready.extend(ready)
        self.unmark(seqs)

    def clear(self) -> list[TelemetryRecord]:
        """Remove and return all waiting records, in no order."""
        waiting = [record for line in self._waiting.values() for record in line]
        self._waiting.clear()
        self._ready.clear()
        self._single.clear()
        self.size = 0
        return waiting
