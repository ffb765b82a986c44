"""Dead letters: messages that were given up, kept until a person has them sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from iotgw.core.model import DeliveryState, Parked, TelemetryRecord
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.delivery.accounts import Accounts
from iotgw.delivery.row_changes import RowChanges

PAGE = 100


class DeadLetters:
    """The dead letters of one integration. Each gets one more try when it is asked for, out of its device's order.

    Their rows stay until the target took them: a restart forgets no letter. ``ready()`` is called when `take`
    has something again.
    """

    _log = Logger()

    def __init__(
        self,
        integration: str,
        journal: ITelemetryStream,
        rows: RowChanges,
        accounts: Accounts,
        ready: Callable[[], None],
    ) -> None:
        self._integration = integration
        self._journal = journal
        self._rows = rows
        self._accounts = accounts
        self._ready = ready
        self._queue: deque[Parked] = deque()
        self._flying: dict[int, Parked] = {}
        self.in_flight: Set[int] = self._flying.keys()
        """The positions that the target has, as of now."""
        self._next_page: int | None = None
        self._until = 0
        self._gone: set[int] = set()
        """Delivered; the journal may still show their rows for a moment."""

    def bury(self, record: TelemetryRecord, attempts: int, error: str) -> None:
        """A record is given up after so many attempts."""
        self._accounts.bury(len(record.body))
        self._rows.put(record, DeliveryState.DEAD, attempts, 0, error)

    def read(self, after: int, limit: int) -> Deferred[list[Parked]]:
        """The dead letters after a position, as the journal has them."""
        return self._journal.read_parked(self._integration, DeliveryState.DEAD, after, limit)

    # --- sent again

    def retry(self, row: Parked) -> None:
        """Send this one again."""
        self._add([row])

    def retry_all(self) -> None:
        """Send every one there is now again, and none that dies from now on."""
        self._until = self._journal.head
        self._read_page(0)

    def take(self) -> TelemetryRecord | None:
        """The next to send, now in flight."""
        if not self._queue:
            return None
        row = self._queue.popleft()
        self._flying[row.record.seq] = row
        return row.record

    def back(self, seq: int) -> None:
        """It could not be sent; it comes again."""
        self._queue.append(self._flying.pop(seq))

    def back_all(self) -> None:
        """None of those in flight could be sent; they come again."""
        for seq in list(self._flying):
            self.back(seq)

    def delivered(self, seq: int) -> None:
        """The target took it."""
        del self._flying[seq]
        self._gone.add(seq)
        self._rows.release(seq)
        self._accounts.revive(seq)
        self._go_on()

    def failed(self, seq: int, reason: str) -> None:
        """It is as dead as before."""
        row = self._flying.pop(seq)
        self._rows.put(row.record, DeliveryState.DEAD, row.attempts + 1, 0, reason)
        self._go_on()

    def _go_on(self) -> None:
        if not self._queue and not self._flying and self._next_page is not None:
            self._read_page(self._next_page)

    def _read_page(self, after: int) -> None:
        self._next_page = None
        self.read(after, PAGE).addCallback(self._have_read).addErrback(
            lambda failure: self._log.failure("dead letters could not be read", failure)
        )

    def _have_read(self, rows: list[Parked]) -> None:
        due = [row for row in rows if row.record.seq <= self._until]
        if due:
            self._next_page = due[-1].record.seq
        self._add(due)

    def _add(self, rows: list[Parked]) -> None:
        here = {*self._flying, *self._gone, *(row.record.seq for row in self._queue)}
        self._queue.extend(row for row in rows if row.record.seq not in here)
        if self._queue:
            self._ready()
        else:
            self._go_on()
