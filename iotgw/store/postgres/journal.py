"""The journal in a partition of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from iotgw.core.model import Counters
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.group import Group
from iotgw.store.journal import GroupCommitJournal
from iotgw.store.postgres.node import IHolder
from iotgw.store.postgres.reader import PartitionReader
from iotgw.store.postgres.writer import Hears, PartitionWriter
from iotgw.store.space import JournalLimits
from iotgw.store.telling import tell

PATIENCE = 3.0
"""Seconds that a commit may take before nothing more is accepted. What is in it waits until the database says what became of it."""


class PostgresJournal(GroupCommitJournal):
    """An `IJournal` in the partition that ``node`` holds. ``lost`` is called, once, when another gateway has taken it over: then this process
    can't store anything any more, and has to end. What is in the file ``spilled`` is put into the partition at the start."""

    _writer: PartitionWriter

    def __init__(
        self,
        reactor: IThreadedClock,
        node: IHolder,
        limits: JournalLimits | None = None,
        *,
        max_pending: int = 20_000,
        max_pending_bytes: int = 32 << 20,
        lost: Callable[[], None] = lambda: None,
        spilled: Path | None = None,
    ) -> None:
        super().__init__(reactor, max_pending, max_pending_bytes)
        self._node = node
        self._lost = lost
        self._is_lost = False
        self._since = 0.0
        hears = Hears(self._reported, self._spaced, self._troubled, self._fenced)
        self._writer = PartitionWriter(reactor, node, limits or JournalLimits(), self._names, hears, spilled)

    @property
    def put_aside(self) -> str:
        """What became of a damaged file of what was spilled, once the journal has started; empty for nothing."""
        return self._writer.put_aside

    def _new_reader(self) -> PartitionReader:
        return PartitionReader(self._node.address, self._writer.part, self._names)

    def stop(self) -> Deferred[None]:
        """See `IJournal.stop`. A commit that the database doesn't answer is given up after a while."""
        stopping = super().stop()
        if not stopping.called:
            giving_up = self._reactor.callLater(PATIENCE, self._writer.give_up)

            def stopped(result: None) -> None:
                if giving_up.active():
                    giving_up.cancel()

            stopping.addCallback(stopped)
        return stopping

    def take_back(self, integration: str) -> Deferred[tuple[int, Counters] | None]:
        """See `ITelemetryStream.take_back`."""
        taken: Deferred[tuple[int, Counters] | None] = Deferred()

        def ended(result: tuple[int, Counters] | Failure | None) -> None:
            if isinstance(result, Failure):
                taken.errback(result)
            else:
                taken.callback(result)

        self._writer.take_back(integration, ended)
        return taken

    def _hand_over(self) -> None:
        if self._writing is None:
            self._since = self._reactor.seconds()
        super()._hand_over()

    def _tend(self) -> None:
        """As always, and look whether the database still answers."""
        if self._writing is not None and self._reactor.seconds() - self._since > PATIENCE:
            self._troubled("the database does not answer")
        super()._tend()

    def _troubled(self, problem: str) -> None:
        """What is under way is in doubt. Nothing more is accepted, and what waits is refused, as it certainly isn't stored."""
        if not problem or self._is_lost:
            return
        if not self._problem:
            self._log.error("the journal can't be written: {problem}", problem=problem)
        self._problem = problem
        self.room = False
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        waiting = self._pending.entries
        if waiting:
            kept, self._pending = self._pending, Group()
            kept.keep_for(self._pending)
            if refused := self._unsaved(waiting):
                tell(self._listener.refused, refused, self._problem)

    def _fenced(self, problem: str) -> None:
        self._problem = f"the partition is lost: {problem}"
        self.room = False
        if not self._is_lost:
            self._is_lost = True
            self._log.critical("{problem}; this gateway ends", problem=self._problem)
            self._lost()
