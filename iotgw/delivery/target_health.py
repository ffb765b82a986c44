"""What is known of a target: whether it takes anything now, and what it said last."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from iotgw.core.backoff import Backoff
from iotgw.core.breaker import Breaker
from iotgw.core.ports.integrations import Tell
from iotgw.core.specs import RetrySpec


class Last(Struct):
    """What a person asks first. Times are milliseconds since 1970, 0 for never."""

    error: str = ""
    error_ms: int = 0
    delivered_ms: int = 0
    response: str = ""


class TargetHealth:
    """The circuit breaker of an integration's target, and the last that was heard of it.

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
        """Begin anew with these settings: nothing is held against the target."""
        self._breaker = Breaker(Backoff(retry))

    # --- what the target says

    def delivered(self, response: str) -> bool:
        """The target took something and answered ``response``; returns as `answered`."""
        last, breaker = self.last, self._breaker
        last.delivered_ms = self._now_ms()
        if response:
            last.response = response
        return (breaker.state != "closed" or breaker.shaken) and self.answered()

    def answered(self) -> bool:
        """The target is up, whatever it said; True when there was doubt until now."""
        breaker = self._breaker
        if breaker.state == "closed" and not breaker.shaken:
            return False
        if breaker.succeeded():
            self._tell("delivery.available", "the target is back", "info")
        return True

    def down(self, reason: str, after: float | None) -> None:
        """The target takes nothing; ``after`` is the wait in seconds that it asked for."""
        self.note(reason)
        if self._breaker.failed(self._now(), after):
            self._tell("delivery.unavailable", f"the target is down: {reason}", "warning")

    def note(self, reason: str) -> None:
        """Keep why something failed, for a person to look at."""
        self.last.error = reason
        self.last.error_ms = self._now_ms()

    def nudge(self) -> None:
        """Somebody knows that it is worth trying now."""
        self._breaker.nudge(self._now())

    # --- what that means

    def allows(self, now: float) -> bool:
        """Whether something may be sent now."""
        return self._breaker.allows(now)

    @property
    def wants_another_probe(self) -> bool:
        """Whether this probe should not be the record that the last one was: it may be the reason why it failed."""
        return self._breaker.state == "half-open" and self._breaker.opened % 2 == 0

    @property
    def is_down(self) -> bool:
        """Whether the target did not answer since it was down; what is sent then is a probe."""
        return self._breaker.state != "closed"

    @property
    def retry_at(self) -> float | None:
        """When something may be sent again, in the breaker's seconds; None when it may now."""
        return self._breaker.retry_at if self._breaker.state == "open" else None
