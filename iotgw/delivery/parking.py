"""Where a message waits that failed for its own reason, with its device's later messages behind it.

Parked records have rows of their own in the journal, so the integration's cursor moves on and other
devices don't wait. In memory is only one small entry per device that has something parked.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.model import DeliveryState, Parked, TelemetryRecord
from iotgw.delivery.accounts import Accounts

PAGE = 500
LINE = 20
"""Records of a device that are read at once."""
READ_AHEAD = 32
"""Devices whose parked records may be in memory."""
COMMIT_LAG_MS = 200
"""A row that was just handed to the journal may not be readable yet."""


class Line:
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

    ``key_of`` gives what orders a record (its device, or nothing but itself). ``now_ms()`` is the time.
    ``ready()`` is called when `take` has something again, or when it is worth to `look` again.
    """

    _log = Logger()

    def __init__(
        self,
        integration: str,
        journal: Any,
        accounts: Accounts,
        key_of: Callable[[TelemetryRecord], Hashable],
        now_ms: Callable[[], int],
        ready: Callable[[], None],
    ) -> None:
        self._integration = integration
        self._journal = journal
        self._accounts = accounts
        self._key_of = key_of
        self._now_ms = now_ms
        self._ready = ready
        self.lines: dict[Hashable, Line] = {}
        self.flying: dict[int, Line] = {}
        self._due: list[tuple[int, int, Hashable]] = []
        self._queue: deque[Line] = deque()
        self._reading = 0
        self._rows: dict[int, Parked] = {}
        self._released: dict[int, None] = {}

    # --- after a restart

    def load(self) -> Deferred[None]:
        """Find what is parked; fires when known."""
        done: Deferred[None] = Deferred()

        def page(after: int) -> None:
            self._journal.read_parked(self._integration, None, after, PAGE).addCallbacks(found, done.errback)

        def found(rows: list[Parked]) -> None:
            for row in rows:
                self._found(row)
            if rows:
                page(rows[-1].record.seq)
            else:
                done.callback(None)

        page(0)
        return done

    def _found(self, row: Parked) -> None:
        seq = row.record.seq
        if row.state is DeliveryState.DEAD:
            return
        self._accounts.park(len(row.record.body))
        key = self._key_of(row.record)
        line = self.lines.get(key)
        if line is None:
            self.lines[key] = line = Line(key, row.record.device_name, seq, row.attempts, row.next_try_ms)
            self._idle(line, row.next_try_ms)
        else:
            line.count += 1
            line.last = seq

    def beyond(self, position: int) -> Deferred[set[int]]:
        """Fires with the positions after ``position`` that have a row: the stream brings them again."""
        done: Deferred[set[int]] = Deferred()
        known: set[int] = {seq for seq in self._rows if seq > position}

        def page(after: int) -> None:
            self._journal.read_parked(self._integration, None, after, PAGE).addCallbacks(found, done.errback)

        def found(rows: list[Parked]) -> None:
            known.update(row.record.seq for row in rows)
            if rows:
                page(rows[-1].record.seq)
            else:
                done.callback(known)

        page(position)
        return done

    # --- in

    def park(self, record: TelemetryRecord, attempts: int, error: str, next_try_ms: int) -> None:
        """A record failed, the first of its device."""
        key = self._key_of(record)
        self.lines[key] = line = Line(key, record.device_name, record.seq, attempts, next_try_ms)
        self._accounts.park(len(record.body))
        self._write(record, DeliveryState.RETRYING, attempts, next_try_ms, error)
        self._idle(line, next_try_ms)

    def park_behind(self, line: Line, record: TelemetryRecord) -> None:
        """A record must wait for one of its device."""
        line.count += 1
        line.last = max(line.last, record.seq)
        self._accounts.park(len(record.body))
        self._write(record, DeliveryState.QUEUED, 0, 0, "")

    def bury(self, record: TelemetryRecord, attempts: int, error: str) -> None:
        """A record goes to the dead letters."""
        self._write(record, DeliveryState.DEAD, attempts, 0, error)

    # --- out

    def look(self) -> None:
        """Read the lines whose time has come."""
        due = self._due
        now_ms = self._now_ms()
        while due and due[0][0] <= now_ms and len(self._queue) + self._reading < READ_AHEAD:
            next_try_ms, head, key = heapq.heappop(due)
            line = self.lines.get(key)
            if line is not None and line.idle and (line.head, line.next_try_ms) == (head, next_try_ms):
                line.idle = False
                self._read(line)

    def next_due_ms(self) -> int | None:
        """When to `look` again; None when nothing waits for a time."""
        return self._due[0][0] if self._due else None

    def take(self) -> Parked | None:
        """The next record to send, now in flight; None when none is at hand."""
        if not self._queue:
            return None
        line = self._queue.popleft()
        row = line.rows[0]
        self.flying[row.record.seq] = line
        return row

    def back(self, seq: int) -> None:
        """It could not be sent; it comes again."""
        self._queue.append(self.flying.pop(seq))

    def retry(self, seq: int, error: str, next_try_ms: int) -> None:
        """It failed again; its line waits."""
        line = self.flying.pop(seq)
        line.attempts += 1
        self._write(line.rows[0].record, DeliveryState.RETRYING, line.attempts, next_try_ms, error)
        line.rows.clear()
        self._idle(line, next_try_ms)

    def release(self, seq: int) -> None:
        """It is settled: its row goes, and the next of its line may."""
        line = self.flying.pop(seq)
        self._rows.pop(seq, None)
        self._released[seq] = None
        self._advance(line, seq)

    def give_up(self, seq: int, error: str) -> None:
        """It becomes a dead letter, and the next of its line may go."""
        line = self.flying.pop(seq)
        self.bury(line.rows[0].record, line.attempts + 1, error)
        self._advance(line, seq)

    def forget(self, seq: int) -> None:
        """The row of a dead letter goes."""
        self._rows.pop(seq, None)
        self._released[seq] = None

    def attempts(self, seq: int) -> int:
        """How often a record in flight was tried before."""
        return self.flying[seq].attempts

    def hurry(self) -> None:
        """Don't wait any longer."""
        now_ms = self._now_ms()
        self._due.clear()
        for line in self.lines.values():
            if line.idle:
                self._idle(line, now_ms)

    def purge(self, outcome: str) -> Deferred[int]:
        """Settle every record that waits here now and isn't in flight; fires with their number.

        The journal has all rows: the outbox was flushed.
        """
        keys = set(self.lines)
        # After a crash, there are rows beyond what was taken again from the stream.
        until = max((line.last for line in self.lines.values()), default=0)
        flying = {line.key for line in self.flying.values()}
        for key in keys - flying:
            del self.lines[key]
        for line in self.flying.values():
            line.count = 1
            line.rows = deque([line.rows[0]])
        self._queue.clear()
        done: Deferred[int] = Deferred()
        purged = 0

        def page(after: int) -> None:
            self._journal.read_parked(self._integration, None, after, PAGE).addCallbacks(found, done.errback)

        def found(rows: list[Parked]) -> None:
            nonlocal purged
            for row in rows:
                record = row.record
                seq = record.seq
                waits = row.state is not DeliveryState.DEAD and seq not in self.flying
                if waits and seq <= until and seq not in self._released and self._key_of(record) in keys:
                    self._released[seq] = None
                    self._accounts.unpark(len(record.body))
                    self._accounts.settle(seq, outcome, len(record.body))
                    purged += 1
            if not rows or rows[-1].record.seq > until:
                done.callback(purged)
            else:
                page(rows[-1].record.seq)

        page(0)
        return done

    def changes(self) -> tuple[tuple[Parked, ...], tuple[int, ...]]:
        """Rows that are new or changed, and positions whose row goes, since the last call."""
        if not self._rows and not self._released:
            return (), ()
        changed = tuple(self._rows.values()), tuple(self._released)
        self._rows = {}
        self._released = {}
        return changed

    # --- inside

    def _write(
        self, record: TelemetryRecord, state: DeliveryState, attempts: int, next_try_ms: int, error: str
    ) -> None:
        self._rows[record.seq] = Parked(self._integration, record, state, attempts, next_try_ms, error)

    def _idle(self, line: Line, next_try_ms: int) -> None:
        line.next_try_ms = next_try_ms
        line.idle = True
        heapq.heappush(self._due, (next_try_ms, line.head, line.key))

    def _advance(self, line: Line, seq: int) -> None:
        self._accounts.unpark(len(line.rows.popleft().record.body))
        line.count -= 1
        if line.count == 0:
            del self.lines[line.key]
        elif line.rows:
            line.head, line.attempts = line.rows[0].record.seq, line.rows[0].attempts
            self._queue.append(line)
        else:
            line.head, line.attempts = seq + 1, 0
            self._read(line)

    def _read(self, line: Line) -> None:
        self._reading += 1
        self._journal.parked_behind(self._integration, line.device, line.head - 1, LINE).addCallbacks(
            self._have_read, self._not_read, callbackArgs=(line,), errbackArgs=(line,)
        ).addErrback(lambda failure: self._log.failure("parked records were lost sight of", failure))

    def _have_read(self, rows: list[Parked], line: Line) -> None:
        self._reading -= 1
        if self.lines.get(line.key) is not line:
            return  # purged meanwhile
        found = [
            row
            for row in rows[: line.count]
            if row.state is not DeliveryState.DEAD and row.record.seq not in self._released
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

    def _not_read(self, failure: Failure, line: Line) -> None:
        self._reading -= 1
        self._log.failure("parked records could not be read; tried again", failure)
        self._idle(line, self._now_ms() + 5 * COMMIT_LAG_MS)
        self._ready()
