"""What each partition's owner has to do for it, as rows of the database say: they are looked at by the clock, in a thread, one look after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred, fail, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.errors import IotgwError, Unavailable
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.postgres.connection import Address, Connection
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.worker import StoreThread

T = TypeVar("T")
Means = TypeVar("Means")
"""What a partition's chores are done with."""


class PartitionChores(ABC, Generic[Means]):
    """Chores of the partitions that this node holds, wanted in the database at ``address``; looked for ``every`` so many seconds. A subclass says in
    ``_follow`` what is wanted, and does it. ``name`` is its thread's, and ``trouble`` what the log says where it fails."""

    _log = Logger()

    def __init__(
        self, reactor: IThreadedClock, address: Address, name: str, every: float, trouble: str
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._every = every
        self._trouble = trouble
        self._session = DatabaseSession(address)
        self._worker: StoreThread | None = None
        self._held: dict[int, Means] = {}
        self._is_looking = False
        self._tick = LoopingCall(self._look)
        self._tick.clock = reactor

    def start(self) -> None:
        """Begin to look."""
        self._worker = StoreThread(self._reactor, self._name)
        self._tick.start(self._every, now=False)

    def stop(self) -> Deferred[None]:
        """Look no more; fires when nothing is under way in the database."""
        if self._tick.running:
            self._tick.stop()
        worker, self._worker = self._worker, None
        return succeed(None) if worker is None else worker.end(self._session.close)

    def hold(self, part: int, means: Means) -> None:
        """This node has a partition from now on."""
        self._held[part] = means

    def let_go(self, part: int) -> None:
        """It has it no more."""
        self._held.pop(part, None)

    def _run(self, function: Callable[[Connection], T]) -> Deferred[T]:
        if self._worker is None:
            return fail(Unavailable("the gateway is stopping"))
        return self._worker.call(self._session.run, function)

    def _look(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            ensureDeferred(self._follow()).addErrback(self._failed).addBoth(self._looked)

    def _looked(self, _: object) -> None:
        self._is_looking = False

    def _failed(self, failure: Failure) -> None:
        if not failure.check(IotgwError):
            self._log.failure(self._trouble, failure)

    @abstractmethod
    async def _follow(self) -> None:
        """Do what is wanted now."""
