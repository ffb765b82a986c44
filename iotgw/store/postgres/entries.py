"""Devices' entries in PostgreSQL: one table, one transaction for each change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.device_entry import DeviceEntry
from iotgw.core.errors import Conflict, Unavailable
from iotgw.core.ports.devices import IDeviceEntries
from iotgw.store.entry_bodies import EntryBodies
from iotgw.store.postgres import changes
from iotgw.store.postgres.connection import Connection
from iotgw.store.postgres.packed import bytes_of, int8s
from iotgw.store.postgres.registry import PostgresRegistry

WHAT = "devices"
"""The shared table, as the nodes tell each other."""
_WRITE = """INSERT INTO device (tenant, name, revision, created_ms, updated_ms, body, changed)
SELECT x.*, %s FROM unnest(%s::text[], %s, %s, %s, %s, %s) x
ON CONFLICT (tenant, name) DO UPDATE SET revision = excluded.revision, created_ms = excluded.created_ms, updated_ms = excluded.updated_ms,
    body = excluded.body, changed = excluded.changed
WHERE device.revision = excluded.revision - 1
    OR (device.revision, device.updated_ms, device.body) = (excluded.revision, excluded.updated_ms, excluded.body)"""
"""Each entry goes in the place of the one before it, and of no other. What this very change has made of it is no conflict: its first attempt was in doubt."""
_READ = "SELECT tenant, name, revision, created_ms, updated_ms, body FROM device"
Heard = Callable[[list[DeviceEntry], list[tuple[str, str]]], object]
_Rows = Iterable[tuple[Any, ...]]


@implementer(IDeviceEntries)
class PostgresEntries:
    """An `IDeviceEntries` beside a registry, in its thread."""

    _log = Logger()

    def __init__(self, registry: PostgresRegistry) -> None:
        self._registry = registry
        self._watchers: list[Heard] = []
        self._known = 0
        """The last change that is known."""
        self._is_following = False

    def load(self) -> Deferred[list[DeviceEntry]]:
        """See `IDeviceEntries.load`. A row that can't be read is left out, and said in the log."""

        def loaded(found: tuple[int, list[DeviceEntry]]) -> list[DeviceEntry]:
            self._known = found[0]
            return found[1]

        return self._registry.transaction(self._load).addCallback(loaded)

    def watch(self, callback: Heard) -> None:
        """See `IDeviceEntries.watch`."""
        self._watchers.append(callback)

    def write(
        self, saved: Sequence[DeviceEntry], gone: Sequence[tuple[str, str]] = (), is_made: bool = False
    ) -> Deferred[None]:
        """See `IDeviceEntries.write`."""
        latest = {(entry.tenant, entry.name): entry for entry in saved}
        bodies = EntryBodies()

        def change(db: Connection) -> None:
            some = list(latest.values())
            number = changes.count_up(db, WHAT)
            written = db.execute(
                _WRITE,
                (
                    number, [each.tenant for each in some], bytes_of([each.name.encode() for each in some]),
                    int8s([each.revision for each in some]), int8s([each.created_ms for each in some]),
                    int8s([each.updated_ms for each in some]), bytes_of([bodies.encode(each.spec) for each in some]),
                ),
            ).rowcount  # fmt: skip
            if written < len(some) and not is_made:
                raise Conflict("a device was changed on another node just now; try again")
            for tenant, name in gone:
                key = tenant, name.encode()
                if db.execute("DELETE FROM device WHERE tenant = %s AND name = %s", key).rowcount:
                    changes.note_gone(db, WHAT, *key, number)
                db.execute("DELETE FROM platform_name WHERE tenant = %s AND name = %s", key)

        return self._registry.transaction(change)

    # --- what others have changed

    def follow(self) -> None:
        """Hear of what other nodes have changed, and of what this one has."""
        if not self._is_following and self._watchers:
            self._is_following = True
            known = self._known
            self._registry.transaction(lambda db: self._news(db, known)).addCallbacks(
                self._heard, self._not_heard
            )

    def _heard(self, news: tuple[int, list[DeviceEntry], list[tuple[str, str]]]) -> None:
        self._is_following = False
        self._known, saved, gone = news
        for watcher in self._watchers if saved or gone else ():
            watcher(saved, gone)

    def _not_heard(self, failure: Failure) -> None:
        self._is_following = False
        if not failure.check(Unavailable):
            self._log.failure("what other nodes have changed of devices could not be read", failure)

    # --- in the thread

    def _news(self, db: Connection, known: int) -> tuple[int, list[DeviceEntry], list[tuple[str, str]]]:
        count = changes.counted(db, WHAT)
        if count == known:
            return count, [], []
        saved = self._entries(db.execute(f"{_READ} WHERE changed > %s ORDER BY changed", (known,)))
        there = {(each.tenant, each.name) for each in saved}
        gone = [(tenant, name.decode()) for tenant, name, _ in changes.gone_since(db, WHAT, known)]
        return count, saved, [key for key in gone if key not in there]

    def _load(self, db: Connection) -> tuple[int, list[DeviceEntry]]:
        changes.forget_old(db, WHAT)
        count = changes.counted(db, WHAT)
        with db.cursor("devices") as cursor:
            cursor.execute(f"{_READ} ORDER BY tenant, name")
            return count, self._entries(cursor)

    def _entries(self, rows: _Rows) -> list[DeviceEntry]:
        bodies, found = EntryBodies(), list[DeviceEntry]()
        for tenant, name, revision, created_ms, updated_ms, body in rows:
            try:
                found.append(bodies.entry(tenant, name.decode(), revision, created_ms, updated_ms, body))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._log.error(
                    "device {name} of {tenant} can't be read: {error}", name=name, tenant=tenant, error=error
                )
        return found
