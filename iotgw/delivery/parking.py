"""Where a message waits that failed for its own reason, with its device's later messages behind it.

Parked records have rows of their own in the journal, so the integration's cursor moves on and other
devices don't wait. In memory is only one small entry per device that has something parked.
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
from iotgw.delivery.accounts import DELIVERED, Accounts
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.lines import KeyOf
from iotgw.delivery.pages import each_page
from iotgw.delivery.row_changes import RowChanges

LINE = 20
"""Records of a device that are read at once."""
READ_AHEAD = 32
"""Devices whose parked records may be in memory."""
COMMIT_LAG_MS = 200
"""A row that was just handed to the journal may not be readable yet."""


class ParkedLine:
    """One device's parked records. ``head`` and ``last`` are the positions of the first and the last, ``count``
    how many there are.

    ``rows`` are the first of them, when they were read; ``idle`` says that it waits for ``next_try_ms``.
    """

    __slots__ = ("attempts", "count", "device", "head", "idle", "key", "last", "next_try_ms", "rows")

    def __init__(self, key: Hashable, device: str, head: int, attempts: int, next_try_ms: int) -> None:
        self.key = key
        self.device = device
        self.head = head
        self.last = head
        self.attempts = attempts
        self.next_try_ms = next_try_ms
        self.count = 1
        self.rows: deque[Parked] = deque()
        self.idle = True


class Parking:
    """The parked records of one integration.

    ``key_of`` gives what orders a record (its device, or nothing but itself). ``now_ms()`` is milliseconds since
    1970. ``ready()`` is called when `take` has something again, or when it is worth to `look` again.

    Many methods: a verb for each thing that may happen to one of them.
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
        """What keys the order of those that are parked, as of now."""
        self._flying: dict[int, ParkedLine] = {}
        self.in_flight: Set[int] = self._flying.keys()
        """The positions that the target has, as of now."""
        self._due: list[tuple[int, int, Hashable]] = []
        self._queue: deque[ParkedLine] = deque()
        self._reading = 0

    # --- after a restart

    def load(self) -> Deferred[None]:
        """Find what is parked; fires when known."""

        def found(rows: list[Parked]) -> None:
            for row in rows:
                self._found(row)

        return each_page(self._journal, self._integration, 0, found)

    def _found(self, row: Parked) -> None:
        seq = row.record.seq
        if row.state is DeliveryState.DEAD:
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

    def beyond(self, position: int) -> Deferred[set[int]]:
        """Fires with the positions after ``position`` that have a row: the stream brings them again."""
        known = self._changes.after(position)

        def found(rows: list[Parked]) -> None:
            known.update(row.record.seq for row in rows)

        return each_page(self._journal, self._integration, position, found).addCallback(lambda _: known)

    # --- in

    def park(self, record: TelemetryRecord, attempts: int, error: str, next_try_ms: int) -> None:
        """A record failed, the first of its device."""
        key = self._key_of(record)
        self._lines[key] = line = ParkedLine(key, record.device_name, record.seq, attempts, next_try_ms)
        self._accounts.park(len(record.body))
        self._changes.put(record, DeliveryState.RETRYING, attempts, next_try_ms, error)
        self._idle(line, next_try_ms)

    def join(self, record: TelemetryRecord) -> bool:
        """Park a record behind those of its device; False when none of them is parked."""
        line = self._lines.get(self._key_of(record))
        if line is None:
            return False
        line.count += 1
        line.last = max(line.last, record.seq)
        self._accounts.park(len(record.body))
        self._changes.put(record, DeliveryState.QUEUED, 0, 0, "")
        return True

    def follow(self, record: TelemetryRecord) -> bool:
        """As `join`, of a record that the stream brings. One before its line's end is met again after a crash:
        had it not been settled before, its line would have it. So it is settled again."""
        line = self._lines.get(self._key_of(record))
        if line is None or record.seq > line.last:
            return self.join(record)
        outcome = self._accounts.losses.outcome(record.seq) or DELIVERED
        self._accounts.settle(record.seq, outcome, len(record.body))
        return True

    # --- out

    def look(self, now_ms: int) -> None:
        """Read the lines whose time has come."""
        due = self._due
        while due and due[0][0] <= now_ms and len(self._queue) + self._reading < READ_AHEAD:
            next_try_ms, head, key = heapq.heappop(due)
            line = self._lines.get(key)
            if line is not None and line.idle and (line.head, line.next_try_ms) == (head, next_try_ms):
                line.idle = False
                self._read(line)

    def next_due_ms(self) -> int | None:
        """When to `look` again; None when nothing waits for a time."""
        return self._due[0][0] if self._due else None

    def take(self) -> TelemetryRecord | None:
        """The next record to send, now in flight; None when none is at hand."""
        if not self._queue:
            return None
        line = self._queue.popleft()
        record = line.rows[0].record
        self._flying[record.seq] = line
        return record

    def back(self, seq: int) -> None:
        """It could not be sent; it comes again."""
        self._queue.append(self._flying.pop(seq))

    def back_all(self) -> None:
        """None of those in flight could be sent; they come again."""
        for seq in list(self._flying):
            self.back(seq)

    def retry(self, seq: int, error: str, next_try_ms: int) -> None:
        """It failed again; its line waits."""
        line = self._flying.pop(seq)
        line.attempts += 1
        self._changes.put(line.rows[0].record, DeliveryState.RETRYING, line.attempts, next_try_ms, error)
        line.rows.clear()
        self._idle(line, next_try_ms)

    def settle(self, seq: int, outcome: str) -> None:
        """It came to its end, as in `Accounts.settle`: its row goes, and the next of its line may."""
        line = self._flying.pop(seq)
        self._accounts.settle(seq, outcome, len(line.rows[0].record.body))
        self._changes.release(seq)
        self._advance(line, seq)

    def give_up(self, seq: int, error: str) -> None:
        """It becomes a dead letter, and the next of its line may go."""
        line = self._flying.pop(seq)
        self._dead.bury(line.rows[0].record, line.attempts + 1, error)
        self._advance(line, seq)

    def attempts(self, seq: int) -> int:
        """How often a record in flight was tried before."""
        return self._flying[seq].attempts

    def hurry(self) -> None:
        """Don't wait any longer."""
        now_ms = self._now_ms()
        self._due.clear()
        for line in self._lines.values():
            if line.idle:
                self._idle(line, now_ms)

    def purge(self, outcome: str) -> Deferred[int]:
        """Settle every record that waits here now and isn't in flight; fires with their number.

        The journal must have all rows: what changed was handed to it.
        """
        keys = set(self._lines)
        # After a crash, there are rows beyond what was taken again from the stream.
        until = max((line.last for line in self._lines.values()), default=0)
        flying = {line.key for line in self._flying.values()}
        for key in keys - flying:
            del self._lines[key]
        for line in self._flying.values():
            line.count = 1
            line.rows = deque([line.rows[0]])
        self._queue.clear()
        purged = 0

        def found(rows: list[Parked]) -> None:
            nonlocal purged
            for row in rows:
                record = row.record
                seq = record.seq
                waits = row.state is not DeliveryState.DEAD and seq not in self._flying
                is_here = seq <= until and not self._changes.is_released(seq)
                if waits and is_here and self._key_of(record) in keys:
                    self._changes.release(seq)
                    self._accounts.unpark(len(record.body))
                    self._accounts.settle(seq, outcome, len(record.body))
                    purged += 1

        return each_page(self._journal, self._integration, 0, found, until).addCallback(lambda _: purged)

    # --- inside

    def _idle(self, line: ParkedLine, next_try_ms: int) -> None:
        line.next_try_ms = next_try_ms
        line.idle = True
        heapq.heappush(self._due, (next_try_ms, line.head, line.key))

    def _advance(self, line: ParkedLine, seq: int) -> None:
        self._accounts.unpark(len(line.rows.popleft().record.body))
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
        self._journal.parked_behind(self._integration, line.device, line.head - 1, LINE).addCallbacks(
            self._have_read, self._not_read, callbackArgs=(line,), errbackArgs=(line,)
        ).addErrback(lambda failure: self._log.failure("parked deliveries were dropped from memory", failure))

    def _have_read(self, rows: list[Parked], line: ParkedLine) -> None:
        self._reading -= 1
        if self._lines.get(line.key) is not line:
            return  # purged meanwhile
        found = [
            row
            for row in rows[: line.count]
            if row.state is not DeliveryState.DEAD and not self._changes.is_released(row.record.seq)
            and self._key_of(row.record) == line.key
        ]  # fmt: skip
        if not found:
            self._idle(line, self._now_ms() + COMMIT_LAG_MS)
            self._ready()
            return
        if found[0].record.seq != line.head:
            line.head, line.attempts = found[0].record.seq, found[0].attempts
        line.rows = deque(found[: line.count])
        self._queue.append(line)
        self._ready()

    def _not_read(self, failure: Failure, line: ParkedLine) -> None:
        self._reading -= 1
        self._log.failure("parked records could not be read; tried again", failure)
        self._idle(line, self._now_ms() + 5 * COMMIT_LAG_MS)
        self._ready()
