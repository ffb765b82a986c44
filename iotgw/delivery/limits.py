"""How much may wait for an integration, and for how long. Whoever fills a limit pays for it."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.core.model import Parked, TelemetryRecord
from iotgw.core.specs import DeadLetterSpec, IntegrationSpec, QueueSpec
from iotgw.delivery.accounts import EXPIRED, Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.parking import Parking
from iotgw.delivery.progress import ProgressWriter
from iotgw.delivery.row_changes import RowChanges

FULL = "queue full"
"""Reason for what was dropped because too much waits."""
PARKED_SHARE = 0.1
"""What of a full queue is left to parked records: the rest is for those devices whose messages get through."""


class QueueLimits:
    """Keeps one integration's queue and dead letters within their settings. ``now_ms()`` is milliseconds since
    1970."""

    def __init__(
        self,
        spec: IntegrationSpec,
        accounts: Accounts,
        backlog: Backlog,
        parking: Parking,
        dead: DeadLetters,
        rows: RowChanges,
        now_ms: Callable[[], int],
        progress: ProgressWriter,
    ) -> None:
        self._accounts = accounts
        self._backlog = backlog
        self._parking = parking
        self._dead = dead
        self._rows = rows
        self._now_ms = now_ms
        self._progress = progress
        self.configure(spec)

    def configure(self, spec: IntegrationSpec) -> None:
        """Keep within these settings from now on."""
        self._spec: QueueSpec = spec.queue
        self._dead_spec: DeadLetterSpec = spec.dead_letters
        self._max_age_ms = int(spec.queue.max_age * 1000)
        self._max_parked = int(spec.queue.max_bytes * PARKED_SHARE)

    def oldest_ms(self, now_ms: int) -> int:
        """What was received before, in milliseconds since 1970, expires at ``now_ms``."""
        return now_ms - self._max_age_ms

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may. Of what is parked only its share counts: the rest of it has to go."""
        return self._charged() >= self._spec.max_bytes

    def _charged(self) -> int:
        accounts = self._accounts
        return accounts.waiting_bytes - max(0, accounts.parked_bytes - self._max_parked)

    def enforce(self) -> bool:
        """End the oldest: those that are too old, and those that are too many. Of too many, the parked go first as
        far as they exceed their share; of the stream none where the oldest isn't to be dropped. Returns whether
        there were any in the stream."""
        if self._is_parked_too_much():
            self._progress.flush()
            self._parking.shed(self._is_parked_too_much, self._end)
        now_ms = self._now_ms()
        if self._dead.is_over(self._dead_spec, now_ms):
            self._progress.flush()
            shed = self._dead.shed(self._dead_spec, now_ms)
            shed.addCallbacks(lambda _: self._progress.dirty(), self._dead.failed_to_read)
        if not self._accounts.in_stream:
            return False
        oldest_ms, max_bytes = self.oldest_ms(now_ms), self._spec.max_bytes
        drops = self._spec.overflow == "dropOldest"

        def reason_of(record: TelemetryRecord) -> str | None:
            if record.received_ms < oldest_ms:
                return EXPIRED
            return FULL if drops and self._charged() > max_bytes else None

        return self._backlog.sweep(reason_of) > 0

    def _is_parked_too_much(self) -> bool:
        accounts = self._accounts
        return accounts.waiting_bytes > self._spec.max_bytes and accounts.parked_bytes > self._max_parked

    def _end(self, row: Parked) -> None:
        """A parked record has to go: it is dropped, or given up where nothing that was accepted is to be dropped."""
        record = row.record
        self._progress.dirty()
        if self._spec.overflow == "dropOldest":
            self._rows.release(record.seq)
            self._accounts.settle(record.seq, FULL, len(record.body))
        else:
            self._dead.bury(record, row.attempts, row.error or FULL)
