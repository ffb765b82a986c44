"""Parked records: messages that failed for their own reason, with the later messages of the same device behind them.

A parked record has a row of its own in the journal. So the integration's cursor moves on, and other devices don't
wait. Memory holds only one small entry per device that has parked records.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Hashable, Set

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.model import DeliveryState, Parked, TelemetryRecord
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.delivery.accounts import DELIVERED, LOST, Accounts
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.lines import KeyOf
from iotgw.delivery.pages import each_page
from iotgw.delivery.parked_line import ParkedLine, by_size
from iotgw.delivery.row_changes import RowChanges
from iotgw.delivery.tries import tried

OVER = frozenset({DeliveryState.DEAD, DeliveryState.DROPPED})
"""States of rows that wait for nothing. A row that can't be read is DROPPED."""
LINE = 20
"""How many records of a device are read at once."""
READ_AHEAD = 32
"""How many devices may have parked records in memory."""
COMMIT_LAG_MS = 200
"""Milliseconds before a row that was just handed to the journal is looked for again. It may not be readable yet."""


class Parking:
    """The parked records of one integration.

    ``key_of`` gives a record's ordering key. ``now_ms()`` is gateway time. ``ready()`` is called
    when `take` has something again, or when calling `look` again is worthwhile.

    Many methods: one for each thing that can happen to a parked record.
    """

    _log = Logger()

    def __init__(
        self,
        integration: str,
        journal: ITelemetryStream,
        rows: RowChanges,
        accounts: Accounts,
        dead: DeadLetters,
        key_of: KeyOf,
        now_ms: Callable[[], int],
        ready: Callable[[], None],
    ) -> None:
        self._integration = integration
        self._journal = journal
        self._changes = rows
        self._accounts = accounts
        self._dead = dead
        self._key_of = key_of
        self._now_ms = now_ms
        self._ready = ready
        self._lines: dict[Hashable, ParkedLine] = {}
        self.keys: Set[Hashable] = self._lines.keys()
        """A live view of the ordering keys that have parked records."""
        self._flying: dict[int, ParkedLine] = {}
        self.in_flight: Set[int] = self._flying.keys()
        """A live view of the positions that the target has."""
        self._due: list[tuple[int, int, Hashable]] = []
        self._queue: deque[ParkedLine] = deque()
        self._reading = 0
        self._is_shedding = False
        self._lost: set[int] = set()
        """Positions whose rows can't be read."""

    @property
    def has_lost(self) -> bool:
        """Whether there are rows that can't be read."""
        return bool(self._lost)

    # --- after a restart

    def load(self) -> Deferred[None]:
        """Find the parked records and dead letters in the journal. Fires when done."""

        def found(rows: list[Parked]) -> None:
            for row in rows:
                self._found(row)

        return each_page(self._journal, self._integration, 0, found)

    def _found(self, row: Parked) -> None:
        seq = row.record.seq
        if row.state is DeliveryState.DROPPED:
            self._lost.add(seq)
        elif row.state is DeliveryState.DEAD:
            self._dead.found(row.record)
        if row.state in OVER:
            return
        self._accounts.park(len(row.record.body))
        key = self._key_of(row.record)
        line = self._lines.get(key)
        if line is None:
            self._lines[key] = line = ParkedLine(
                key, row.record.device_name, seq, row.attempts, row.next_try_ms
            )
            self._idle(line, row.next_try_ms)
        else:
            line.count += 1
            line.last = seq
        line.size += len(row.record.body)

    def beyond(self, position: int) -> Deferred[set[int]]:
        """Fires with the positions after ``position`` that have a row. The stream will bring them again."""
        known = self._changes.after(position)

        def found(rows: list[Parked]) -> None:
            # If a row can't be read, the stream may still have a copy.
            known.update(row.record.seq for row in rows if row.state is not DeliveryState.DROPPED)

        return each_page(self._journal, self._integration, position, found).addCallback(lambda _: known)

    # --- in

    def park(self, record: TelemetryRecord, attempts: int, error: str, next_try_ms: int) -> None:
        """Park a record that failed, when its device has nothing parked yet.

        ``attempts`` counts its failures, ``error`` is the reason of the last. It is tried again at ``next_try_ms``, in
        milliseconds of gateway time."""
        key = self._key_of(record)
        self._lines[key] = line = ParkedLine(key, record.device_name, record.seq, attempts, next_try_ms)
        line.size = len(record.body)
        self._accounts.park(len(record.body))
        tries = tried((), self._now_ms(), error)
        self._changes.put(record, DeliveryState.RETRYING, attempts, next_try_ms, error, tries)
        self._idle(line, next_try_ms)

    def join(self, record: TelemetryRecord) -> bool:
        """Park a record behind those of its device. Returns False, and does nothing, when none is parked."""
        line = self._lines.get(self._key_of(record))
        if line is None:
            return False
        line.count += 1
        line.size += len(record.body)
        line.last = max(line.last, record.seq)
        if record.seq < line.head:
            line.missed = min(line.missed or record.seq, record.seq)
        self._accounts.park(len(record.body))
        self._changes.put(record, DeliveryState.QUEUED, 0, 0, "")
        return True

    def follow(self, record: TelemetryRecord, done: int = 0) -> bool:
        """As `join`, for a record from the stream.

        A record before the end of its line comes again after a crash. It must have been settled before, because it
        would be in its line otherwise. So it is settled again, unless its position is at most ``done``: then it is
        known to be open."""
        line = self._lines.get(self._key_of(record))
        if line is None or record.seq > line.last or record.seq <= done:
            return self.join(record)
        outcome = self._accounts.losses.outcome(record.seq) or DELIVERED
        self._accounts.settle(record.seq, outcome, len(record.body))
        return True

    # --- out

    def look(self, now_ms: int) -> None:
        """Read the lines that are due at ``now_ms``."""
        due = self._due
        while due and due[0][0] <= now_ms and len(self._queue) + self._reading < READ_AHEAD:
            next_try_ms, head, key = heapq.heappop(due)
            line = self._lines.get(key)
            if line is not None and line.idle and (line.head, line.next_try_ms) == (head, next_try_ms):
                line.idle = False
                self._read(line)

    def next_due_ms(self) -> int | None:
        """When to `look` again, in milliseconds of gateway time; None when no line waits."""
        return self._due[0][0] if self._due else None

    def take(self) -> TelemetryRecord | None:
        """The next record to send, now in flight; None when none is in memory."""
        if not self._queue:
            return None
        line = self._queue.popleft()
        record = line.rows[0].record
        self._flying[record.seq] = line
        return record

    def back(self, seq: int) -> None:
        """A record in flight could not be sent. It will be sent again."""
        self._queue.append(self._flying.pop(seq))

    def back_all(self) -> None:
        """None of the records in flight could be sent. They will be sent again."""
        for seq in list(self._flying):
            self.back(seq)

    def retry(self, seq: int, error: str, next_try_ms: int) -> None:
        """A record in flight failed again. Its line waits until ``next_try_ms``."""
        line = self._flying.pop(seq)
        line.attempts += 1
        row = line.rows[0]
        tries = tried(row.tries, self._now_ms(), error)
        self._changes.put(row.record, DeliveryState.RETRYING, line.attempts, next_try_ms, error, tries)
        line.rows.clear()
        self._idle(line, next_try_ms)

    def settle(self, seq: int, outcome: str) -> None:
        """A record in flight is settled, as in `Accounts.settle`. The next one in its line may be sent."""
        line = self._flying.pop(seq)
        self._accounts.settle(seq, outcome, len(line.rows[0].record.body))
        self._changes.release(seq)
        self._advance(line, seq)

    def give_up(self, seq: int, error: str) -> None:
        """A record in flight becomes a dead letter. The next one in its line may be sent."""
        line = self._flying.pop(seq)
        row = line.rows[0]
        self._dead.bury(row.record, line.attempts + 1, error, tried(row.tries, self._now_ms(), error))
        self._advance(line, seq)

    def attempts(self, seq: int) -> int:
        """How often a record in flight failed before."""
        return self._flying[seq].attempts

    def hurry(self) -> None:
        """Make every waiting line due now."""
        now_ms = self._now_ms()
        self._due.clear()
        for line in self._lines.values():
            if line.idle:
                self._idle(line, now_ms)

    def purge(self, outcome: str) -> Deferred[int]:
        """Settle every present record that isn't in flight. Fires with their number.

        All changed rows must have been handed to the journal before.
        """
        keys = set(self._lines)
        # After a crash, there may be rows beyond the position that the stream has reached again.
        until = max((line.last for line in self._lines.values()), default=0)
        flying = {line.key for line in self._flying.values()}
        for key in keys - flying:
            del self._lines[key]
        for line in self._flying.values():
            line.count = 1
            line.size = len(line.rows[0].record.body)
            line.rows = deque([line.rows[0]])
        self._queue.clear()
        purged = 0

        def found(rows: list[Parked]) -> None:
            nonlocal purged
            for row in rows:
                record = row.record
                seq = record.seq
                waits = row.state not in OVER and seq not in self._flying
                is_here = seq <= until and not self._changes.is_released(seq)
                if waits and is_here and self._key_of(record) in keys:
                    self._changes.release(seq)
                    self._accounts.unpark(len(record.body))
                    self._accounts.settle(seq, outcome, len(record.body))
                    purged += 1

        return each_page(self._journal, self._integration, 0, found, until).addCallback(lambda _: purged)

    # --- within limits

    def shed(self, too_much: Callable[[], bool], end: Callable[[Parked], None]) -> None:
        """Remove the oldest records of the largest waiting line while ``too_much()`` is true.

        ``end`` gets each row that was removed, and must settle the record or make it a dead letter. The work goes on by
        itself, a page of rows at a time. All changed rows must have been handed to the journal before.
        """
        if self._is_shedding or not too_much():
            return
        line = max((line for line in self._lines.values() if line.idle), key=by_size, default=None)
        if line is None:
            return
        self._is_shedding = True
        if line.missed:
            line.head, line.attempts, line.missed = min(line.head, line.missed), 0, 0
            self._idle(line, line.next_try_ms)
        after = line.head - 1

        def read(rows: list[Parked]) -> None:
            self._is_shedding = False
            if self._lines.get(line.key) is not line or not line.idle:
                return  # it is being sent, or was purged: left to the next call
            ended = 0
            for row in self._waiting_in(line, rows):
                if not too_much():
                    break
                size = len(row.record.body)
                self._accounts.unpark(size)
                end(row)
                ended += 1
                line.count -= 1
                line.size -= size
                line.head, line.attempts = row.record.seq + 1, 0
            if line.count <= 0:
                del self._lines[line.key]
            elif ended:
                self._idle(line, line.next_try_ms)
            if ended:
                self.shed(too_much, end)

        def unread(failure: Failure) -> None:
            self._is_shedding = False
            self._log.failure("parked records could not be read", failure)

        self._journal.parked_behind(self._integration, line.device, after, LINE).addCallbacks(
            read, unread
        ).addErrback(lambda failure: self._log.failure("parked records could not be dropped", failure))

    def _waiting_in(self, line: ParkedLine, rows: list[Parked]) -> list[Parked]:
        """The rows that wait in this line."""
        return [
            row
            for row in rows
            if row.state not in OVER and not self._changes.is_released(row.record.seq)
            and self._key_of(row.record) == line.key
        ]  # fmt: skip

    # --- inside

    def _idle(self, line: ParkedLine, next_try_ms: int) -> None:
        line.next_try_ms = next_try_ms
        line.idle = True
        heapq.heappush(self._due, (next_try_ms, line.head, line.key))

    def _advance(self, line: ParkedLine, seq: int) -> None:
        size = len(line.rows.popleft().record.body)
        self._accounts.unpark(size)
        line.size -= size
        line.count -= 1
        if line.count == 0:
            del self._lines[line.key]
        elif line.rows:
            line.head, line.attempts = line.rows[0].record.seq, line.rows[0].attempts
            self._queue.append(line)
        else:
            line.head, line.attempts = seq + 1, 0
            self._read(line)

    def _read(self, line: ParkedLine) -> None:
        self._reading += 1
        if line.missed:
            line.head, line.attempts = min(line.head, line.missed), 0
        self._journal.parked_behind(self._integration, line.device, line.head - 1, LINE).addCallbacks(
            self._have_read, self._not_read, callbackArgs=(line,), errbackArgs=(line,)
        ).addErrback(lambda failure: self._log.failure("parked deliveries were dropped from memory", failure))

    def _have_read(self, rows: list[Parked], line: ParkedLine) -> None:
        self._reading -= 1
        if self._lines.get(line.key) is not line:
            return  # it was purged meanwhile
        self._pass_by([row.record.seq for row in rows if row.state is DeliveryState.DROPPED], line)
        if line.count <= 0:
            del self._lines[line.key]
            return
        found = self._waiting_in(line, rows)
        if not found:
            self._idle(line, self._now_ms() + COMMIT_LAG_MS)
            self._ready()
            return
        if found[0].record.seq <= line.missed:
            line.missed = 0  # otherwise it isn't readable yet, and the next read looks for it again
        if found[0].record.seq != line.head:
            line.head, line.attempts = found[0].record.seq, found[0].attempts
        line.rows = deque(found[: line.count])
        self._queue.append(line)
        self._ready()

    def _pass_by(self, seqs: list[int], line: ParkedLine) -> None:
        """Settle rows of a line that can't be read. Their sizes are not known."""
        for seq in seqs:
            if seq not in self._lost:
                self._lost.add(seq)
                line.count -= 1
                self._accounts.unpark(0)
                self._accounts.settle(seq, LOST, 0)

    def _not_read(self, failure: Failure, line: ParkedLine) -> None:
        self._reading -= 1
        self._log.failure("parked records could not be read; trying again", failure)
        self._idle(line, self._now_ms() + 5 * COMMIT_LAG_MS)
        self._ready()
