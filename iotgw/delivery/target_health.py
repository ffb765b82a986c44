"""The health of a target: whether it accepts records now, and what it answered last."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from iotgw.core.backoff import Backoff
from iotgw.core.breaker import Breaker
from iotgw.core.ports.integrations import Tell
from iotgw.core.specs import RetrySpec


class Last(Struct):
    """The figures that a user asks for first. Times are milliseconds since 1970, 0 for never."""

    error: str = ""
    error_ms: int = 0
    delivered_ms: int = 0
    response: str = ""


class TargetHealth:
    """The circuit breaker of an integration's target, and the target's last answers.

    ``now()`` is the time of the breaker in seconds, ``now_ms()`` milliseconds since 1970.
    """

    def __init__(
        self, retry: RetrySpec, now: Callable[[], float], now_ms: Callable[[], int], tell: Tell
    ) -> None:
        self._now = now
        self._now_ms = now_ms
        self._tell = tell
        self._breaker = Breaker(Backoff(retry))
        self.last = Last()

    def configure(self, retry: RetrySpec) -> None:
        """Start over with these settings, without regard to earlier failures."""
        self._breaker = Breaker(Backoff(retry))

    # --- what the target says

    def delivered(self, response: str) -> bool:
        """The target accepted records and answered ``response``; returns as `answered`."""
        last, breaker = self.last, self._breaker
        last.delivered_ms = self._now_ms()
        if response:
            last.response = response
        return (breaker.state != "closed" or breaker.shaken) and self.answered()

    def answered(self) -> bool:
        """The target is up, whatever it answered; True if that was in doubt until now."""
        breaker = self._breaker
        if breaker.state == "closed" and not breaker.shaken:
            return False
        if breaker.succeeded():
            self._tell("delivery.available", "the target is back", "info")
        return True

    def down(self, reason: str, after: float | None) -> None:
        """The target is down; ``after`` is the wait in seconds that it asked for."""
        self.note(reason)
        if self._breaker.failed(self._now(), after):
            self._tell("delivery.unavailable", f"the target is down: {reason}", "warning")

    def note(self, reason: str) -> None:
        """Keep the reason of a failure for people to read."""
        self.last.error = reason
        self.last.error_ms = self._now_ms()

    def nudge(self) -> None:
        """Let the target be tried now."""
        self._breaker.nudge(self._now())

    # --- what that means

    def allows(self, now: float) -> bool:
        """Whether something may be sent now."""
        return self._breaker.allows(now)

    @property
    def wants_another_probe(self) -> bool:
        """Whether this probe should use another record than the last one, which may be the reason for the
        failure."""
        return self._breaker.state == "half-open" and self._breaker.opened % 2 == 0

    @property
    def is_down(self) -> bool:
        """Whether the target has not answered since it went down; then the next send is a probe."""
        return self._breaker.state != "closed"

    @property
    def retry_at(self) -> float | None:
        """When something may be sent again, in the breaker's seconds; None if it may be sent now."""
        return self._breaker.retry_at if self._breaker.state == "open" else None
