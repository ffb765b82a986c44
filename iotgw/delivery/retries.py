"""How often a record may fail for its own reason, and how long it waits in between."""

from __future__ import annotations

from iotgw.core.backoff import Backoff
from iotgw.core.specs import RetrySpec


class Retries:
    """The retry settings of one integration."""

    def __init__(self, spec: RetrySpec) -> None:
        self.configure(spec)

    def configure(self, spec: RetrySpec) -> None:
        """Use these settings from now on."""
        self._max_attempts = spec.max_attempts
        self._backoff = Backoff(spec)

    def wait(self, attempts: int, at_least: float | None) -> float | None:
        """Seconds until the next attempt at a record that failed ``attempts`` times; None if there is none.

        The wait is at least ``at_least``, the seconds that the target asked for."""
        return self._backoff.wait(attempts - 1, at_least) if attempts < self._max_attempts else None
