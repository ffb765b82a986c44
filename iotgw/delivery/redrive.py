"""Dead letters that a person sends again: one try each, out of their device's order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from iotgw.core.model import DeliveryState, Parked, TelemetryRecord
from iotgw.delivery.accounts import Accounts
from iotgw.delivery.parking import Parking

PAGE = 100


class Redrive:
    """Sends dead letters again. Their rows stay until the target took them: a restart forgets no letter."""

    _log = Logger()

    def __init__(
        self,
        integration: str,
        journal: Any,
        parking: Parking,
        accounts: Accounts,
        ready: Callable[[], None],
    ) -> None:
        self._integration = integration
        self._journal = journal
        self._parking = parking
        self._accounts = accounts
        self._ready = ready
        self._queue: deque[Parked] = deque()
        self.flying: dict[int, Parked] = {}
        self._next_page: int | None = None
        self._until = 0
        self._gone: set[int] = set()
        """Delivered; the journal may still show their rows for a moment."""

    def one(self, row: Parked) -> None:
        """Send this dead letter."""
        self._add([row])

    def all(self) -> None:
        """Send every dead letter there is now, and none that dies from now on."""
        self._until = int(self._journal.head)
        self._read(0)

    def take(self) -> TelemetryRecord | None:
        """The next to send, now in flight."""
        if not self._queue:
            return None
        row = self._queue.popleft()
        self.flying[row.record.seq] = row
        return row.record

    def back(self, seq: int | None = None) -> None:
        """It could not be sent (None: none of those in flight); it comes again."""
        for each in list(self.flying) if seq is None else [seq]:
            self._queue.append(self.flying.pop(each))

    def delivered(self, seq: int) -> None:
        """The target took it."""
        del self.flying[seq]
        self._gone.add(seq)
        self._parking.forget(seq)
        self._accounts.revive(seq)
        self._go_on()

    def failed(self, seq: int, reason: str) -> None:
        """It is as dead as before."""
        row = self.flying.pop(seq)
        self._parking.bury(row.record, row.attempts + 1, reason)
        self._go_on()

    def _go_on(self) -> None:
        if not self._queue and not self.flying and self._next_page is not None:
            self._read(self._next_page)

    def _read(self, after: int) -> None:
        self._next_page = None
        self._journal.read_parked(self._integration, DeliveryState.DEAD, after, PAGE).addCallback(
            self._have_read
        ).addErrback(lambda failure: self._log.failure("dead letters could not be read", failure))

    def _have_read(self, rows: list[Parked]) -> None:
        due = [row for row in rows if row.record.seq <= self._until]
        if due:
            self._next_page = due[-1].record.seq
        self._add(due)

    def _add(self, rows: list[Parked]) -> None:
        here = {*self.flying, *self._gone, *(row.record.seq for row in self._queue)}
        self._queue.extend(row for row in rows if row.record.seq not in here)
        if self._queue:
            self._ready()
        else:
            self._go_on()
