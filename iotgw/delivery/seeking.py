"""Moves an integration along the stream on a user's request: drop what waits, go back, or skip."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from iotgw.delivery.accounts import Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.flight import Flight
from iotgw.delivery.known import Known
from iotgw.delivery.parking import Parking
from iotgw.delivery.progress import ProgressWriter

PURGED = "purged"
SKIPPED = "skipped"
STEP = 0.05
"""Seconds between two sweeps while records that have to be passed are not in memory yet."""


class Seeking:
    """Moves one integration along the stream."""

    def __init__(
        self,
        clock: IReactorTime,
        flight: Flight,
        backlog: Backlog,
        parking: Parking,
        accounts: Accounts,
        progress: ProgressWriter,
    ) -> None:
        self._clock = clock
        self._flight = flight
        self._backlog = backlog
        self._parking = parking
        self._accounts = accounts
        self._progress = progress

    def purge(self) -> Deferred[int]:
        """Drop everything that waits. Fires with the number dropped. What is in flight is not affected."""
        waiting = self._flight.clear()
        for record in waiting:
            self._accounts.settle(record.seq, PURGED, len(record.body))
        until = self._backlog.last

        def parked(count: int) -> Deferred[int]:
            return self._pass(until, PURGED).addCallback(lambda passed: passed + count + len(waiting))

        self._progress.flush()
        return self._parking.purge(PURGED).addCallback(parked)

    def seek(self, position: int) -> Deferred[None]:
        """Go on after ``position``. Fires when done. Until then nothing may be in flight or be sent."""
        for record in self._flight.clear():
            self._accounts.put_back(len(record.body))
        if position > self._backlog.taken:
            return self._pass(position, SKIPPED).addCallback(lambda _: None)
        self._progress.flush()

        def back(parked: set[int]) -> None:
            self._backlog.pass_over(Known(parked))
            self._backlog.seek(position)

        return self._parking.beyond(position).addCallback(back)

    def _pass(self, until: int, reason: str) -> Deferred[int]:
        """Settle what waits in the stream up to a position; fires with how many that were."""
        backlog = self._backlog
        done: Deferred[int] = Deferred()
        total = 0

        def step() -> None:
            nonlocal total
            total += backlog.sweep(lambda record: reason if record.seq <= until else None)
            self._progress.dirty()
            if backlog.taken >= until or backlog.is_at_end or backlog.is_closed:
                done.callback(total)
            else:
                self._clock.callLater(STEP, step)

        step()
        return done
