"""Tenants that are deleted: each partition forgets them by its owner, and whoever deletes one waits for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred, ensureDeferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.errors import IotgwError, Unavailable
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.tenants import IErasures, IForgetsTenants
from iotgw.store.postgres.connection import Address, Connection
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.worker import StoreThread

T = TypeVar("T")
EVERY = 2.0
"""Seconds between two looks at what is to be forgotten."""
_ASK = """INSERT INTO erasure SELECT %s, id, false FROM partition WHERE owner_epoch > 0 ORDER BY id
ON CONFLICT (tenant, part) DO UPDATE SET done = false"""
_WANTED = "SELECT tenant, part FROM erasure WHERE NOT done AND part = ANY(%s::int[]) ORDER BY part, tenant"
_LEFT = "SELECT count(*) FROM erasure WHERE NOT done AND tenant = %s"
_DONE = "UPDATE erasure SET done = true WHERE tenant = %s AND part = %s"
_ERASED = """SELECT DISTINCT tenant FROM erasure WHERE tenant NOT IN (SELECT tenant FROM resource WHERE kind = 'datasource')"""


@implementer(IErasures)
class Erasures:
    """Forgets tenants in all partitions of the database at ``address``."""

    _log = Logger()

    def __init__(self, reactor: IThreadedClock, address: Address) -> None:
        self._reactor: IReactorTime = reactor
        self._threads = reactor
        self._session = DatabaseSession(address)
        self._worker: StoreThread | None = None
        self._held: dict[int, Sequence[IForgetsTenants]] = {}
        self._is_looking = False
        self._tick = LoopingCall(self._look)
        self._tick.clock = reactor

    def start(self) -> None:
        """See `IErasures.start`."""
        self._worker = StoreThread(self._threads, "erasures")
        self._tick.start(EVERY, now=False)

    def stop(self) -> Deferred[None]:
        """See `IErasures.stop`."""
        self._tick.stop()
        worker, self._worker = self._worker, None
        return succeed(None) if worker is None else worker.end(self._session.close)

    def hold(self, part: int, stores: Sequence[IForgetsTenants]) -> None:
        """See `IErasures.hold`."""
        self._held[part] = stores

    def let_go(self, part: int) -> None:
        """See `IErasures.let_go`."""
        self._held.pop(part, None)

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`. Fires when no partition has anything of it; one whose node is dead is adopted first."""
        return Deferred.fromCoroutine(self._forget(tenant))

    def erased(self) -> Deferred[list[str]]:
        """See `IErasures.erased`."""
        return self._run(lambda db: [name for (name,) in db.execute(_ERASED)])

    async def _forget(self, tenant: str) -> int:
        await self._run(lambda db: db.execute(_ASK, (tenant,)).rowcount)
        while await self._run(lambda db: _count(db, tenant)):
            await deferLater(self._reactor, EVERY / 4, lambda: None)
        return 0

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
            self._log.failure("a deleted tenant could not be forgotten", failure)

    async def _follow(self) -> None:
        held = sorted(self._held)
        wanted = await self._run(lambda db: db.execute(_WANTED, (held,)).fetchall())
        for tenant, part in wanted:
            for store in self._held.get(part, ()):
                await store.forget_tenant(tenant)
            if part in self._held:
                await self._run(partial(_note_done, tenant=tenant, part=part))


def _note_done(db: Connection, tenant: str, part: int) -> None:
    db.execute(_DONE, (tenant, part))


def _count(db: Connection, tenant: str) -> int:
    ((left,),) = db.execute(_LEFT, (tenant,)).fetchall()
    return int(left)
