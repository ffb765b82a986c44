"""Devices' entries in PostgreSQL: one table, one transaction for each change."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.device_entry import DeviceEntry
from iotgw.core.ports.devices import IDeviceEntries
from iotgw.store.entry_bodies import EntryBodies
from iotgw.store.postgres.connection import Connection
from iotgw.store.postgres.packed import bytes_of, int8s
from iotgw.store.postgres.registry import PostgresRegistry

_WRITE = """INSERT INTO device SELECT * FROM unnest(%s::text[], %s, %s, %s, %s, %s)
ON CONFLICT (tenant, name) DO UPDATE SET revision = excluded.revision, created_ms = excluded.created_ms, updated_ms = excluded.updated_ms,
    body = excluded.body"""


@implementer(IDeviceEntries)
class PostgresEntries:
    """An `IDeviceEntries` beside a registry, in its thread."""

    _log = Logger()

    def __init__(self, registry: PostgresRegistry) -> None:
        self._registry = registry

    def load(self) -> Deferred[list[DeviceEntry]]:
        """See `IDeviceEntries.load`. A row that can't be read is left out, and said in the log."""
        return self._registry.transaction(self._load)

    def write(self, saved: Sequence[DeviceEntry], gone: Sequence[tuple[str, str]] = ()) -> Deferred[None]:
        """See `IDeviceEntries.write`."""
        latest = {(entry.tenant, entry.name): entry for entry in saved}
        bodies = EntryBodies()

        def change(db: Connection) -> None:
            some = list(latest.values())
            db.execute(
                _WRITE,
                (
                    [each.tenant for each in some], bytes_of([each.name.encode() for each in some]),
                    int8s([each.revision for each in some]), int8s([each.created_ms for each in some]),
                    int8s([each.updated_ms for each in some]), bytes_of([bodies.encode(each.spec) for each in some]),
                ),
            )  # fmt: skip
            for tenant, name in gone:
                db.execute("DELETE FROM device WHERE tenant = %s AND name = %s", (tenant, name.encode()))

        return self._registry.transaction(change)

    def _load(self, db: Connection) -> list[DeviceEntry]:
        bodies, found = EntryBodies(), list[DeviceEntry]()
        with db.cursor("devices") as cursor:
            cursor.execute(
                "SELECT tenant, name, revision, created_ms, updated_ms, body FROM device ORDER BY tenant, name"
            )
            for tenant, name, revision, created_ms, updated_ms, body in cursor:
                try:
                    found.append(bodies.entry(tenant, name.decode(), revision, created_ms, updated_ms, body))
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    self._log.error(
                        "device {name} of {tenant} can't be read: {error}",
                        name=name,
                        tenant=tenant,
                        error=error,
                    )
        return found
