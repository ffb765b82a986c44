"""Who goes next: parked records whose time has come, dead letters, those that waited, and new ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from iotgw.core.model import TelemetryRecord
from iotgw.delivery.accounts import DELIVERED, EXPIRED, Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.lines import Lines
from iotgw.delivery.parking import Parking
from iotgw.delivery.redrive import Redrive

HELD = 4096
"""Records in memory whose device is busy; then the stream waits."""
HELD_BYTES = 32 << 20
"""Bytes of records in memory that are in flight or whose device is busy; then the stream waits."""
AHEAD = 65536
"""Records settled beyond the cursor; then the stream waits for the oldest in flight."""


def by_device(record: TelemetryRecord) -> Hashable:
    """What orders a record where order matters: of each device one at a time."""
    return record.device_name


def by_itself(record: TelemetryRecord) -> Hashable:
    """What orders a record where order doesn't matter: nothing but itself."""
    return record.seq


class Scheduler:
    """Chooses what an outbox sends.

    ``open`` and ``flying`` are the outbox's own: records that were taken, and those of them that are in
    flight. ``end(record, outcome)`` settles a parked record without sending it.
    """

    def __init__(
        self,
        ordered: bool,
        lines: Lines,
        backlog: Backlog,
        parking: Parking,
        redrive: Redrive,
        accounts: Accounts,
        open_: dict[int, TelemetryRecord],
        flying: dict[int, TelemetryRecord],
        end: Callable[[TelemetryRecord, str], None],
    ) -> None:
        self._ordered = ordered
        self._lines = lines
        self._backlog = backlog
        self._parking = parking
        self._redrive = redrive
        self._accounts = accounts
        self._open = open_
        self._flying = flying
        self._end = end
        self.parked_rest = False
        """A parked record found the target down: let others try first."""

    def next(self, room: int, oldest_ms: int, whole: bool, fresh_first: bool) -> list[TelemetryRecord]:
        """The next send, at most ``room`` records, now in flight. Those received before ``oldest_ms`` expire.

        ``whole``: it is one request. ``fresh_first``: for a probe, lest one record is every probe, and the
        reason why they fail.
        """
        if fresh_first and (batch := self._fill([], 1, oldest_ms, whole)):
            return batch
        if not self.parked_rest and (parked := self._next_parked(oldest_ms)):
            return parked
        waiting = self._next_waiting(room, oldest_ms, whole)
        if waiting is None:
            return []
        batch = self._fill(waiting, room, oldest_ms, whole)
        if not batch and self.parked_rest:
            self.parked_rest = False
            return self._next_parked(oldest_ms)
        return batch

    def _next_parked(self, oldest_ms: int) -> list[TelemetryRecord]:
        """A parked record or a dead letter; alone, because its neighbours in a batch would share its fate."""
        while (row := self._parking.take()) is not None:
            if row.record.received_ms >= oldest_ms:
                return [row.record]
            self._end(row.record, EXPIRED)
        dead = self._redrive.take()
        return [dead] if dead is not None else []

    def _next_waiting(self, room: int, oldest_ms: int, whole: bool) -> list[TelemetryRecord] | None:
        """Records of ready lines; None when one of them needs the target for itself and has to wait."""
        lines = self._lines
        batch: list[TelemetryRecord] = []
        while lines.ready and len(batch) < room:
            single = lines.next_single() if lines.single else None
            if single is not None and (batch or (single and (self._flying or self._parking.flying))):
                return batch or None
            for record in lines.take(room - len(batch) if whole else 1):
                if record.received_ms >= oldest_ms:
                    batch.append(record)
                else:
                    self._expire(record)
            if single is not None and batch:
                return batch
        return batch

    def _expire(self, record: TelemetryRecord) -> None:
        del self._open[record.seq]
        self._accounts.settle(record.seq, EXPIRED, len(record.body))
        self._lines.single.pop(record.seq, None)
        self._lines.done(by_device(record) if self._ordered else by_itself(record))

    def _fill(
        self, batch: list[TelemetryRecord], room: int, oldest_ms: int, whole: bool
    ) -> list[TelemetryRecord]:
        """Fill a send from the stream; all of it is in flight then."""
        if len(batch) < room and not (batch and batch[0].seq in self._lines.single):
            self._take(batch, room, oldest_ms, whole and self._ordered)
        for record in batch:
            self._flying[record.seq] = record
        return batch

    def _take(self, batch: list[TelemetryRecord], room: int, oldest_ms: int, together: bool) -> None:
        """``together``: several of one device may be in the batch."""
        lines, parked, open_, ordered = self._lines, self._parking.lines, self._open, self._ordered
        mine = {record.device_name for record in batch} if together else set()
        accounts = self._accounts
        while (
            len(batch) < room
            and len(lines) < HELD
            and accounts.ahead < AHEAD
            and accounts.held_bytes < HELD_BYTES
        ):
            records = self._backlog.take(room - len(batch), oldest_ms)
            if not records:
                return
            for record in records:
                key: Hashable = record.device_name if ordered else record.seq
                if parked and (line := parked.get(key)) is not None:
                    if record.seq > line.last:
                        self._parking.park_behind(line, record)
                    else:  # met again after a crash; had it not been settled before, its line would have it
                        outcome = self._accounts.losses.outcome(record.seq) or DELIVERED
                        self._accounts.settle(record.seq, outcome, len(record.body))
                    continue
                open_[record.seq] = record
                if lines.claim(key, key in mine):
                    batch.append(record)
                    if together:
                        mine.add(record.device_name)
                else:
                    lines.hold(key, record)
