"""What users configured: kept in memory for reading, and written through to SQLite in a thread."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred, DeferredLock, fail, succeed
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core import private
from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import Conflict, NotFound, Unavailable
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.registry import IRegistry, Watcher
from iotgw.core.specs import Deletion, Resource
from iotgw.store.secrets import Sealer
from iotgw.store.sqlite import damage
from iotgw.store.sqlite import database as sqlite
from iotgw.store.worker import StoreThread

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


@implementer(IRegistry)
class Registry:
    """An `IRegistry` in ``{data_dir}/registry.db``, with its secrets sealed by ``{data_dir}/secret.key``.

    ``dates`` are the dates that changes get. Changes run one after another, and each is checked against the result of
    the one before.

    Many methods: those of the port, and for each change one that runs in the thread.
    """

    _log = Logger()

    def __init__(self, reactor: IThreadedClock, data_dir: Path | str, dates: IDates | None = None) -> None:
        self._reactor = reactor
        self._dates: IDates = dates or PlainCalendar(reactor)
        self._path = Path(data_dir) / "registry.db"
        self._mark = damage.OpenMark(self._path)
        self._worker: StoreThread | None = None
        self._connection: sqlite3.Connection
        self._sealer: Sealer
        self._changes = DeferredLock()
        self._by_id: dict[str, dict[str, Resource]] = {}
        """Kind → id → resource."""
        self._by_name: dict[tuple[str, str], dict[str, Resource]] = {}
        """Kind and name → tenant → resource."""
        self._sorted: dict[str, list[Resource]] = {}
        """Kind → its resources by name. Made when asked for, and dropped at the next change."""
        self._watchers: dict[str, list[Watcher]] = {}

    # --- start and stop ---

    def start(self) -> Deferred[None]:
        """Read everything. Fires when the registry can be used."""
        self._worker = StoreThread(self._reactor, "registry")

        def loaded(resources: list[Resource]) -> None:
            for resource in resources:
                self._remember(resource)

        return self._worker.call(self._open).addCallback(loaded)

    def stop(self) -> Deferred[None]:
        """Close, after the changes that are under way."""
        worker, self._worker = self._worker, None
        if worker is None:
            return succeed(None)

        def close() -> Deferred[None]:
            done = worker.call(self._close)
            worker.stop()
            return done

        return self._changes.run(close)

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

    def rewrite(self, kind: str, id: str, body: dict[str, Any]) -> Deferred[Resource]:
        """Store a resource's body in another form that says the same. It stays at its revision."""

        def change() -> Deferred[Resource]:
            old = self._current(kind, id, None)
            return self._store(old, msgspec.structs.replace(old, body=body))

        return self._change(change)

    def settle(self) -> Deferred[None]:
        """Move what was written into the database's own file, so that what it replaced is on the disk no more."""
        assert self._worker is not None
        return self._worker.call(self._checkpoint)

    def _checkpoint(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _close(self) -> None:
        self._mark.clear()
        self._connection.close()

    def between_commits(self, function: Callable[[], None]) -> None:
        """Run a function in the thread when nothing is half written."""
        if self._worker is None:
            raise Unavailable("the gateway stops: the registry is closed")
        self._worker.run(function)

    def transaction(self, function: Callable[[sqlite3.Connection], T]) -> Deferred[T]:
        """Run a function in the thread, in one transaction. Fires with what it returns, once that is durable; fails with
        NoSpace or Unavailable where the disk does, and then nothing has changed."""
        worker = self._worker
        if worker is None:
            return fail(Unavailable("the gateway stops: the registry is closed"))
        return worker.call(self._transact, function)

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

    # --- reading ---

    def list(self, kind: str, tenant: str | None = None) -> list[Resource]:
        """See `IRegistry.list`."""
        found = self._sorted.get(kind)
        if found is None:
            found = sorted(self._by_id.get(kind, {}).values(), key=lambda one: (one.name, one.tenant))
            self._sorted[kind] = found
        return [resource for resource in found if tenant in (None, resource.tenant)]

    def get(self, kind: str, id_or_name: str, tenant: str | None = None) -> Resource:
        """See `IRegistry.get`. Without a tenant a name is found when only one tenant has it."""
        found = self._by_id.get(kind, {}).get(id_or_name)
        if found is not None and tenant in (None, found.tenant):
            return found
        named = self._by_name.get((kind, id_or_name), {})
        if tenant in named:
            return named[tenant]
        if tenant is None and len(named) == 1:
            return next(iter(named.values()))
        raise NotFound(f"there is no {kind} {id_or_name!r}")

    def watch(self, kind: str, callback: Watcher) -> None:
        """See `IRegistry.watch`."""
        self._watchers.setdefault(kind, []).append(callback)

    # --- writing ---

    def create(self, kind: str, tenant: str, name: str, body: dict[str, Any]) -> Deferred[Resource]:
        """See `IRegistry.create`."""

        def change() -> Deferred[Resource]:
            self._check_name(kind, tenant, name)
            now = self._now_ms()
            id = secrets.token_hex(8)
            return self._store(None, Resource(kind, id, tenant, name, 1, now, now, body))

        return self._change(change)

    def replace(
        self,
        kind: str,
        id: str,
        body: dict[str, Any],
        name: str | None = None,
        revision: int | None = None,
    ) -> Deferred[Resource]:
        """See `IRegistry.replace`."""

        def change() -> Deferred[Resource]:
            old = self._current(kind, id, revision)
            if old.deletion is not None:
                raise Conflict(f"{kind} {old.name!r} is being deleted")
            if name is not None and name != old.name:
                self._check_name(kind, old.tenant, name)
            new = msgspec.structs.replace(
                old,
                body=body,
                name=old.name if name is None else name,
                revision=old.revision + 1,
                updated_ms=self._now_ms(),
            )
            return self._store(old, new)

        return self._change(change)

    def retire(
        self, kind: str, id: str, deletion: Deletion, revision: int | None = None
    ) -> Deferred[Resource]:
        """See `IRegistry.retire`."""

        def change() -> Deferred[Resource]:
            old = self._current(kind, id, revision)
            decided = deletion
            if old.deletion is not None:
                backlog = "drop" if old.deletion.backlog == "drop" else deletion.backlog
                decided = msgspec.structs.replace(old.deletion, backlog=backlog)
            new = msgspec.structs.replace(
                old, deletion=decided, revision=old.revision + 1, updated_ms=self._now_ms()
            )
            values = (new.revision, new.updated_ms, msgspec.json.encode(decided), new.id)
            return self._written(_RETIRE, values, old, new)

        return self._change(change)

    def delete(self, kind: str, id: str, revision: int | None = None) -> Deferred[None]:
        """See `IRegistry.delete`."""

        def change() -> Deferred[None]:
            old = self._current(kind, id, revision)
            assert self._worker is not None
            done = self._worker.call(self._write, "DELETE FROM resource WHERE id = ?", (old.id,))
            return done.addCallback(lambda _: self._changed(old, None))

        return self._change(change)

    def seal(self, secret: str) -> str:
        """See `IRegistry.seal`."""
        return self._sealer.seal(secret)

    def unseal(self, sealed: str) -> str:
        """See `IRegistry.unseal`. Raises `iotgw.store.secrets.CannotUnseal`."""
        return self._sealer.unseal(sealed)

    # --- one change ---

    def _change(self, change: Callable[[], Deferred[T]]) -> Deferred[T]:
        if self._worker is None:
            return fail(Unavailable("the gateway stops: the registry is closed"))
        return self._changes.run(change)

    def _store(self, old: Resource | None, new: Resource) -> Deferred[Resource]:
        body = msgspec.json.encode(new.body)
        # Keep what a restart would read, which shares nothing with the caller's objects.
        new = msgspec.structs.replace(new, body=msgspec.json.decode(body))
        values = (
            new.kind, new.tenant, new.name, new.revision, new.created_ms, new.updated_ms, body, new.id,
        )  # fmt: skip
        return self._written(_INSERT if old is None else _UPDATE, values, old, new)

    def _written(
        self, statement: str, values: tuple[Any, ...], old: Resource | None, new: Resource
    ) -> Deferred[Resource]:
        assert self._worker is not None
        done = self._worker.call(self._write, statement, values)

        def stored(_: None) -> Resource:
            self._changed(old, new)
            return new

        return done.addCallback(stored)

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with damage.changing(self._path):
            self._connection.execute(statement, values)

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        if old is not None:
            del self._by_id[old.kind][old.id]
            named = self._by_name[old.kind, old.name]
            del named[old.tenant]
            if not named:
                del self._by_name[old.kind, old.name]
        if new is not None:
            self._remember(new)
        kind = new.kind if new is not None else old.kind if old is not None else ""
        self._sorted.pop(kind, None)
        for watcher in list(self._watchers.get(kind, ())):
            try:
                watcher(old, new)
            except Exception:  # a watcher's fault isn't the fault of whoever made the change
                self._log.failure("a watcher of {kind} failed", kind=kind)

    def _remember(self, resource: Resource) -> None:
        self._by_id.setdefault(resource.kind, {})[resource.id] = resource
        self._by_name.setdefault((resource.kind, resource.name), {})[resource.tenant] = resource

    def _current(self, kind: str, id: str, revision: int | None) -> Resource:
        found = self._by_id.get(kind, {}).get(id)
        if found is None:
            raise NotFound(f"there is no {kind} {id!r}")
        if revision is not None and revision != found.revision:
            raise Conflict(f"{kind} {found.name!r}: expected revision {found.revision}, got {revision}")
        return found

    def _check_name(self, kind: str, tenant: str, name: str) -> None:
        other = self._by_name.get((kind, name), {}).get(tenant)
        if other is not None:
            more = ", which is still being deleted" if other.deletion is not None else ""
            raise Conflict(f"there is already a {kind} {name!r}{more}")

    def _now_ms(self) -> int:
        return int(self._dates.seconds() * 1000)
