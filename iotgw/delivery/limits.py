"""How much may wait for an integration, and for how long."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.core.model import TelemetryRecord
from iotgw.core.specs import QueueSpec
from iotgw.delivery.accounts import EXPIRED, Accounts
from iotgw.delivery.backlog import Backlog

FULL = "queue full"
"""Reason for what was dropped because too much waits."""


class QueueLimits:
    """Keeps one integration's queue within its settings. ``now_ms()`` is milliseconds since 1970."""

    def __init__(
        self, spec: QueueSpec, accounts: Accounts, backlog: Backlog, now_ms: Callable[[], int]
    ) -> None:
        self._accounts = accounts
        self._backlog = backlog
        self._now_ms = now_ms
        self.configure(spec)

    def configure(self, spec: QueueSpec) -> None:
        """Keep within these settings from now on."""
        self._spec = spec
        self._max_age_ms = int(spec.max_age * 1000)

    def oldest_ms(self, now_ms: int) -> int:
        """What was received before, in milliseconds since 1970, expires at ``now_ms``."""
        return now_ms - self._max_age_ms

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may."""
        return self._accounts.waiting_bytes >= self._spec.max_bytes

    def enforce(self) -> bool:
        """Settle the oldest in the stream: those that are too old, and those that are too many where the oldest is
        to be dropped. Returns whether there were any."""
        if not self._accounts.in_stream:
            return False
        accounts, oldest_ms, max_bytes = self._accounts, self.oldest_ms(self._now_ms()), self._spec.max_bytes
        shed = self._spec.overflow == "dropOldest"

        def reason_of(record: TelemetryRecord) -> str | None:
            if record.received_ms < oldest_ms:
                return EXPIRED
            return FULL if shed and accounts.waiting_bytes > max_bytes else None

        return self._backlog.sweep(reason_of) > 0
