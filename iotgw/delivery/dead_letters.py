"""Dead letters: messages that were given up. They are kept, within limits, until a user retries or dismisses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.model import Attempt, DeliveryState, Parked, TelemetryRecord
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.specs import DeadLetterSpec
from iotgw.core.times import DateMs, SteadyMs
from iotgw.delivery.accounts import Accounts
from iotgw.delivery.row_changes import RowChanges
from iotgw.delivery.tries import tried

PAGE = 100
TOO_MANY = "dead letters' limit"
"""The reason given for dead letters that were dropped to stay within the limits."""
DISMISSED = "dismissed"
"""The reason given for dead letters that a user dismissed."""

Match = Callable[[Parked], bool]


class DeadLetters:
    """The dead letters of one integration. Each gets one more attempt on request, regardless of its device's order.

    A row stays in the journal until the target has accepted the letter, so a restart loses none. ``ready()`` is called
    when `take` has something again.

    Many methods: one for each thing that can happen to a dead letter.
    """

    _log = Logger()

    def __init__(
        self,
        integration: str,
        journal: ITelemetryStream,
        rows: RowChanges,
        accounts: Accounts,
        ready: Callable[[], None],
        moment_ms: Callable[[DateMs], SteadyMs],
    ) -> None:
        self._integration = integration
        self._journal = journal
        self._rows = rows
        self._accounts = accounts
        self._ready = ready
        self._moment_ms = moment_ms
        self._queue: deque[Parked] = deque()
        self._flying: dict[int, Parked] = {}
        self.in_flight: Set[int] = self._flying.keys()
        """A live view of the positions that the target has."""
        self._next_page: int | None = None
        self._until = 0
        self._gone: set[int] = set()
        """Letters that ended while a read was under way. The rows read may still include them."""
        self._reading = 0
        self.bytes = 0
        """Total size of all dead letters."""
        self._oldest_ms: SteadyMs | None = None
        """The oldest was received at this time or later; None when there is none. Milliseconds since 1970."""
        self._is_shedding = False

    def bury(self, record: TelemetryRecord, attempts: int, error: str, tries: tuple[Attempt, ...]) -> None:
        """Give up a record that failed ``attempts`` times, the last time with ``error``. ``tries`` are those that are known."""
        self._accounts.bury(len(record.body))
        self._keep(record)
        self._rows.put(record, DeliveryState.DEAD, attempts, 0, error, tries)

    def found(self, record: TelemetryRecord) -> None:
        """Note a dead letter that the journal had at the start."""
        self._keep(record)

    def _keep(self, record: TelemetryRecord) -> None:
        self.bytes += len(record.body)
        received_ms = self._moment_ms(record.received_ms)
        if self._oldest_ms is None or received_ms < self._oldest_ms:
            self._oldest_ms = received_ms

    def read(self, after: int, limit: int) -> Deferred[list[Parked]]:
        """Fires with at most ``limit`` dead letters after a position, as the journal has them. One that can't be read
        has the state `DeliveryState.DROPPED`."""
        if not self._reading:
            self._gone.clear()
        self._reading += 1

        def done(result: list[Parked] | Failure) -> list[Parked] | Failure:
            self._reading -= 1
            return result

        rows = self._journal.read_parked(self._integration, DeliveryState.DEAD, after, limit)
        return rows.addBoth(done)

    # --- dropped

    def is_over(self, spec: DeadLetterSpec, now_ms: SteadyMs) -> bool:
        """Whether there are too many dead letters, too many bytes, or letters that are too old."""
        oldest_ms = now_ms - int(spec.max_age * 1000)
        is_old = self._oldest_ms is not None and self._oldest_ms < oldest_ms
        return self._accounts.dead > spec.max_count or self.bytes > spec.max_bytes or is_old

    def shed(self, spec: DeadLetterSpec, now_ms: SteadyMs) -> Deferred[int]:
        """Drop the oldest until the rest is within the limits. Fires with the number dropped. All changed rows must
        have been handed to the journal before."""
        if self._is_shedding:
            return succeed(0)
        self._is_shedding = True
        self._oldest_ms = None
        oldest_ms = now_ms - int(spec.max_age * 1000)

        def is_over(row: Parked) -> bool:
            accounts, received_ms = self._accounts, self._moment_ms(row.record.received_ms)
            if accounts.dead > spec.max_count or self.bytes > spec.max_bytes or received_ms < oldest_ms:
                return True
            if self._oldest_ms is None or received_ms < self._oldest_ms:
                self._oldest_ms = received_ms
            return False

        def over(result: int | Failure) -> int | Failure:
            self._is_shedding = False
            return result

        return self._end_each(is_over, TOO_MANY).addBoth(over)

    def dismiss(self, match: Match) -> Deferred[int]:
        """Drop the present dead letters that match. Fires with the number dropped."""
        return self._end_each(match, DISMISSED)

    def _end_each(self, match: Match, reason: str) -> Deferred[int]:
        """Drop, oldest first, those that match and aren't in flight."""
        until, ended = self._journal.head, 0

        def page(rows: list[Parked]) -> int | Deferred[int]:
            nonlocal ended
            for row in rows:
                seq = row.record.seq
                if seq <= until and self._is_here(row) and seq not in self._flying and match(row):
                    self._end(row.record)
                    self._accounts.dismiss(seq, reason)
                    ended += 1
            if not rows or rows[-1].record.seq >= until:
                return ended
            return self.read(rows[-1].record.seq, PAGE).addCallback(page)

        return self.read(0, PAGE).addCallback(page)

    def _is_here(self, row: Parked) -> bool:
        seq = row.record.seq
        is_gone = seq in self._gone or self._rows.is_released(seq)
        return row.state is DeliveryState.DEAD and not is_gone

    def _end(self, record: TelemetryRecord) -> None:
        """Release the row of a record that is no longer a dead letter."""
        seq = record.seq
        self.bytes -= len(record.body)
        self._rows.release(seq)
        if self._reading:
            self._gone.add(seq)
        if self._queue:
            self._queue = deque(row for row in self._queue if row.record.seq != seq)

    # --- sent again

    def retry(self, row: Parked) -> None:
        """Send this letter again."""
        self._add([row])

    def retry_all(self) -> None:
        """Send all present letters again, but none that is added later."""
        self._until = self._journal.head
        self._read_page(0)

    def take(self) -> TelemetryRecord | None:
        """The next letter to send, now in flight; None when there is none."""
        if not self._queue:
            return None
        row = self._queue.popleft()
        self._flying[row.record.seq] = row
        return row.record

    def back(self, seq: int) -> None:
        """A letter in flight could not be sent. It will be sent again."""
        self._queue.append(self._flying.pop(seq))

    def back_all(self) -> None:
        """None of the letters in flight could be sent. They will be sent again."""
        for seq in list(self._flying):
            self.back(seq)

    def delivered(self, seq: int) -> None:
        """The target accepted a letter in flight."""
        self._end(self._flying.pop(seq).record)
        self._accounts.revive(seq)
        self._go_on()

    def failed(self, seq: int, reason: str, at_ms: int) -> None:
        """A letter in flight failed again, at a gateway time, and stays a dead letter."""
        row = self._flying.pop(seq)
        tries = tried(row.tries, at_ms, reason)
        self._rows.put(row.record, DeliveryState.DEAD, row.attempts + 1, 0, reason, tries)
        self._go_on()

    def _go_on(self) -> None:
        if not self._queue and not self._flying and self._next_page is not None:
            self._read_page(self._next_page)

    def _read_page(self, after: int) -> None:
        self._next_page = None
        self.read(after, PAGE).addCallback(self._have_read).addErrback(self.failed_to_read)

    def failed_to_read(self, failure: Failure) -> None:
        """Log that the dead letters could not be read."""
        self._log.failure("dead letters could not be read", failure)

    def _have_read(self, rows: list[Parked]) -> None:
        due = [row for row in rows if row.record.seq <= self._until]
        if due:
            self._next_page = due[-1].record.seq
        self._add(due)

    def _add(self, rows: list[Parked]) -> None:
        here = {*self._flying, *(row.record.seq for row in self._queue)}
        self._queue.extend(row for row in rows if row.record.seq not in here and self._is_here(row))
        if self._queue:
            self._ready()
        else:
            self._go_on()
