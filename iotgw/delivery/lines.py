"""Who goes next, when of each device one record at most may be in flight. In memory only; bounded by its user."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from iotgw.core.model import TelemetryRecord


class Lines:
    """Records that were taken from the stream, in a line per device (or what else keys their order).

    A key is *busy* while some of its records are in flight, *ready* when it is not and records wait.
    ``single`` marks positions that go out alone: False in a send of their own, True with nothing else in
    flight at all.
    """

    def __init__(self) -> None:
        self._busy: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[TelemetryRecord]] = {}
        self._size = 0
        self.ready: deque[Hashable] = deque()
        self.single: dict[int, bool] = {}

    def __len__(self) -> int:
        """How many records wait."""
        return self._size

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
        """A record waits at the end of its line, behind one in flight."""
        self._waiting.setdefault(key, deque()).append(record)
        self._size += 1

    def next_single(self) -> bool | None:
        """How the first of the next ready line wants to go: None for no matter."""
        return self.single.get(self._waiting[self.ready[0]][0].seq)

    def take(self, limit: int) -> list[TelemetryRecord]:
        """Records of the next ready line, at most ``limit``; they are in flight now."""
        key = self.ready.popleft()
        line = self._waiting[key]
        taken = [line.popleft()]
        if taken[0].seq not in self.single:
            while line and len(taken) < limit and line[0].seq not in self.single:
                taken.append(line.popleft())
        if not line:
            del self._waiting[key]
        self._size -= len(taken)
        self._busy[key] = self._busy.get(key, 0) + len(taken)
        return taken

    def done(self, key: Hashable) -> None:
        """One of a key's records is in flight no more."""
        left = self._busy[key] - 1
        if left:
            self._busy[key] = left
            return
        del self._busy[key]
        if key in self._waiting:
            self.ready.append(key)

    def back(self, key: Hashable, record: TelemetryRecord) -> None:
        """A record comes back from its flight; its place in the line is by position."""
        line = self._waiting.setdefault(key, deque())
        place = 0
        while place < len(line) and line[place].seq < record.seq:
            place += 1
        line.insert(place, record)
        self._size += 1
        self.done(key)

    def empty(self, key: Hashable) -> list[TelemetryRecord]:
        """All records that wait in a key's line; they wait here no more."""
        line = self._waiting.pop(key, None)
        if line is None:
            return []
        self._size -= len(line)
        if key not in self._busy:
            self.ready.remove(key)
        for record in line:
            self.single.pop(record.seq, None)
        return list(line)

    def clear(self) -> list[TelemetryRecord]:
        """All records that wait, in no order; they wait here no more."""
        waiting = [record for line in self._waiting.values() for record in line]
        self._waiting.clear()
        self.ready.clear()
        self.single.clear()
        self._size = 0
        return waiting
