"""The journal in a partition that another node owns, for the integrations of which this node delivers all partitions' messages.

It reads the telemetry of the partition and writes how far these integrations have come, and nothing else. It looks several times a second for what the
owner has committed, and hands it on as the owner's own journal does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psycopg
from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from iotgw.core.epochs import Epoch
from iotgw.core.errors import IotgwError, Unavailable
from iotgw.core.model import Counters, TelemetryRecord
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.group import Group
from iotgw.store.loans import LoanJournal
from iotgw.store.postgres.borrowed_writer import BorrowedNames, BorrowedWriter, Borrower
from iotgw.store.postgres.reader import PartitionReader
from iotgw.store.telling import tell
from iotgw.store.worker import StoreThread
from iotgw.store.writing import CommitReport, Committed, Opened

EVERY = 0.2
"""Seconds between two looks at what the owner has committed."""
PAGE = 1000
T = TypeVar("T")


class LentNow(Struct, frozen=True):
    """What is seen of a partition: its last record, the epochs that it has, and the integrations that are lent (ids)."""

    head: int
    epochs: list[Epoch]
    lent: frozenset[str]


class BorrowedReader(PartitionReader):
    """Reads a partition of which somebody else gives the names."""

    def __init__(self, tenant: Borrower, names: BorrowedNames) -> None:
        super().__init__(tenant.address, tenant.part, names)

    def look(self) -> LentNow:
        """What there is now. Whatever is read of the records up to its head has a name."""
        ((head,),) = self._ask("SELECT telemetry FROM partition WHERE id = %(part)s")
        epochs = self._ask(
            "SELECT name, uplink, telemetry FROM epoch WHERE part = %(part)s ORDER BY uplink, telemetry"
        )
        last = max(self._names.texts, default=0)
        names = self._ask("SELECT id, text FROM name WHERE part = %(part)s AND id > %(last)s", last=last)
        self._names.load((number, text.decode()) for number, text in names)
        lent = self._ask("SELECT id FROM integration WHERE part = %(part)s AND loan <> 0")
        return LentNow(
            head, [Epoch(*row) for row in epochs], frozenset(self._names.texts[number] for (number,) in lent)
        )


class _WriterThread:
    """The `GroupWriter` of a `BorrowedJournal`: what it has to do is done in one thread."""

    def __init__(
        self, reactor: IThreadedClock, tenant: Borrower, names: BorrowedNames, report: Callable[[CommitReport, list[str]], None]
    ) -> None:  # fmt: skip
        self._reactor = reactor
        self._tenant = tenant
        self._names = names
        self._report = report
        self._writer = BorrowedWriter(tenant, names)
        self._thread: StoreThread

    def start(self, opened: Callable[[Opened | Failure], None]) -> None:
        """See `GroupWriter.start`."""
        self._thread = StoreThread(self._reactor, "borrowed-writer")
        self._thread.call(self._open).addBoth(opened)

    def _open(self) -> Opened:
        try:
            reader = BorrowedReader(self._tenant, self._names)
            try:
                seen = reader.look()
            finally:
                reader.close()
        except psycopg.Error as error:
            raise Unavailable(f"the database: {str(error).strip()}", 1.0) from error
        *earlier, current = seen.epochs or [Epoch("")]
        return Opened(earlier, current, 0, seen.head, {}, [], {}, {}, seen.lent)

    def write(self, group: Group, now_ms: int, probe: bool = False) -> None:
        """See `GroupWriter.write`."""

        def written(lost: list[str] | Failure) -> None:
            if isinstance(lost, Failure):
                self._report(CommitReport(group, None, lost.getErrorMessage().strip()), [])
            else:
                self._report(CommitReport(group, Committed([], [], 0)), lost)

        self._thread.call(self._writer.commit, group).addBoth(written)

    def call(self, work: Callable[[BorrowedWriter], T]) -> Deferred[T]:
        """Have the writer do something."""
        return self._thread.call(work, self._writer)

    def tend(self, now_ms: int) -> None:
        """See `GroupWriter.tend`: the owner does that."""

    def hold(self, integration: str, age_ms: int) -> None:
        """See `GroupWriter.hold`: the owner knows it."""

    def keep_clock(self, state: str) -> None:
        """See `GroupWriter.keep_clock`: it is the owner's."""

    def erase(self, tenant: str, after: int, erased: Callable[[tuple[int, int] | Failure], None]) -> None:
        """See `GroupWriter.erase`: the owner does that."""
        erased(Failure(Unavailable("another node owns the partition")))

    def stop(self, stopped: Callable[[], None]) -> None:
        """See `GroupWriter.stop`."""
        self._thread.end(self._writer.close).addBoth(lambda _: stopped())


