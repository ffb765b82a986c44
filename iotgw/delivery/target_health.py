"""The health of a target: whether it may be used now, and what it answered last."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from iotgw.core.backoff import Backoff
from iotgw.core.breaker import Breaker
from iotgw.core.ports.integrations import Tell
from iotgw.core.specs import RetrySpec


class Last(Struct):
    """The target's last answers, for the status. Times are milliseconds since 1970, 0 for never."""

    error: str = ""
    error_ms: int = 0
    delivered_ms: int = 0
    response: str = ""


class TargetHealth:
    """The circuit breaker of an integration's target, and the target's last answers.

    ``now()`` is the breaker's time in seconds, ``now_ms()`` the time in milliseconds since 1970.
    """

    def __init__(
        self, retry: RetrySpec, now: Callable[[], float], now_ms: Callable[[], int], tell: Tell
    ) -> None:
        self._now = now
        self._now_ms = now_ms
        self._tell = tell
        self._breaker = Breaker(Backoff(retry))
        self.last = Last()
        self.probes_whole = False
        """Whether a probe may be a whole batch: no record is the reason that the target is down, and one alone might get through
        where a batch doesn't."""

    def configure(self, retry: RetrySpec) -> None:
        """Start over with these settings. Earlier failures are forgotten."""
        self._breaker = Breaker(Backoff(retry))

    # --- what the target says

    def delivered(self, response: str) -> bool:
        """The target accepted records and answered ``response``. Returns as `answered`."""
        last, breaker = self.last, self._breaker
        last.delivered_ms = self._now_ms()
        if response:
            last.response = response
        return (breaker.state != "closed" or breaker.shaken) and self.answered()

    def answered(self) -> bool:
        """The target is up, whatever it answered. Returns True if that was in doubt until now."""
        breaker = self._breaker
        if breaker.state == "closed" and not breaker.shaken:
            return False
        if breaker.succeeded():
            self._tell("delivery.available", "the target is back", "info")
        return True

    def down(self, reason: str, after: float | None, is_certain: bool = False) -> None:
        """The target is down. ``after`` is the wait in seconds that it asked for, if any. ``is_certain`` as in `Unavailable`."""
        self.note(reason)
        self.probes_whole = is_certain
        if self._breaker.failed(self._now(), after):
            self._tell("delivery.unavailable", f"the target is down: {reason}", "warning")

    def note(self, reason: str) -> None:
        """Keep the reason of a failure for the status."""
        self.last.error = reason
        self.last.error_ms = self._now_ms()

    def nudge(self) -> None:
        """Allow an attempt now, without waiting out the backoff."""
        self._breaker.nudge(self._now())

    # --- what may be sent

    def allows(self, now: float) -> bool:
        """Whether something may be sent at ``now``."""
        return self._breaker.allows(now)

    @property
    def wants_another_probe(self) -> bool:
        """Whether this probe should use a different record, because the last one may be the reason for the failure.

        Not every second one: a target that reconnects fails probes in a rhythm of its own, and the same record could be the one that
        reaches it each time. Of every n-th number, this sequence (Thue–Morse) has both answers for every n."""
        return self._breaker.state == "half-open" and (self._breaker.opened - 1).bit_count() % 2 == 1

    @property
    def is_down(self) -> bool:
        """Whether the target has not answered since it went down. The next send is a probe then."""
        return self._breaker.state != "closed"

    @property
    def retry_at(self) -> float | None:
        """When something may be sent again, in the breaker's seconds; None if it may be sent now."""
        return self._breaker.retry_at if self._breaker.state == "open" else None
