"""The partitions of a database, of which a process may come to hold several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

import psycopg
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure

from iotgw.core.departures import IsLast
from iotgw.core.errors import Unavailable
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.postgres.borrowed import BorrowedJournal
from iotgw.store.postgres.borrowed_writer import Borrower
from iotgw.store.postgres.connection import Connection
from iotgw.store.postgres.downlinks import WHAT as ITEMS
from iotgw.store.postgres.downlinks import PostgresItems
from iotgw.store.postgres.entries import WHAT as DEVICES
from iotgw.store.postgres.entries import PostgresEntries
from iotgw.store.postgres.journal import PostgresJournal
from iotgw.store.postgres.listener import DatabaseListener
from iotgw.store.postgres.node import DatabaseNode, HeldPartition
from iotgw.store.postgres.nodes import Backlogs, DatabaseNodes, Duties
from iotgw.store.postgres.registry import WHAT, PostgresRegistry
from iotgw.store.space import JournalLimits
from iotgw.store.worker import StoreThread

ALONE = 0x696F7468
"""The advisory lock of what no two nodes may do at once."""


class _Work(Protocol):
    """See `iotgw.app.storage.IWork`."""

    def begin(self, part: int, home: str) -> Awaitable[None]: ...
    def end(self, part: int) -> Awaitable[None]: ...
    def figures(self) -> tuple[int, int]: ...
    def drain(self, drains: bool) -> None: ...
    def others(self, parts: Collection[int]) -> None: ...


class DatabasePartitions:
    """See `iotgw.app.storage.IPartitions`. ``nodes`` are the nodes of the database."""

    def __init__(
        self, reactor: IThreadedClock, node: DatabaseNode, registry: PostgresRegistry, entries: PostgresEntries,
        items: PostgresItems, limits: JournalLimits, max_pending: int,
    ) -> None:  # fmt: skip
        self._reactor = reactor
        self._node = node
        self._registry = registry
        self._limits = limits
        self._max_pending = max_pending
        self._adopted: dict[int, HeldPartition] = {}
        """Those whose journal isn't open yet."""
        self.nodes = DatabaseNodes(reactor, node)
        topics = {WHAT: registry.follow, DEVICES: entries.follow, ITEMS: items.follow}
        self._listener = DatabaseListener(reactor, node.address, topics)

    def journal(self, part: int, lost: Callable[[], None]) -> PostgresJournal:
        """See `IPartitions.journal`."""
        held = self._adopted.pop(part)
        return PostgresJournal(self._reactor, held, self._limits, max_pending=self._max_pending, lost=lost)

    def borrowed(self, part: int) -> BorrowedJournal:
        """See `IPartitions.borrowed`."""
        node = self._node
        return BorrowedJournal(
            self._reactor, Borrower(node.address, node.name, part, node.lease), self._max_pending
        )

    def is_last(self, part: int) -> IsLast:
        """See `IPartitions.is_last`."""
        return lambda id: self._registry.is_last(id, part)

    @property
    def own(self) -> int:
        """See `IPartitions.own`."""
        return self._node.part

    def own_is_last(self) -> IsLast:
        """See `IPartitions.own_is_last`."""
        return lambda id: self._registry.is_last(id, self._node.part)

    def lost(self, part: int) -> None:
        """See `IPartitions.lost`."""
        self.nodes.lost(part)

    def begin(self, work: _Work) -> Deferred[None]:
        """See `IPartitions.begin`."""
        self._listener.start()
        return self.nodes.start(
            Duties(
                lambda held, home: self._begin(work, held, home),
                lambda part: ensureDeferred(_done(work.end(part))),
                lambda: Backlogs(*work.figures()),
                work.drain,
                work.others,
            )
        )

    def _begin(self, work: _Work, held: HeldPartition, home: str) -> Deferred[None]:
        self._adopted[held.part] = held

        def not_begun(failure: Failure) -> Failure:
            self._adopted.pop(held.part, None)
            held.let_go()
            return failure

        return ensureDeferred(_done(work.begin(held.part, home))).addErrback(not_begun)

    def alone(self, work: Callable[[], Awaitable[None]]) -> Deferred[None]:
        """See `IPartitions.alone`."""
        return ensureDeferred(self._alone(work))

    async def _alone(self, work: Callable[[], Awaitable[None]]) -> None:
        worker = StoreThread(self._reactor, "alone")
        try:
            connection = await worker.call(self._lock)
            try:
                await self._registry.catch_up()
                await work()
            finally:
                await worker.call(connection.close)
        finally:
            worker.stop()

    def _lock(self) -> Connection:
        try:
            connection = self._node.address.connect()
            connection.execute("SELECT pg_advisory_lock(%s)", (ALONE,))
        except psycopg.Error as error:
            raise Unavailable(f"the database: {str(error).strip()}") from error
        return connection

    def end(self) -> Deferred[None]:
        """See `IPartitions.end`."""
        self._listener.stop()
        return self.nodes.stop()

    def leave(self) -> Deferred[None]:
        """See `IPartitions.leave`."""
        return self.nodes.leave()


async def _done(work: Awaitable[None]) -> None:
    await work
