"""Devices' entries in the registry's database: one table, one transaction for each change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.device_entry import DeviceEntry
from iotgw.core.ports.devices import IDeviceEntries
from iotgw.store.entry_bodies import EntryBodies
from iotgw.store.sqlite import database as sqlite
from iotgw.store.sqlite.registry import Registry

PIECE = 2000
"""Rows that one query reads as one text."""
_LOAD = """
SELECT json_group_array(json_array(tenant, name, revision, created_ms, updated_ms, json(cast(body AS text))))
FROM (SELECT * FROM device WHERE (tenant, name) > (?, ?) ORDER BY tenant, name LIMIT ?)
"""
_ROWS = sqlite.ManyRows("device", "tenant, name, revision, created_ms, updated_ms, body", verb="REPLACE")
_Row = tuple[str, str, int, int, int, msgspec.Raw]
_rows = msgspec.json.Decoder(list[_Row]).decode


@implementer(IDeviceEntries)
class DeviceEntries:
    """An `IDeviceEntries` in the database of a registry, which is opened and closed with it."""

    _log = Logger()

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def load(self) -> Deferred[list[DeviceEntry]]:
        """See `IDeviceEntries.load`. A row that can't be read is left out, and said in the log."""
        return self._registry.transaction(self._load)

    def watch(self, callback: Callable[[list[DeviceEntry], list[tuple[str, str]]], object]) -> None:
        """See `IDeviceEntries.watch`: there is no other node."""

    def write(
        self, saved: Sequence[DeviceEntry], gone: Sequence[tuple[str, str]] = (), is_made: bool = False
    ) -> Deferred[None]:
        """See `IDeviceEntries.write`."""

        def change(connection: sqlite3.Connection) -> None:
            values: list[object] = []
            bodies = EntryBodies()
            for entry in saved:
                values += (
                    entry.tenant, entry.name, entry.revision, entry.created_ms, entry.updated_ms, bodies.encode(entry.spec),
                )  # fmt: skip
            _ROWS.write(connection, values)
            for table in ("device", "platform_name"):
                connection.executemany(f"DELETE FROM {table} WHERE tenant = ? AND name = ?", gone)

        return self._registry.transaction(change)

    def _load(self, connection: sqlite3.Connection) -> list[DeviceEntry]:
        found, bodies = list[DeviceEntry](), EntryBodies()
        place = ("", "")
        while True:
            rows = _rows(connection.execute(_LOAD, (*place, PIECE)).fetchone()[0])
            for row in rows:
                if (entry := self._entry(row, bodies)) is not None:
                    found.append(entry)
            if len(rows) < PIECE:
                return found
            place = (rows[-1][0], rows[-1][1])

    def _entry(self, row: _Row, bodies: EntryBodies) -> DeviceEntry | None:
        tenant, name, revision, created_ms, updated_ms, body = row
        try:
            return bodies.entry(tenant, name, revision, created_ms, updated_ms, body)
        except msgspec.MsgspecError as error:
            self._log.error(
                "device {name} of {tenant} can't be read: {error}", name=name, tenant=tenant, error=error
            )
            return None
