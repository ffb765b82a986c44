"""The registry in PostgreSQL. Each change is checked by the database, too: names by their uniqueness, resources by their revision. What other
nodes change is taken in when the listener says so (`PostgresRegistry.follow`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import psycopg
from msgspec import Struct
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from iotgw.core.errors import Conflict, Unavailable
from iotgw.core.named_sources import NAMED, NAMING
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.specs import Deletion, Resource
from iotgw.store.postgres import changes
from iotgw.store.postgres.connection import Address, Connection
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.registry import Change, StoredRegistry
from iotgw.store.secrets import Sealer

T = TypeVar("T")
WHAT = "registry"
"""The shared table, as the nodes tell each other."""
TRIES = 5
"""How often a change is tried, each time on what somebody else has made of the resource meanwhile."""
_INSERT = """INSERT INTO resource (id, kind, tenant, name, revision, created_ms, updated_ms, body, changed)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body, changed = excluded.changed"""
_UPDATE = """UPDATE resource SET changed = %s, name = %s, revision = %s, updated_ms = %s, body = %s
WHERE id = %s AND (revision = %s OR revision = %s AND updated_ms = %s AND body = %s)"""
"""What this very change has made of the resource is no conflict: its first attempt was in doubt."""
_RETIRE = """UPDATE resource SET changed = %s, revision = %s, updated_ms = %s, deletion = %s
WHERE id = %s AND (revision = %s OR revision = %s AND updated_ms = %s AND deletion = %s)"""
_LEFT = """SELECT count(*) FROM partition WHERE owner_epoch > 0
    AND NOT EXISTS (SELECT 1 FROM parted WHERE parted.id = %s AND part = partition.id)"""
_NAMING = (
    "SELECT 1 FROM resource WHERE kind = %s AND tenant = %s AND changed > %s AND NOT id = ANY(%s) LIMIT 1"
)
"""What may name a datasource that gets another name, and was changed by somebody else."""
_READ = (
    "SELECT changed, kind, id, tenant, name, revision, created_ms, updated_ms, body, deletion FROM resource"
)


class Overtaken(Conflict):
    """Somebody else has changed it meanwhile."""


class _News(Struct, frozen=True):
    """What was changed up to a count: each with its change's number, the resource's id, and what it is now."""

    count: int
    found: list[tuple[int, str, Resource | None]] = []


class PostgresRegistry(StoredRegistry):
    """An `IRegistry` in the database at ``address``, with its secrets sealed by ``key_file``. `iotgw.store.postgres.node` has made the schema.

    Many methods: for each change one that runs in the thread.
    """

    def __init__(
        self, reactor: IThreadedClock, address: Address, key_file: Path, dates: IDates | None = None
    ) -> None:
        super().__init__(reactor, dates)
        self._key_file = key_file
        self.session = DatabaseSession(address)
        """Used in the registry's thread only."""
        self._known = 0
        """The last change that is in memory."""
        self._is_following = False

    def transaction(self, function: Callable[[Connection], T]) -> Deferred[T]:
        """Run a function in the thread, in one transaction, as `DatabaseSession.run` does. Fires with what it returns."""
        if self._worker is None:
            return fail(Unavailable("the gateway stops: the registry is closed"))
        return self._worker.call(self.session.run, function)

    def is_last(self, id: str, part: int) -> Deferred[bool]:
        """A partition has no backlog any more of a resource that is being deleted. Fires with whether no other one has."""

        def parted(db: Connection) -> bool:
            changes.count_up(db, WHAT)  # one at a time, so that one of them is the last
            db.execute("INSERT INTO parted VALUES (%s, %s) ON CONFLICT DO NOTHING", (id, part))
            row = db.execute(_LEFT, (id,)).fetchone()
            return row is not None and not row[0]

        return self.transaction(parted)

    # --- what others have changed

    def follow(self) -> Deferred[None]:
        """Take in what others have changed. Fires when that is done, or can't be done now."""
        if self._is_following:
            return succeed(None)
        self._is_following = True

        def over(result: object) -> None:
            self._is_following = False
            if isinstance(result, Failure) and not result.check(Unavailable):
                self._log.failure("what others have changed could not be read", result)

        return self.catch_up().addBoth(over)

    def catch_up(self) -> Deferred[None]:
        """As `follow`; fails where it can't be done."""
        return self._changes.run(self._catch_up)

    def _catch_up(self) -> Deferred[None]:
        if self._worker is None:
            return succeed(None)
        known = self._known
        news = self._worker.call(self.session.run, lambda db: _news(db, known))
        return news.addCallback(self._take_in)

    def _take_in(self, news: _News) -> None:
        found = []
        for _, id, new in sorted(news.found, key=lambda each: each[0]):
            old = next((known[id] for known in self._by_id.values() if id in known), None)
            if old != new:
                found.append((old, new))
        self._changed(*found)
        self._known = max(self._known, news.count)

    def _change(self, change: Callable[[], Deferred[T]]) -> Deferred[T]:
        """A change of what somebody else has changed meanwhile is tried again on that; where the caller expects a revision, it fails then."""

        def attempt(tries: int) -> Deferred[T]:
            def again(failure: Failure) -> Deferred[T]:
                failure.trap(Overtaken)
                if tries == 1:
                    return fail(failure)
                return self._catch_up().addCallback(lambda _: attempt(tries - 1))

            return change().addErrback(again)

        return super()._change(lambda: attempt(TRIES))

    # --- in the thread

    def _open(self) -> list[Resource]:
        self._sealer = Sealer.of_file(self._key_file)

        def load(db: Connection) -> _News:
            changes.forget_old(db, WHAT)
            return _news(db, -1)

        news = self.session.run(load)
        self._known = news.count
        return [resource for _, _, resource in news.found if resource is not None]

    def _close(self) -> None:
        self.session.close()

    def _settle(self) -> None:
        """What was replaced is gone when the server's autovacuum has passed, and from its log when that is recycled."""

    def _insert(self, new: Sequence[tuple[Resource, bytes]]) -> None:
        def change(db: Connection) -> None:
            for one, body in new:
                values = (one.id, one.kind, one.tenant, one.name, one.revision, one.created_ms, one.updated_ms, body)  # fmt: skip
                _expect_one(db.execute(_INSERT, (*values, changes.count_up(db, WHAT))).rowcount, one)

        if new:
            self._run(change, new[0][0])

    def _update(self, changed: Sequence[Change]) -> None:
        first, named, _ = changed[0]
        is_renamed = first.kind == NAMED and first.name != named.name
        known, ids = self._known, [new.id for _, new, _ in changed]

        def change(db: Connection) -> None:
            for old, new, body in changed:
                what = (new.revision, new.updated_ms, body)
                values = (changes.count_up(db, WHAT), new.name, *what, new.id, old.revision, *what)
                _expect_one(db.execute(_UPDATE, values).rowcount, new)
            if is_renamed and db.execute(_NAMING, (NAMING, first.tenant, known, ids)).fetchone() is not None:
                raise Overtaken(f"what names {first.kind} {first.name!r} was changed by somebody else")

        self._run(change, named)

    def _retire(self, old: Resource, new: Resource, deletion: bytes) -> None:
        what = (new.revision, new.updated_ms, deletion)

        def change(db: Connection) -> None:
            values = (changes.count_up(db, WHAT), *what, new.id, old.revision, *what)
            _expect_one(db.execute(_RETIRE, values).rowcount, new)

        self._run(change, new)

    def _remove(self, old: Resource) -> None:
        def change(db: Connection) -> None:
            gone = db.execute("DELETE FROM resource WHERE id = %s AND revision = %s", (old.id, old.revision))
            db.execute("DELETE FROM parted WHERE id = %s", (old.id,))
            if gone.rowcount:
                changes.note_gone(db, WHAT, old.tenant, old.id.encode(), changes.count_up(db, WHAT))
            elif db.execute("SELECT 1 FROM resource WHERE id = %s", (old.id,)).fetchone() is not None:
                raise Overtaken(f"{old.kind} {old.name!r} was changed by somebody else")

        self.session.run(change)

    def _run(self, change: Callable[[Connection], None], new: Resource) -> None:
        try:
            self.session.run(change)
        except psycopg.errors.UniqueViolation as error:
            raise Overtaken(f"there is already a {new.kind} {new.name!r}") from error


def _expect_one(count: int, new: Resource) -> None:
    if count != 1:
        raise Overtaken(f"{new.kind} {new.name!r} was changed by somebody else")


def _news(db: Connection, known: int) -> _News:
    """What was changed after ``known``; of -1, all that there is."""
    count = changes.counted(db, WHAT)
    if count == known:
        return _News(count)
    rows = db.execute(f"{_READ} WHERE changed > %s", (known,)).fetchall()
    gone = changes.gone_since(db, WHAT, known) if known >= 0 else []
    return _News(
        count,
        [
            *((row[0], row[2], _resource(*row[1:])) for row in rows),
            *((changed, id.decode(), None) for _, id, changed in gone),
        ],
    )


def _resource(
    kind: str, id: str, tenant: str, name: str, revision: int, created_ms: int, updated_ms: int, body: bytes, deletion: bytes | None
) -> Resource:  # fmt: skip
    retired = None if deletion is None else msgspec.json.decode(deletion, type=Deletion)
    return Resource(
        kind, id, tenant, name, revision, created_ms, updated_ms, msgspec.json.decode(body), retired
    )
