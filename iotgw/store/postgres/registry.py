"""The registry in PostgreSQL. Each change is checked by the database, too: names by their uniqueness, resources by their revision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import psycopg
from twisted.internet.defer import Deferred, fail

from iotgw.core.errors import Conflict, Unavailable
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.specs import Deletion, Resource
from iotgw.store.postgres.connection import Address, Connection, sql
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.registry import StoredRegistry
from iotgw.store.secrets import Sealer

T = TypeVar("T")
_INSERT = """INSERT INTO resource (id, kind, tenant, name, revision, created_ms, updated_ms, body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET body = excluded.body"""
_UPDATE = """UPDATE resource SET name = %s, revision = %s, updated_ms = %s, body = %s
WHERE id = %s AND (revision = %s OR revision = %s AND updated_ms = %s AND body = %s)"""
"""What this very change has made of the resource is no conflict: its first attempt was in doubt."""
_RETIRE = """UPDATE resource SET revision = %s, updated_ms = %s, deletion = %s
WHERE id = %s AND (revision = %s OR revision = %s AND updated_ms = %s AND deletion = %s)"""


class PostgresRegistry(StoredRegistry):
    """An `IRegistry` in the database at ``address``, with its secrets sealed by ``key_file``. `iotgw.store.postgres.node` has made the schema."""

    def __init__(
        self, reactor: IThreadedClock, address: Address, key_file: Path, dates: IDates | None = None
    ) -> None:
        super().__init__(reactor, dates)
        self._key_file = key_file
        self.session = DatabaseSession(address)
        """Used in the registry's thread only."""

    def transaction(self, function: Callable[[Connection], T]) -> Deferred[T]:
        """Run a function in the thread, in one transaction, as `DatabaseSession.run` does. Fires with what it returns."""
        if self._worker is None:
            return fail(Unavailable("the gateway stops: the registry is closed"))
        return self._worker.call(self.session.run, function)

    # --- in the thread

    def _open(self) -> list[Resource]:
        self._sealer = Sealer.of_file(self._key_file)
        rows = self.session.run(
            lambda db: db.execute(
                "SELECT kind, id, tenant, name, revision, created_ms, updated_ms, body, deletion FROM resource"
            ).fetchall()
        )
        return [_resource(*row) for row in rows]

    def _close(self) -> None:
        self.session.close()

    def _settle(self) -> None:
        """What was replaced is gone when the server's autovacuum has passed, and from its log when that is recycled."""

    def _insert(self, new: Resource, body: bytes) -> None:
        values = (new.id, new.kind, new.tenant, new.name, new.revision, new.created_ms, new.updated_ms, body)
        self._changes_one(_INSERT, values, new)

    def _update(self, old: Resource, new: Resource, body: bytes) -> None:
        what = (new.revision, new.updated_ms, body)
        values = (new.name, *what, new.id, old.revision, *what)
        self._changes_one(_UPDATE, values, new)

    def _retire(self, old: Resource, new: Resource, deletion: bytes) -> None:
        what = (new.revision, new.updated_ms, deletion)
        values = (*what, new.id, old.revision, *what)
        self._changes_one(_RETIRE, values, new)

    def _remove(self, old: Resource) -> None:
        self.session.run(lambda db: db.execute("DELETE FROM resource WHERE id = %s", (old.id,)))

    def _changes_one(self, statement: str, values: tuple[object, ...], new: Resource) -> None:
        def change(db: Connection) -> int:
            return db.execute(sql(statement), values).rowcount

        try:
            count = self.session.run(change)
        except psycopg.errors.UniqueViolation as error:
            raise Conflict(f"there is already a {new.kind} {new.name!r}") from error
        if count != 1:
            raise Conflict(f"{new.kind} {new.name!r} was changed by somebody else")


def _resource(
    kind: str, id: str, tenant: str, name: str, revision: int, created_ms: int, updated_ms: int, body: bytes, deletion: bytes | None
) -> Resource:  # fmt: skip
    retired = None if deletion is None else msgspec.json.decode(deletion, type=Deletion)
    return Resource(
        kind, id, tenant, name, revision, created_ms, updated_ms, msgspec.json.decode(body), retired
    )
