"""Applies a target's verdict to its records: they are delivered, parked, made dead letters, or put back in line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from iotgw.core.model import TelemetryRecord
from iotgw.core.verdict import Apart, Delivered, Rejected, Retry, Unavailable, Verdict
from iotgw.delivery.accounts import DELIVERED, Accounts
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.flight import Flight
from iotgw.delivery.parking import Parking
from iotgw.delivery.retries import Retries
from iotgw.delivery.scheduler import Scheduler
from iotgw.delivery.setbacks import Setbacks
from iotgw.delivery.target_health import TargetHealth
from iotgw.delivery.tries import tried
from iotgw.delivery.waits import Waits


class Settlement:
    """Settles the records of one integration.

    A record that fails for its own reason uses up an attempt. A record that fails because the target is down does not.
    ``now_ms()`` is gateway time."""

    def __init__(
        self,
        flight: Flight,
        parking: Parking,
        dead: DeadLetters,
        accounts: Accounts,
        health: TargetHealth,
        retries: Retries,
        setbacks: Setbacks,
        scheduler: Scheduler,
        now_ms: Callable[[], int],
        waits: Waits,
    ) -> None:
        self._flight = flight
        self._parking = parking
        self._dead = dead
        self._accounts = accounts
        self._health = health
        self._retries = retries
        self._setbacks = setbacks
        self._scheduler = scheduler
        self._now_ms = now_ms
        self._waits = waits

    def settle(self, seqs: Sequence[int], verdict: Verdict) -> None:
        """Apply the target's verdict to records in flight."""
        if isinstance(verdict, Delivered):
            self._delivered(seqs, verdict)
        elif isinstance(verdict, Unavailable):
            self._unavailable(seqs, verdict)
        else:
            if self._health.answered():
                self._scheduler.wake_parked()
            self._health.note(verdict.reason)
            if isinstance(verdict, Apart):
                self._apart(seqs, verdict)
            else:
                for seq in seqs:
                    self._failed(seq, verdict)

    def put_back_all(self) -> None:
        """Send all records in flight again, because nothing more will be heard of them."""
        self._flight.back_all()
        self._parking.back_all()
        self._dead.back_all()

    def _delivered(self, seqs: Sequence[int], verdict: Delivered) -> None:
        if self._health.delivered(verdict.response):
            self._scheduler.wake_parked()
        landed, others = self._flight.land(seqs)
        self._accounts.deliver(landed)
        self._waits.delivered(landed)
        self._setbacks.forget(seqs)
        for seq in others:
            if seq in self._parking.in_flight:
                self._parking.settle(seq, DELIVERED)
            elif seq in self._dead.in_flight:
                self._dead.delivered(seq)

    def _apart(self, seqs: Sequence[int], verdict: Apart) -> None:
        """The batch failed because of one of its records, so each is sent alone. A record that was alone is at fault."""
        together = [seq for seq in seqs if not self._flight.is_alone(seq)]
        self._flight.apart(together)
        for seq in seqs:
            if seq not in together:
                self._failed(seq, Retry(verdict.reason))

    def _failed(self, seq: int, verdict: Retry | Rejected) -> None:
        """A record failed for its own reason."""
        if seq in self._dead.in_flight:
            self._dead.failed(seq, verdict.reason, self._now_ms())
        elif seq in self._parking.in_flight:
            attempts = self._parking.attempts(seq) + 1
            next_try_ms = self._next_try_ms(attempts, verdict)
            if next_try_ms is None:
                self._parking.give_up(seq, verdict.reason)
            else:
                self._parking.retry(seq, verdict.reason, next_try_ms)
        else:
            record = self._flight.lift(seq)
            if record is None:
                return
            self._leave_stream(record, verdict.reason, self._next_try_ms(1, verdict))
        self._setbacks.forget([seq])

    def _next_try_ms(self, attempts: int, verdict: Retry | Rejected) -> int | None:
        """When a record that failed ``attempts`` times is tried again, in milliseconds of gateway time; None for never."""
        if isinstance(verdict, Rejected):
            return None
        wait = self._retries.wait(attempts, verdict.after)
        return None if wait is None else self._now_ms() + 1 + int(1000 * wait)

    def _leave_stream(self, record: TelemetryRecord, reason: str, next_try_ms: int | None) -> None:
        """Park or give up a record after its first attempt. If it is parked, the waiting records of its device are too."""
        if next_try_ms is None:
            self._dead.bury(record, 1, reason, tried((), self._now_ms(), reason))
        elif not self._parking.join(record):  # False: nothing of this device is parked yet
            self._parking.park(record, 1, reason, next_try_ms)
            for later in self._flight.empty_line(record):
                self._parking.join(later)
        self._flight.free(record)

    def _unavailable(self, seqs: Sequence[int], verdict: Unavailable) -> None:
        """The target is down, which is usually not a record's fault. `Setbacks` finds those whose fault it is."""
        self._health.down(verdict.reason, verdict.after, verdict.is_certain)
        guilty = [] if verdict.is_certain else [seq for seq in seqs if self._is_guilty(seq)]
        for seq in guilty:
            self._failed(seq, Retry(verdict.reason, verdict.after))
        self._flight.back(seqs)
        for seq in seqs:
            if seq in self._parking.in_flight:
                self._parking.back(seq)
                self._scheduler.rest_parked()
            elif seq in self._dead.in_flight:
                self._dead.back(seq)
                self._scheduler.rest_parked()

    def _is_guilty(self, seq: int) -> bool:
        """Note that a record found the target down. True when this record must be the reason."""
        if not self._setbacks.note(seq, self._accounts.delivered) or seq in self._dead.in_flight:
            return False
        return seq in self._parking.in_flight or self._flight.suspect(seq)
