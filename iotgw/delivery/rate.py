"""A rate limit: a token bucket that holds a tenth of a second's tokens, but at least one."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.core.specs import IntegrationSpec


class Rate:
    """Limits sends to ``per_second`` records per second; 0 means no limit. Times are the reactor's seconds."""

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._tokens = self._at = 0.0

    def room(self, wanted: int, now: float) -> int:
        """How many of ``wanted`` may be sent now."""
        if not self._rate:
            return wanted
        most = max(self._rate / 10, 1.0)
        self._tokens = min(most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return min(wanted, int(self._tokens + 1e-6))  # a sum of floats may fall short of a whole

    def spend(self, count: int) -> None:
        """Take the tokens of ``count`` records that were sent."""
        if self._rate:
            self._tokens -= count

    def next(self, now: float) -> float | None:
        """When the next record may be sent; None without a limit."""
        return now + max(0.0, 1 - self._tokens) / self._rate if self._rate else None


RateOf = Callable[[IntegrationSpec], Rate]


def own_rate(spec: IntegrationSpec) -> Rate:
    """The limit of an outbox that has its target for itself."""
    return Rate(spec.queue.rate)
