"""When registrations end: one heap and one timer for all of them, whatever their number."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LOOK = 300.0
"""Most seconds between two looks at a name: a time that was put forward is noticed so much later at most."""


class Expiry:
    """Names by the time at which they are due. A name whose time was put off meanwhile is put back when it comes up, so
    putting it off costs nothing. ``due(name)`` gives its time now, None if it is gone; ``ended(name)`` is called when it is over.
    """

    def __init__(
        self, reactor: IReactorTime, due: Callable[[str], float | None], ended: Callable[[str], None]
    ) -> None:
        self._reactor = reactor
        self._due = due
        self._ended = ended
        self._heap: list[tuple[float, str]] = []
        self._call: IDelayedCall | None = None
        self._at = 0.0
        """The time for which it was made; its own is a little later."""

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at: float, name: str) -> None:
        """Look at a name at this time, at the latest."""
        heapq.heappush(self._heap, (min(at, self._reactor.seconds() + LOOK), name))
        self._schedule()

    def stop(self) -> None:
        """Look at nothing any more."""
        self._heap.clear()
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _schedule(self) -> None:
        if not self._heap:
            return
        first = self._heap[0][0]
        if self._call is not None and self._call.active():
            if self._at <= first:
                return
            self._call.cancel()
        self._at = first
        self._call = self._reactor.callLater(max(0.0, first - self._reactor.seconds()), self._look)

    def _look(self) -> None:
        self._call = None
        now = self._reactor.seconds()
        while self._heap and self._heap[0][0] <= now:
            _, name = heapq.heappop(self._heap)
            due = self._due(name)
            if due is None:
                continue
            if due > now:
                heapq.heappush(self._heap, (min(due, now + LOOK), name))
            else:
                self._ended(name)
        self._schedule()
