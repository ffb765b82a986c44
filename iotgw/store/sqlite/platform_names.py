"""Whose the platforms' names are, in the registry's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core.ports.platform_names import Claimed, IPlatformNameRows, NameClaim
from iotgw.store.sqlite.registry import Registry

MOST = 250_000
"""Names of a tenant; made-up ones can't fill the disk."""
_OWNER = "SELECT identity FROM platform_name WHERE tenant = ? AND name = ?"


@implementer(IPlatformNameRows)
class PlatformNameRows:
    """An `IPlatformNameRows` in the database of a registry, which is opened and closed with it."""

    def __init__(self, registry: Registry, most: int = MOST) -> None:
        self._registry = registry
        self._most = most

    def claim(self, claims: Sequence[NameClaim]) -> Deferred[list[Claimed]]:
        """See `IPlatformNameRows.claim`."""
        return self._registry.transaction(lambda connection: self._claim(connection, claims))

    def _claim(self, connection: sqlite3.Connection, claims: Sequence[NameClaim]) -> list[Claimed]:
        found: list[Claimed] = []
        room: dict[str, int] = {}
        for claim in claims:
            tenant, name, identity = claim
            row = connection.execute(_OWNER, (tenant, name)).fetchone()
            if row is not None:
                found.append(Claimed(row[0]))
                continue
            if tenant not in room:
                count = "SELECT count(*) FROM platform_name WHERE tenant = ?"
                room[tenant] = self._most - int(connection.execute(count, (tenant,)).fetchone()[0])
            if room[tenant] <= 0:
                found.append(Claimed(""))
                continue
            room[tenant] -= 1
            connection.execute("INSERT INTO platform_name VALUES (?, ?, ?)", claim)
            found.append(Claimed(identity, True))
        return found

    def owner(self, tenant: str, name: str) -> Deferred[str]:
        """See `IPlatformNameRows.owner`."""

        def read(connection: sqlite3.Connection) -> str:
            row = connection.execute(_OWNER, (tenant, name)).fetchone()
            return str(row[0]) if row is not None else ""

        return self._registry.transaction(read)

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""

        def forget(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM platform_name WHERE tenant = ?", (tenant,)).rowcount

        return self._registry.transaction(forget)
