"""One heap for all the timers of an endpoint. Messages have no timers of their own."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timer:
    """A call that is due; ``cancel()`` it at any time."""

    __slots__ = ("_timers", "call", "due", "serial")

    def __init__(self, timers: Timers, due: float, serial: int, call: Callable[[float], None] | None) -> None:
        self._timers = timers
        self.due = due
        self.serial = serial
        self.call = call

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.serial) < (other.due, other.serial)

    def cancel(self) -> None:
        """Cancel the call."""
        if self.call is not None:
            self.call = None
            self._timers.cancelled += 1


class Timers:
    """Calls in order of time. A cancelled one is dropped when its time comes, or when most calls are cancelled."""

    def __init__(self) -> None:
        self.cancelled = 0
        self._heap: list[Timer] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, due: float, call: Callable[[float], None]) -> Timer:
        """Make ``call(now)`` at the time ``due``."""
        if self.cancelled > 1000 and self.cancelled * 2 > len(self._heap):
            self._heap = [timer for timer in self._heap if timer.call is not None]
            heapq.heapify(self._heap)
            self.cancelled = 0
        self._serial += 1
        timer = Timer(self, due, self._serial, call)
        heapq.heappush(self._heap, timer)
        return timer

    def run(self, now: float) -> float | None:
        """Make the calls that are due; returns when the next one is, None if there is none."""
        while (due := self.next) is not None and due <= now:
            timer = heapq.heappop(self._heap)
            call, timer.call = timer.call, None
            if call is not None:
                call(now)
        return due

    @property
    def next(self) -> float | None:
        """When the next call is due."""
        heap = self._heap
        while heap and heap[0].call is None:
            heapq.heappop(heap)
            self.cancelled -= 1
        return heap[0].due if heap else None
