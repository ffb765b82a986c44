"""The journal of a node, which goes on in a file while the database is away.

Spilled uplinks get the next positions, as all others do, and with them their ids. When the database is back, they are put into the partition, in
order and under these positions, before anything else gets a place there. So a position tells whether it is there already, whatever ended in
between, and what is in doubt may be spilled as well.

    away ──── the database answers ───> draining ── little is left ──> closing ── all of it waits for the next commit ──> as always
      ^                                     │                             │
      └──────────────────────── the database is away again ───────────────┘

While it drains, new uplinks of datasources that spill go to the end of the file, and those of others are refused. While it closes, they wait
behind what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.epochs import Epoch
from iotgw.core.errors import Unavailable
from iotgw.core.model import StoredUplink, Uplink
from iotgw.core.ports.journal import Entries, IJournalListener, Waiter
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.postgres.journal import PostgresJournal
from iotgw.store.postgres.node import IHolder
from iotgw.store.postgres.spill import ANSWERED, Spill, SpillHears
from iotgw.store.space import JournalLimits
from iotgw.store.telling import tell
from iotgw.store.writing import CommitReport

CHUNK = 2000
"""Uplinks that are read from the file at once. If no more are left, it closes."""


class SpillingJournal(PostgresJournal):
    """A `PostgresJournal` with a `Spill`.

    Many methods: those of the journal that are others while it spills, and one for each step of the way back.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IThreadedClock,
        node: IHolder,
        spill: Spill,
        limits: JournalLimits | None = None,
        *,
        max_pending: int = 20_000,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(reactor, node, limits, max_pending=max_pending, lost=lost, spilled=spill.path)
        self._spill = spill
        self._spillers: set[str] = set()
        self._is_spilling = self._is_closing = self._is_reading = False
        self._answered: set[int] = set()
        """Of what is being written, the positions that are spilled, too."""

    def start(self, listener: IJournalListener) -> Deferred[None]:
        """See `IJournal.start`. What an earlier process has spilled is in the partition before anything else is."""

        def refused(entries: Entries, problem: str) -> None:
            tell(listener.refused, entries, f"it can't be spilled: {problem}")

        hears = SpillHears(lambda entries: tell(listener.spilled, entries), refused)
        started = super().start(listener)
        return started.addCallback(lambda _: self._spill.start(hears, self._epoch_now))

    def stop(self) -> Deferred[None]:
        """See `IJournal.stop`. What is spilled stays in its file."""
        self._stay_open()
        return super().stop().addCallback(lambda _: self._spill.stop())

    def _epoch_now(self) -> Epoch:
        return Epoch(self.epochs.current, self.epochs.uplink, self.epochs.telemetry)

    def erase(self, tenant: str, after: int, erased: Callable[[tuple[int, int] | Failure], None]) -> None:
        """See `GroupWriter.erase`. Not while something is spilled, which would come later."""
        if self._is_spilling:
            erased(Failure(Unavailable("what was spilled isn't in the journal yet", 5.0)))
        else:
            super().erase(tenant, after, erased)

    # --- away

    def when_away(self, datasource: str, spills: bool) -> None:
        """See `IUplinkStream.when_away`."""
        if spills:
            self._spillers.add(datasource)
        else:
            self._spillers.discard(datasource)

    def spills(self, datasource: str) -> bool:
        """See `IUplinkStream.spills`."""
        return (
            self._is_spilling
            and datasource in self._spillers
            and self._spill.room
            and self._stopping is None
            and self._pending.size < self._max_pending
        )

    def append(self, uplink: Uplink, token: Waiter) -> int:
        """See `IJournal.append`."""
        if not self._is_spilling or self._is_closing:
            return super().append(uplink, token)
        self.last_uplink = seq = self.last_uplink + 1
        self._spill.add([(StoredUplink(seq, uplink), token)])
        return seq

    def _stay_open(self) -> None:
        """It can't close now: what waits behind the rest goes to the end of the file, too."""
        if self._is_closing:
            self._is_closing = False
            super()._refuse_waiting()

    def _refuse_waiting(self) -> None:
        """What is in doubt is spilled as well: if it is in the partition after all, its position will tell."""
        self._begin()
        if self._writing is not None:
            doubtful = [each for each in self._writing.entries if each[0].seq not in self._answered]
            self._unsaved(doubtful)
            self._answered.update(
                stored.seq for stored, _ in doubtful if stored.uplink.datasource in self._spillers
            )
        super()._refuse_waiting()

    def _unsaved(self, entries: Entries) -> Entries:
        """Spill what may be spilled. Returns the rest."""
        self._begin()
        spilled: Entries = []
        rest: Entries = []
        for entry in entries:
            if entry[1] is ANSWERED:  # it is in the file
                continue
            (spilled if entry[0].uplink.datasource in self._spillers else rest).append(entry)
        if spilled:
            self._spill.add(spilled)
        return rest

    def _begin(self) -> None:
        self._stay_open()
        if not self._is_spilling:
            self._is_spilling = True
            if self._spillers:
                self._log.warn("messages are spilled to {file}", file=str(self._spill.path))

    def _failed(self, done: CommitReport) -> None:
        super()._failed(done)
        super()._refuse_waiting()  # or it would be stored before the group, and be taken for all that was spilled until then
        postponed = [
            each
            for each in done.group.entries
            if each[1] is ANSWERED or each[0].uplink.datasource in self._spillers
        ]
        if postponed:
            tell(self._listener.postponed, postponed)

    # --- back

    def _reported(self, done: CommitReport) -> None:
        if self._answered:
            done.group.entries = self._told(done.group.entries)
            done = msgspec.structs.replace(done, unfit=self._told(done.unfit))
            self._answered.clear()
        entries = done.group.entries
        super()._reported(done)
        if done.committed is not None and entries and self._spill.size:
            self._spill.drop(entries[-1][0].seq)
        self._go_on()

    def _told(self, entries: Entries) -> Entries:
        return [
            (stored, ANSWERED) if stored.seq in self._answered else (stored, token)
            for stored, token in entries
        ]

    def _go_on(self) -> None:
        """Put the next of what is spilled into the partition, when nothing else is on its way there."""
        if not self._is_spilling or self._is_reading or self._is_closing or self._problem or self._is_over:
            return
        if self._writing is not None or self._pending.entries:
            return
        self._is_reading = True
        self._is_closing = is_last = self._spill.size <= CHUNK

        def read(found: list[StoredUplink]) -> None:
            self._is_reading = False
            if self._problem or self._is_over or is_last is not self._is_closing:
                return  # away again meanwhile
            self._pending.put_first([(stored, ANSWERED) for stored in found])
            if is_last:
                self._is_closing = self._is_spilling = False
                self._log.info("no more messages are spilled")
            self._look_for_room()
            self._wake()

        def unreadable(failure: Any) -> None:
            self._is_reading = self._is_closing = False
            self._log.error("the spill can't be read: {problem}", problem=failure.getErrorMessage())

        durable = self._durable_uplink
        reading = self._spill.rest(durable) if is_last else self._spill.next(durable, CHUNK)
        reading.addCallbacks(read, unreadable)

    @property
    def _is_over(self) -> bool:
        return self._stopping is not None or self._is_lost

    def _hand_over(self) -> None:
        if self._is_closing:  # what is left comes first
            self._woken = False
            return
        super()._hand_over()

    def _tend(self) -> None:
        super()._tend()
        self._go_on()

    def _look_for_room(self) -> None:
        if not self._is_spilling:
            super()._look_for_room()

    # --- what is said of it

    def stats(self) -> Deferred[dict[str, Any]]:
        """See `IJournal.stats`."""
        spill = self._spill
        state = {
            "spills": self._is_spilling, "messages": spill.size, "bytes": spill.bytes, "total": spill.total,
            "problem": spill.problem, "file": spill.path.name,
        }  # fmt: skip
        return super().stats().addCallback(lambda found: {**found, "spill": state})
