"""The circuit breaker of a target."""

from __future__ import annotations

from typing import Literal

from iotgw.core.backoff import LONGEST_RETRY_AFTER, Backoff


class Breaker:
    """Closed: everything is sent. Open: nothing is sent until ``retry_at``. Half-open: one probe is sent.

    It opens after ``threshold`` failures in a row, or at once when the target asks for a wait.
    Times are the reactor's seconds.
    """

    def __init__(self, backoff: Backoff, threshold: int = 3) -> None:
        self._backoff = backoff
        self._threshold = threshold
        self._failures = 0
        self.opened = 0
        """How often it opened since it was closed."""
        self.state: Literal["closed", "open", "half-open"] = "closed"
        self.retry_at = 0.0

    @property
    def shaken(self) -> bool:
        """Whether there were failures since the last success."""
        return self._failures > 0

    def allows(self, now: float) -> bool:
        """Whether something may be sent now; an open breaker becomes half-open when its time has come."""
        if self.state == "open" and now >= self.retry_at:
            self.state = "half-open"
        return self.state != "open"

    def succeeded(self) -> bool:
        """The target answered; True when that closed the breaker."""
        was_closed = self.state == "closed"
        self.state = "closed"
        self._failures = self.opened = 0
        return not was_closed

    def failed(self, now: float, after: float | None = None) -> bool:
        """The target is down; True when that opened a closed breaker."""
        self._failures += 1
        if self.state == "open":  # an answer to what was sent before it opened
            self.retry_at = max(self.retry_at, now + min(after or 0.0, LONGEST_RETRY_AFTER))
            return False
        was_closed = self.state == "closed"
        if was_closed and self._failures < self._threshold and after is None:
            return False
        self.retry_at = now + self._backoff.wait(self.opened, after)
        self.opened += 1
        self.state = "open"
        return was_closed

    def nudge(self, now: float) -> None:
        """Allow a probe now if the breaker is open."""
        if self.state == "open":
            self.retry_at = now
