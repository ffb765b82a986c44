"""Decides what is sent next: parked records that are due, dead letters, records that waited in line, then new ones."""

from __future__ import annotations

from collections.abc import Hashable

from iotgw.core.model import TelemetryRecord
from iotgw.core.times import DateMs
from iotgw.delivery.accounts import EXPIRED, Accounts
from iotgw.delivery.ages import IsBefore
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.flight import Flight
from iotgw.delivery.parking import Parking
from iotgw.delivery.setbacks import Setbacks

HELD = 4096
"""How many records may wait in memory for a busy device. Beyond that, nothing more is taken from the stream."""
HELD_BYTES = 32 << 20
"""How many bytes of records may be in flight or wait for a busy device. Beyond that, the stream waits."""
AHEAD = 65536
"""How many records may be settled beyond the stored cursor. Then the stream waits for the oldest in flight."""


class Scheduler:
    """Chooses what one integration sends next. ``ordered`` is as in `Flight`."""

    def __init__(
        self,
        ordered: bool,
        flight: Flight,
        backlog: Backlog,
        parking: Parking,
        dead: DeadLetters,
        accounts: Accounts,
        setbacks: Setbacks,
        is_before: IsBefore,
    ) -> None:
        self._ordered = ordered
        self._flight = flight
        self._backlog = backlog
        self._parking = parking
        self._dead = dead
        self._accounts = accounts
        self._setbacks = setbacks
        self._is_before = is_before
        self._parked_rest = False

    # --- how much there is

    @property
    def in_flight(self) -> int:
        """How many records the target has and did not answer yet, without dead letters."""
        return len(self._flight.in_flight) + len(self._parking.in_flight)

    @property
    def at_target(self) -> int:
        """How many records the target has and did not answer yet, with dead letters."""
        return self.in_flight + len(self._dead.in_flight)

    @property
    def waiting(self) -> int:
        """How many records wait: in the stream, in line for their device, or parked."""
        parked = self._accounts.parked - len(self._parking.in_flight)
        return self._accounts.in_stream + self._flight.waiting + parked

    def has_in_flight(self, seq: int) -> bool:
        """Whether the target has this record, or dead letter, and did not answer yet."""
        return seq in self._flight.in_flight or seq in self._parking.in_flight or seq in self._dead.in_flight

    # --- what is sent

    def rest_parked(self) -> None:
        """A parked record or a dead letter found the target down. Let other records probe it first."""
        self._parked_rest = True

    def wake_parked(self) -> None:
        """The target is up, so parked records and dead letters may be sent again."""
        self._parked_rest = False

    def next(self, room: int, oldest_ms: DateMs, whole: bool, fresh_first: bool) -> list[TelemetryRecord]:
        """The next batch, at most ``room`` records, now in flight; empty when there is nothing to send.

        Records received before ``oldest_ms`` (milliseconds since 1970) expire. ``whole`` says that the target sends a
        batch as one request. ``fresh_first`` makes a new record the probe, so that a record that brings the target down
        is not used for every probe.
        """
        if fresh_first and (batch := self._fill([], 1, oldest_ms, whole)):
            return batch
        if not self._parked_rest and (parked := self._next_parked(oldest_ms)):
            return parked
        waiting = self._next_waiting(room, oldest_ms, whole)
        if waiting is None:
            return []
        batch = self._fill(waiting, room, oldest_ms, whole)
        if not batch and self._parked_rest:
            self._parked_rest = False
            return self._next_parked(oldest_ms)
        return batch

    def _next_parked(self, oldest_ms: DateMs) -> list[TelemetryRecord]:
        """A parked record or a dead letter. It is sent alone, because the rest of a batch would fail with it."""
        while (record := self._parking.take()) is not None:
            if record.received_ms >= oldest_ms or not self._is_before(record.received_ms, oldest_ms):
                return [record]
            self._setbacks.forget([record.seq])
            self._parking.settle(record.seq, EXPIRED)
        dead = self._dead.take()
        return [dead] if dead is not None else []

    def _next_waiting(self, room: int, oldest_ms: DateMs, whole: bool) -> list[TelemetryRecord] | None:
        """Records of ready lines. None when the next one must be sent with nothing else in flight and has to wait."""
        flight = self._flight
        batch: list[TelemetryRecord] = []
        while flight.ready_lines and len(batch) < room:
            single = flight.next_mark()
            if single is not None and (batch or (single and self.in_flight)):
                return batch or None
            for record in flight.take_line(room - len(batch) if whole else 1):
                if record.received_ms >= oldest_ms or not self._is_before(record.received_ms, oldest_ms):
                    batch.append(record)
                else:
                    self._accounts.settle(record.seq, EXPIRED, len(record.body))
                    flight.end(record)
            if single is not None and batch:
                return batch
        return batch

    def _fill(
        self, batch: list[TelemetryRecord], room: int, oldest_ms: DateMs, whole: bool
    ) -> list[TelemetryRecord]:
        """Fill the batch from the stream, and put all of it in flight."""
        if len(batch) < room and not (batch and self._flight.is_marked(batch[0])):
            self._take(batch, room, oldest_ms, whole and self._ordered)
        self._flight.launch(batch)
        return batch

    def _take(self, batch: list[TelemetryRecord], room: int, oldest_ms: DateMs, together: bool) -> None:
        """Add records from the stream to the batch. ``together`` allows several of one device."""
        accounts, flight, parking = self._accounts, self._flight, self._parking
        mine: set[Hashable] | None = {record.device_name for record in batch} if together else None
        while (
            len(batch) < room
            and flight.waiting < HELD
            and accounts.ahead < AHEAD
            and accounts.held_bytes < HELD_BYTES
        ):
            records = self._backlog.take(room - len(batch), oldest_ms)
            if not records:
                return
            if parking.keys:
                done = self._backlog.done
                records = [record for record in records if not parking.follow(record, done)]
            flight.admit(records, batch, mine)
