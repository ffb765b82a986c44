"""Whose the platforms' names are, in PostgreSQL: of two nodes that hear a name first at the same time, one has it."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core.ports.platform_names import Claimed, IPlatformNameRows, NameClaim
from iotgw.store.postgres.connection import Connection
from iotgw.store.postgres.packed import bytes_of
from iotgw.store.postgres.registry import PostgresRegistry

MOST = 250_000
"""Names of a tenant."""
_CLAIM = """INSERT INTO platform_name SELECT x.tenant, x.name, x.identity FROM unnest(%s::text[], %s, %s) AS x(tenant, name, identity)
ON CONFLICT DO NOTHING RETURNING tenant, name, identity"""
_READ = """SELECT tenant, name, identity FROM platform_name WHERE (tenant, name) IN (SELECT * FROM unnest(%s::text[], %s))"""
_ROOM = "SELECT tenant, count(*) FROM platform_name WHERE tenant = ANY(%s) GROUP BY tenant"
Key = tuple[str, bytes]
"""Tenant and name."""


@implementer(IPlatformNameRows)
class PostgresPlatformNames:
    """An `IPlatformNameRows` beside a registry, in its thread."""

    def __init__(self, registry: PostgresRegistry, most: int = MOST) -> None:
        self._registry = registry
        self._most = most

    def claim(self, claims: Sequence[NameClaim]) -> Deferred[list[Claimed]]:
        """See `IPlatformNameRows.claim`."""
        wanted = [(tenant, name.encode(), identity.encode()) for tenant, name, identity in claims]
        return self._registry.transaction(lambda db: self._claim(db, wanted))

    def _claim(self, db: Connection, wanted: Sequence[tuple[str, bytes, bytes]]) -> list[Claimed]:
        owners = _owners(db, [each[:2] for each in wanted])
        missing: dict[Key, bytes] = {}
        for tenant, name, identity in wanted:
            if (tenant, name) not in owners:
                missing.setdefault((tenant, name), identity)
        new: set[tuple[str, bytes, bytes]] = set()
        if missing and (some := self._within(db, missing)):
            columns = (
                [tenant for tenant, _ in some], bytes_of([name for _, name in some]), bytes_of(list(some.values())),
            )  # fmt: skip
            new = {(tenant, bytes(name), bytes(who)) for tenant, name, who in db.execute(_CLAIM, columns)}
            owners |= _owners(db, list(some))
        found: list[Claimed] = []
        for each in wanted:
            found.append(Claimed(owners.get(each[:2], b"").decode(), each in new))
            new.discard(each)
        return found

    def _within(self, db: Connection, missing: dict[Key, bytes]) -> dict[Key, bytes]:
        """Those for which there is room, in an order that is the same on all nodes, so that no two wait for each other."""
        counts: dict[str, int] = dict(db.execute(_ROOM, ([*{tenant for tenant, _ in missing}],)).fetchall())
        some: dict[Key, bytes] = {}
        for key in sorted(missing):
            counts[key[0]] = count = counts.get(key[0], 0) + 1
            if count <= self._most:
                some[key] = missing[key]
        return some

    def owner(self, tenant: str, name: str) -> Deferred[str]:
        """See `IPlatformNameRows.owner`."""
        key = tenant, name.encode()
        return self._registry.transaction(lambda db: _owners(db, [key]).get(key, b"").decode())

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""

        def forget(db: Connection) -> int:
            return db.execute("DELETE FROM platform_name WHERE tenant = %s", (tenant,)).rowcount

        return self._registry.transaction(forget)


def _owners(db: Connection, keys: Sequence[Key]) -> dict[Key, bytes]:
    columns = [tenant for tenant, _ in keys], bytes_of([name for _, name in keys])
    return {(tenant, bytes(name)): bytes(identity) for tenant, name, identity in db.execute(_READ, columns)}
