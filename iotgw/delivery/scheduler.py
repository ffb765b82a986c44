"""Who goes next: parked records whose time has come, dead letters, those that waited, and new ones."""

from __future__ import annotations

from collections.abc import Hashable

from iotgw.core.model import TelemetryRecord
from iotgw.delivery.accounts import EXPIRED, Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.flight import Flight
from iotgw.delivery.parking import Parking
from iotgw.delivery.setbacks import Setbacks

HELD = 4096
"""Records in memory whose device is busy; then the stream waits."""
HELD_BYTES = 32 << 20
"""Bytes of records in memory that are in flight or whose device is busy; then the stream waits."""
AHEAD = 65536
"""Records settled beyond what is kept of it; then the stream waits for the oldest in flight."""


class Scheduler:
    """Chooses what is sent, of all that one integration still has to deliver. ``ordered`` as in `Flight`."""

    def __init__(
        self,
        ordered: bool,
        flight: Flight,
        backlog: Backlog,
        parking: Parking,
        dead: DeadLetters,
        accounts: Accounts,
        setbacks: Setbacks,
    ) -> None:
        self._ordered = ordered
        self._flight = flight
        self._backlog = backlog
        self._parking = parking
        self._dead = dead
        self._accounts = accounts
        self._setbacks = setbacks
        self._parked_rest = False

    # --- how much there is

    @property
    def in_flight(self) -> int:
        """Records that the target has and didn't answer yet, dead letters aside."""
        return len(self._flight.in_flight) + len(self._parking.in_flight)

    @property
    def at_target(self) -> int:
        """All that the target has and didn't answer yet, dead letters too."""
        return self.in_flight + len(self._dead.in_flight)

    @property
    def waiting(self) -> int:
        """Records that wait: in the stream, for their device, or parked."""
        parked = self._accounts.parked - len(self._parking.in_flight)
        return self._accounts.in_stream + self._flight.waiting + parked

    def has_in_flight(self, seq: int) -> bool:
        """Whether the target has a record, a dead letter or not, and didn't answer yet."""
        return seq in self._flight.in_flight or seq in self._parking.in_flight or seq in self._dead.in_flight

    # --- who goes

    def rest_parked(self) -> None:
        """A parked record or a dead letter found the target down: let others try first."""
        self._parked_rest = True

    def wake_parked(self) -> None:
        """The target is up: they needn't stand back any more."""
        self._parked_rest = False

    def next(self, room: int, oldest_ms: int, whole: bool, fresh_first: bool) -> list[TelemetryRecord]:
        """The next send, at most ``room`` records, now in flight. Those received before ``oldest_ms`` expire.

        ``whole``: it is one request. ``fresh_first``: for a probe, lest one record is every probe, and the
        reason why they fail.
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

    def _next_parked(self, oldest_ms: int) -> list[TelemetryRecord]:
        """A parked record or a dead letter; alone, because its neighbours in a batch would share its fate."""
        while (record := self._parking.take()) is not None:
            if record.received_ms >= oldest_ms:
                return [record]
            self._setbacks.forget([record.seq])
            self._parking.settle(record.seq, EXPIRED)
        dead = self._dead.take()
        return [dead] if dead is not None else []

    def _next_waiting(self, room: int, oldest_ms: int, whole: bool) -> list[TelemetryRecord] | None:
        """Records of ready lines; None when one of them needs the target for itself and has to wait."""
        flight = self._flight
        batch: list[TelemetryRecord] = []
        while flight.ready_lines and len(batch) < room:
            single = flight.next_mark()
            if single is not None and (batch or (single and self.in_flight)):
                return batch or None
            for record in flight.take_line(room - len(batch) if whole else 1):
                if record.received_ms >= oldest_ms:
                    batch.append(record)
                else:
                    self._accounts.settle(record.seq, EXPIRED, len(record.body))
                    flight.end(record)
            if single is not None and batch:
                return batch
        return batch

    def _fill(
        self, batch: list[TelemetryRecord], room: int, oldest_ms: int, whole: bool
    ) -> list[TelemetryRecord]:
        """Fill a send from the stream; all of it is in flight then."""
        if len(batch) < room and not (batch and self._flight.is_marked(batch[0])):
            self._take(batch, room, oldest_ms, whole and self._ordered)
        self._flight.launch(batch)
        return batch

    def _take(self, batch: list[TelemetryRecord], room: int, oldest_ms: int, together: bool) -> None:
        """``together``: several of one device may be in the batch."""
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
