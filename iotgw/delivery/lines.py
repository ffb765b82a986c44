"""Lines of records in memory, for at most one send in flight per device. The user bounds their size."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sized

from iotgw.core.model import TelemetryRecord

KeyOf = Callable[[TelemetryRecord], Hashable]
"""The ordering key of a record: records with the same key are delivered one after another."""


def by_device(record: TelemetryRecord) -> Hashable:
    """The key if order matters: one record per device at a time."""
    return record.device_name


def by_itself(record: TelemetryRecord) -> Hashable:
    """The key if order doesn't matter: the record itself."""
    return record.seq


class Lines:
    """Records that were taken from the stream, in a line per device (or what else keys their order).

    A key is *busy* while some of its records are in flight, *ready* when it is not and records wait.
    A position may be marked to go out by itself: False in a send of its own, True with nothing else in
    flight at all.
    """

    def __init__(self) -> None:
        self._busy: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[TelemetryRecord]] = {}
        self.size = 0
        """How many records wait."""
        self._ready: deque[Hashable] = deque()
        self.ready: Sized = self._ready
        """The keys that are ready, to be looked at."""
        self._single: dict[int, bool] = {}

    def mark(self, seq: int, alone: bool) -> None:
        """From now on a record is sent by itself: in a send of its own, or ``alone`` in flight."""
        self._single[seq] = alone

    def mark_of(self, seq: int) -> bool | None:
        """How a record is marked; None if it isn't."""
        return self._single.get(seq)

    def unmark(self, seqs: Iterable[int]) -> None:
        """These records are settled."""
        if self._single:
            for seq in seqs:
                self._single.pop(seq, None)

    def claim(self, key: Hashable, mine: bool) -> bool:
        """Ask to send a new record; False when it must `hold`. ``mine``: the key is in the same send."""
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
        """Add a record to the end of its line, behind one in flight."""
        self._waiting.setdefault(key, deque()).append(record)
        self.size += 1

    def next_mark(self) -> bool | None:
        """How the first record of the next ready line is marked; None if it isn't."""
        return self._single.get(self._waiting[self._ready[0]][0].seq) if self._single else None

    def take(self, limit: int) -> list[TelemetryRecord]:
        """Records of the next ready line, at most ``limit``; they are in flight now."""
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
        """A record returns from flight; its place in the line is by position."""
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

    def clear(self) -> list[TelemetryRecord]:
        """Remove and return all waiting records, in no order."""
        waiting = [record for line in self._waiting.values() for record in line]
        self._waiting.clear()
        self._ready.clear()
        self._single.clear()
        self.size = 0
        return waiting
