"""Requests for messages, one after another: one waits at the broker while nothing comes, several run while many messages do.

No I/O here: the owner asks, and says what came.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

IDLE = 1.0
"""Seconds between two requests to a broker that answers at once that it has nothing."""

Came = Callable[[int], None]
"""``came(count)``: a request brought so many messages; -1 if it failed."""


class Polling:
    """Asks from `start` to `stop`. ``ask(came)`` makes one request, and calls ``came`` once, later. ``most`` is how many may run
    at once; ``backoff(failures)`` are the seconds to wait after so many failures in a row. One that brings ``many`` messages is followed by one
    more than before, one that brings fewer by one less."""

    def __init__(
        self,
        clock: IReactorTime,
        ask: Callable[[Came], None],
        most: int,
        backoff: Callable[[int], float],
        many: int = 1,
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._most = most
        self._backoff = backoff
        self._many = many
        self._running = 0
        self._wanted = 1
        self._failures = 0
        self._timer: IDelayedCall | None = None
        self._is_open = self._is_paused = False
        self.not_before = 0.0
        """A time of the clock before which a failed request isn't tried again, where the broker said so."""

    def start(self) -> None:
        """Begin to ask."""
        self._is_open = True
        self._fill()

    def stop(self) -> None:
        """Ask no more."""
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause(self) -> None:
        """Ask no more for now. What is under way may still bring messages."""
        self._is_paused = True

    def resume(self) -> None:
        """Go on."""
        self._is_paused = False
        self._fill()

    def _fill(self) -> None:
        while self._is_open and not self._is_paused and self._timer is None and self._running < self._wanted:
            self._running += 1
            self._ask(self._listener(self._clock.seconds()))

    def _listener(self, asked: float) -> Came:
        def came(count: int) -> None:
            self._running -= 1
            if not self._is_open:
                return
            if count < 0:
                self._failures += 1
                self._wanted = 1
                self._wait(max(self._backoff(self._failures), self.not_before - self._clock.seconds()))
                return
            self._failures = 0
            self._wanted = self._next_wanted(count)
            if not count and self._clock.seconds() - asked < IDLE:
                self._wait(IDLE)
            self._fill()

        return came

    def _next_wanted(self, count: int) -> int:
        if count >= self._many:
            return min(self._most, self._wanted + 1)
        return max(1, self._wanted - 1) if count else 1

    def _wait(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._fill()
