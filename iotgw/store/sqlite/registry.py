"""The registry in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred, fail

from iotgw.core import private
from iotgw.core.errors import Unavailable
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.specs import Deletion, Resource
from iotgw.store.registry import Change, StoredRegistry
from iotgw.store.secrets import Sealer
from iotgw.store.sqlite import damage
from iotgw.store.sqlite import database as sqlite

T = TypeVar("T")
_INSERT = (
    "INSERT INTO resource (kind, tenant, name, revision, created_ms, updated_ms, body, id) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "UPDATE resource SET kind = ?, tenant = ?, name = ?, revision = ?, created_ms = ?, updated_ms = ?, "
    "body = ? WHERE id = ?"
)
_RETIRE = "UPDATE resource SET revision = ?, updated_ms = ?, deletion = ? WHERE id = ?"


class Registry(StoredRegistry):
    """An `IRegistry` in ``{data_dir}/registry.db``, with its secrets sealed by ``{data_dir}/secret.key``."""

    def __init__(self, reactor: IThreadedClock, data_dir: Path | str, dates: IDates | None = None) -> None:
        super().__init__(reactor, dates)
        self._path = Path(data_dir) / "registry.db"
        self._mark = damage.OpenMark(self._path)
        self._connection: sqlite3.Connection

    def transaction(self, function: Callable[[sqlite3.Connection], T]) -> Deferred[T]:
        """Run a function in the thread, in one transaction. Fires with what it returns, once that is durable; fails with
        NoSpace or Unavailable where the disk does, and then nothing has changed."""
        worker = self._worker
        if worker is None:
            return fail(Unavailable("the gateway stops: the registry is closed"))
        return worker.call(self._transact, function)

    # --- in the thread

    def _open(self) -> list[Resource]:
        private.make_directory(self._path.parent)
        self._sealer = Sealer.of_file(self._path.with_name("secret.key"))
        with damage.opening(self._path):
            resources = self._load()
        self._mark.set()
        return resources

    def _load(self) -> list[Resource]:
        self._connection = sqlite.connect(self._path)
        self._connection.execute("PRAGMA secure_delete = ON")  # secrets, and few writes
        sqlite.upgrade(self._connection, "registry")
        rows = self._connection.execute(
            "SELECT kind, id, tenant, name, revision, created_ms, updated_ms, body, deletion FROM resource"
        )
        return [
            Resource(
                kind, id, tenant, name, revision, created_ms, updated_ms, msgspec.json.decode(body),
                None if deletion is None else msgspec.json.decode(deletion, type=Deletion),
            )
            for kind, id, tenant, name, revision, created_ms, updated_ms, body, deletion in rows
        ]  # fmt: skip

    def _close(self) -> None:
        self._mark.clear()
        self._connection.close()

    def _settle(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _insert(self, new: Sequence[tuple[Resource, bytes]]) -> None:
        self._transact(lambda connection: connection.executemany(_INSERT, [_values(*each) for each in new]))

    def _update(self, changes: Sequence[Change]) -> None:
        def update(connection: sqlite3.Connection) -> None:
            for _, new, body in changes:
                connection.execute(_UPDATE, _values(new, body))

        self._transact(update)

    def _retire(self, old: Resource, new: Resource, deletion: bytes) -> None:
        self._write(_RETIRE, (new.revision, new.updated_ms, deletion, new.id))

    def _remove(self, old: Resource) -> None:
        self._write("DELETE FROM resource WHERE id = ?", (old.id,))

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with damage.changing(self._path):
            self._connection.execute(statement, values)

    def _transact(self, function: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        with damage.changing(self._path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = function(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return result


def _values(new: Resource, body: bytes) -> tuple[Any, ...]:
    return new.kind, new.tenant, new.name, new.revision, new.created_ms, new.updated_ms, body, new.id
