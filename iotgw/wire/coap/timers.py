"""One heap for all the timers of an endpoint. What happens per message has no timer of its own."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timer:
    """A call that is due; ``cancel()`` it at any time."""

    __slots__ = ("call", "due", "serial")

    def __init__(self, due: float, serial: int, call: Callable[[float], None] | None) -> None:
        self.due = due
        self.serial = serial
        self.call = call

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.serial) < (other.due, other.serial)

    def cancel(self) -> None:
        """Never make the call."""
        self.call = None


class Timers:
    """Calls in the order of their times. A cancelled one is dropped when it comes up."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, due: float, call: Callable[[float], None]) -> Timer:
        """Make ``call(now)`` at the time ``due``."""
        self._serial += 1
        timer = Timer(due, self._serial, call)
        heapq.heappush(self._heap, timer)
        return timer

    def run(self, now: float) -> float | None:
        """Make the calls that are due; returns when the next one is, None if there is none."""
        heap = self._heap
        while heap:
            timer = heap[0]
            call = timer.call
            if call is not None and timer.due > now:
                return timer.due
            heapq.heappop(heap)
            if call is not None:
                timer.call = None
                call(now)
        return None

    @property
    def next(self) -> float | None:
        """When the next call is due."""
        heap = self._heap
        while heap and heap[0].call is None:
            heapq.heappop(heap)
        return heap[0].due if heap else None
