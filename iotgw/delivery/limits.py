"""How much may wait for an integration, and for how long. The devices that fill the queue lose messages first."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from iotgw.core.model import Parked, TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.specs import DeadLetterSpec, IntegrationSpec, QueueSpec
from iotgw.core.times import DateMs, SteadyMs
from iotgw.delivery.accounts import EXPIRED, Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.flight import Flight
from iotgw.delivery.parking import Parking
from iotgw.delivery.progress import ProgressWriter
from iotgw.delivery.row_changes import RowChanges
from iotgw.delivery.store_room import Allotment

FULL = "queue full"
"""The reason given for records that were dropped because too much was waiting."""
STORE_FULL = "store full"
"""The reason given for records that were dropped because the journal was at its size limit."""
PARKED_SHARE = 0.1
"""The share of a full queue that parked records may keep. The rest is for devices whose messages get through."""


class QueueLimits:
    """Keeps one integration's queue and dead letters within its settings. ``now_ms()`` is gateway
    time."""

    def __init__(
        self,
        spec: IntegrationSpec,
        accounts: Accounts,
        flight: Flight,
        backlog: Backlog,
        parking: Parking,
        dead: DeadLetters,
        rows: RowChanges,
        now_ms: Callable[[], SteadyMs],
        progress: ProgressWriter,
        calendar: ICalendar,
    ) -> None:
        self._accounts = accounts
        self._flight = flight
        self._backlog = backlog
        self._parking = parking
        self._dead = dead
        self._rows = rows
        self._now_ms = now_ms
        self._progress = progress
        self._calendar = calendar
        self._allotment = Allotment()
        self._is_sweeping = False
        self.wants_more = False
        """Whether more has to be settled that isn't in memory yet."""
        self.configure(spec)

    def configure(self, spec: IntegrationSpec) -> None:
        """Use these settings from now on."""
        self._spec: QueueSpec = spec.queue
        self._dead_spec: DeadLetterSpec = spec.dead_letters
        self._max_age_ms = int(spec.queue.max_age * 1000)
        self._max_parked = int(spec.queue.max_bytes * PARKED_SHARE)

    def allot(self, allotment: Allotment) -> None:
        """Take no more of the journal's room than this from now on."""
        self._allotment = allotment

    @property
    def drops(self) -> bool:
        """Whether the oldest records are dropped when there are too many."""
        return self._spec.overflow == "dropOldest"

    @property
    def has_to_give_up(self) -> bool:
        """Whether the journal is short of room for what waits here and may be dropped."""
        return self._allotment.give_up > 0

    @property
    def holds_up_store(self) -> bool:
        """Whether the journal is short of room for what waits here and may not be dropped."""
        return self._allotment.holds_up

    def oldest_ms(self, now_ms: SteadyMs) -> DateMs:
        """What was received before this date expires at ``now_ms``; a date from before a jump is to be compared by
        `ICalendar.is_before`."""
        return self._calendar.date_ms(SteadyMs(now_ms - self._max_age_ms))

    @property
    def is_full(self) -> bool:
        """Whether the queue is full, or the journal is because of it. Parked records count only up to their share, since
        the excess is dropped anyway."""
        return self._charged() >= self._spec.max_bytes or self._allotment.holds_up

    def _charged(self) -> int:
        accounts = self._accounts
        return accounts.waiting_bytes - max(0, accounts.parked_bytes - self._max_parked)

    def enforce(self) -> bool:
        """Settle the oldest records where they are too old or too many.

        If there are too many, parked records beyond their share go first. Records in the stream are dropped for space
        only with ``dropOldest``. Returns whether the place in the stream has changed."""
        if self._is_sweeping:
            return False
        if self._is_parked_too_much():
            self._progress.flush()
            self._parking.shed(self._is_parked_too_much, self._end)
        now_ms, dead_spec = self._now_ms(), self._dead_spec
        if self._allotment.max_dead < dead_spec.max_bytes:
            dead_spec = replace(dead_spec, max_bytes=self._allotment.max_dead)
        if self._dead.is_over(dead_spec, now_ms):
            self._progress.flush()
            shed = self._dead.shed(dead_spec, now_ms)
            shed.addCallbacks(lambda _: self._progress.dirty(), self._dead.failed_to_read)
        self._is_sweeping = True
        try:
            return self._sweep(self.oldest_ms(now_ms))
        finally:
            self._is_sweeping = False

    def _sweep(self, oldest_ms: DateMs) -> bool:
        accounts, swept, taken = self._accounts, 0, self._backlog.taken
        drops, max_bytes, give_up = self.drops, self._spec.max_bytes, self._allotment.give_up
        is_before = self._calendar.is_before

        def reason_of(record: TelemetryRecord) -> str | None:
            if record.received_ms < oldest_ms and is_before(record.received_ms, oldest_ms):
                return EXPIRED
            if record.seq <= give_up:
                return STORE_FULL
            return FULL if drops and self._charged() > max_bytes else None

        def ends(record: TelemetryRecord) -> bool:
            nonlocal swept
            reason = reason_of(record)
            if reason is None:
                return False
            accounts.settle(record.seq, reason, len(record.body))
            swept += 1
            return True

        self.wants_more = False
        if not self._flight.shed(ends):
            return swept > 0
        # Also where nothing waits: what isn't this integration's must not be kept for it while its target is away.
        swept += self._backlog.sweep(reason_of)
        self.wants_more = self._backlog.next is None and not self._backlog.is_at_end
        return swept > 0 or self._backlog.taken != taken

    def _is_parked_too_much(self) -> bool:
        accounts = self._accounts
        is_full = accounts.waiting_bytes > self._spec.max_bytes and accounts.parked_bytes > self._max_parked
        return is_full or accounts.parked_bytes > self._allotment.max_parked

    def _end(self, row: Parked) -> None:
        """Drop a parked record. With ``rejectNew``, where nothing accepted may be dropped, make it a dead letter."""
        record = row.record
        reason = STORE_FULL if self._accounts.waiting_bytes <= self._spec.max_bytes else FULL
        self._progress.dirty()
        if self.drops:
            self._rows.release(record.seq)
            self._accounts.settle(record.seq, reason, len(record.body))
        else:
            self._dead.bury(record, row.attempts, row.error or reason, row.tries)