class BorrowedJournal(LoanJournal):
    """The part of an `IJournal` that is an `ITelemetryStream`, of the partition that ``tenant`` borrows from."""

    _writer: _WriterThread

    def __init__(self, reactor: IThreadedClock, tenant: Borrower, max_pending: int = 20_000) -> None:
        super().__init__(reactor, max_pending, 32 << 20)
        self.part = tenant.part
        self._tenant = tenant
        self._names: BorrowedNames = BorrowedNames()
        self._moved: Callable[[str], None] = lambda integration: None
        self._lost: set[str] = set()
        self._writer = _WriterThread(reactor, tenant, self._names, self._written)
        self._lent: frozenset[str] = frozenset()
        self._is_looking = False
        self._looker = LoopingCall(self._look)
        self._looker.clock = reactor

    def _new_reader(self) -> BorrowedReader:
        return BorrowedReader(self._tenant, self._names)

    # --- what is lent

    def listen(self, moved: Callable[[str], None]) -> None:
        """See `LoanJournal.listen`."""
        self._moved = moved

    def borrow(self, integration: str) -> Deferred[tuple[int, Counters] | None]:
        """See `LoanJournal.borrow`."""
        if integration not in self._lent or self._opened is None:
            return succeed(None)

        def taken(place: tuple[int, Counters] | None) -> tuple[int, Counters] | None:
            self._lost.discard(integration)
            return place

        borrowing = self._writer.call(lambda writer: writer.borrow(integration))
        return borrowing.addCallbacks(taken, _unavailable)

    def is_lost(self, integration: str) -> bool:
        """See `LoanJournal.is_lost`."""
        return integration in self._lost

    def give_back(self, integration: str) -> None:
        """See `LoanJournal.give_back`."""
        if self._opened is not None:
            self.committed().addBoth(
                lambda _: self._writer.call(lambda writer: writer.give_back(integration))
            )

    # --- looking

    def watch(self) -> None:
        """Look what the owner commits, from now on."""
        self._lent = self._opened.lent if self._opened is not None else frozenset()
        self._looker.start(EVERY, now=False)

    def stop(self) -> Deferred[None]:
        """See `IJournal.stop`."""
        if self._looker.running:
            self._looker.stop()
        return super().stop()

    def _look(self) -> None:
        if not self._is_looking and self._opened is not None:
            self._is_looking = True
            Deferred.fromCoroutine(self._follow()).addBoth(self._looked)

    def _looked(self, result: object) -> None:
        self._is_looking = False
        if isinstance(result, Failure) and not result.check(IotgwError):
            self._log.failure("another node's partition could not be looked at", result)

    async def _follow(self) -> None:
        seen = await self._readers.stream(lambda reader: reader.look())  # type: ignore[attr-defined]  # as `_new_reader` makes them
        if seen.epochs:
            self.epochs.begin(seen.epochs[:-1], seen.epochs[-1])
        lent, self._lent = self._lent, seen.lent
        for integration in sorted(seen.lent - lent):
            tell(self._moved, integration)
        while seen.head > self.head and self._opened is not None:
            records: list[TelemetryRecord] = await self._readers.stream(
                lambda reader, after=self.head: reader.telemetry(after, seen.head, PAGE)  # type: ignore[misc]
            )
            if not records:
                self.head = seen.head
                return
            self.head = records[-1].seq
            tell(self._listener.settled, [], records)

    # --- writing

    def _written(self, done: CommitReport, lost: list[str]) -> None:
        if done.committed is not None:
            done = CommitReport(done.group, Committed([], [], self.head))
        if lost:
            waiters, done.group.waiters = done.group.waiters, []
            for waiter in waiters:
                waiter.errback(Unavailable("another node delivers for this integration now", 1.0))
            self._lent -= frozenset(lost)  # the next look finds what is lent again
            self._lost |= frozenset(lost)
        self._reported(done)
        for integration in lost:
            tell(self._moved, integration)


def _unavailable(failure: Failure) -> None:
    failure.trap(psycopg.Error)
    raise Unavailable(f"the database: {failure.getErrorMessage().strip()}", 1.0)
