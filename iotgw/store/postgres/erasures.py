"""Tenants that are deleted: each partition forgets them by its owner, and whoever deletes one waits for all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.tenants import IErasures, IForgetsTenants
from iotgw.store.postgres.chores import PartitionChores
from iotgw.store.postgres.connection import Address, Connection

EVERY = 2.0
"""Seconds between two looks at what is to be forgotten."""
_ASK = """INSERT INTO erasure SELECT %s, id, false FROM partition WHERE owner_epoch > 0 ORDER BY id
ON CONFLICT (tenant, part) DO UPDATE SET done = false"""
_WANTED = "SELECT tenant, part FROM erasure WHERE NOT done AND part = ANY(%s::int[]) ORDER BY part, tenant"
_LEFT = "SELECT count(*) FROM erasure WHERE NOT done AND tenant = %s"
_DONE = "UPDATE erasure SET done = true WHERE tenant = %s AND part = %s"
_ERASED = """SELECT DISTINCT tenant FROM erasure WHERE tenant NOT IN (SELECT tenant FROM resource WHERE kind = 'datasource')"""


@implementer(IErasures)
class Erasures(PartitionChores[Sequence[IForgetsTenants]]):
    """Forgets tenants in all partitions of the database at ``address``."""

    def __init__(self, reactor: IThreadedClock, address: Address) -> None:
        super().__init__(reactor, address, "erasures", EVERY, "a deleted tenant could not be forgotten")

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
