"""How much may wait for an integration, and for how long. The devices that fill the queue lose messages first."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.core.model import Parked, TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.specs import DeadLetterSpec, IntegrationSpec, QueueSpec
from iotgw.core.times import DateMs, SteadyMs
from iotgw.delivery.accounts import EXPIRED, Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.parking import Parking
from iotgw.delivery.progress import ProgressWriter
from iotgw.delivery.row_changes import RowChanges

FULL = "queue full"
"""The reason given for records that were dropped because too much was waiting."""
PARKED_SHARE = 0.1
"""The share of a full queue that parked records may keep. The rest is for devices whose messages get through."""


class QueueLimits:
    """Keeps one integration's queue and dead letters within its settings. ``now_ms()`` is gateway
    time."""

    def __init__(
        self,
        spec: IntegrationSpec,
        accounts: Accounts,
        backlog: Backlog,
        parking: Parking,
        dead: DeadLetters,
        rows: RowChanges,
        now_ms: Callable[[], SteadyMs],
        progress: ProgressWriter,
        calendar: ICalendar,
    ) -> None:
        self._accounts = accounts
        self._backlog = backlog
        self._parking = parking
        self._dead = dead
        self._rows = rows
        self._now_ms = now_ms
        self._progress = progress
        self._calendar = calendar
        self.configure(spec)

    def configure(self, spec: IntegrationSpec) -> None:
        """Use these settings from now on."""
        self._spec: QueueSpec = spec.queue
        self._dead_spec: DeadLetterSpec = spec.dead_letters
        self._max_age_ms = int(spec.queue.max_age * 1000)
        self._max_parked = int(spec.queue.max_bytes * PARKED_SHARE)

    def oldest_ms(self, now_ms: SteadyMs) -> DateMs:
        """What was received before this date expires at ``now_ms``; a date from before a jump is to be compared by
        `ICalendar.is_before`."""
        return self._calendar.date_ms(SteadyMs(now_ms - self._max_age_ms))

    @property
    def is_full(self) -> bool:
        """Whether the queue is full. Parked records count only up to their share, since the excess is dropped anyway."""
        return self._charged() >= self._spec.max_bytes

    def _charged(self) -> int:
        accounts = self._accounts
        return accounts.waiting_bytes - max(0, accounts.parked_bytes - self._max_parked)

    def enforce(self) -> bool:
        """Settle the oldest records where they are too old or too many.

        If there are too many, parked records beyond their share go first. Records in the stream are dropped for space
        only with ``dropOldest``. Returns whether any record in the stream was settled."""
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
        is_before = self._calendar.is_before

        def reason_of(record: TelemetryRecord) -> str | None:
            if record.received_ms < oldest_ms and is_before(record.received_ms, oldest_ms):
                return EXPIRED
            return FULL if drops and self._charged() > max_bytes else None

        return self._backlog.sweep(reason_of) > 0

    def _is_parked_too_much(self) -> bool:
        accounts = self._accounts
        return accounts.waiting_bytes > self._spec.max_bytes and accounts.parked_bytes > self._max_parked

    def _end(self, row: Parked) -> None:
        """Drop a parked record. With ``rejectNew``, where nothing accepted may be dropped, make it a dead letter."""
        record = row.record
        self._progress.dirty()
        if self._spec.overflow == "dropOldest":
            self._rows.release(record.seq)
            self._accounts.settle(record.seq, FULL, len(record.body))
        else:
            self._dead.bury(record, row.attempts, row.error or FULL)
