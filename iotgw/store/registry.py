"""What users configured: kept in memory for reading, and written through to a database in a thread."""

from __future__ import annotations

import builtins
import secrets
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred, DeferredLock, fail, succeed
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.clock import PlainCalendar
from iotgw.core.departed import KIND as DEPARTED
from iotgw.core.errors import Conflict, NotFound, Unavailable
from iotgw.core.named_sources import NAMED, NAMING, following
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.registry import IRegistry, Watcher
from iotgw.core.specs import Deletion, Resource
from iotgw.store.secrets import Sealer
from iotgw.store.worker import StoreThread

T = TypeVar("T")
Change = tuple[Resource, Resource, bytes]
"""A resource before and after a change, and its new body as JSON."""


@implementer(IRegistry)
class StoredRegistry:
    """What the registries of all databases have in common. ``dates`` are the dates that changes get. Changes run one after another, and each
    is checked against the result of the one before. A subclass does what runs in the thread.

    Many methods: those of the port, and for each change one that runs in the thread.
    """

    _log = Logger()

    def __init__(self, reactor: IThreadedClock, dates: IDates | None = None) -> None:
        self._reactor = reactor
        self._dates: IDates = dates or PlainCalendar(reactor)
        self._worker: StoreThread | None = None
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

    # --- in the thread

    @abstractmethod
    def _open(self) -> list[Resource]:
        """Open the database, and make the `_sealer`; returns all that is in it."""

    @abstractmethod
    def _close(self) -> None:
        """Close the database."""

    @abstractmethod
    def _insert(self, new: Sequence[tuple[Resource, bytes]]) -> None:
        """Store new resources with their bodies as JSON, durably: all of them, or none."""

    @abstractmethod
    def _update(self, changes: Sequence[Change]) -> None:
        """Store what resources have become, durably: all of them, or none."""

    @abstractmethod
    def _retire(self, old: Resource, new: Resource, deletion: bytes) -> None:
        """Store that a resource is being deleted, durably."""

    @abstractmethod
    def _remove(self, old: Resource) -> None:
        """Delete a resource, durably."""

    @abstractmethod
    def _settle(self) -> None:
        """See to it that what was replaced is on the disk no more, as far as that can be done."""

    # --- changes that are none of the port's

    def rewrite(self, kind: str, id: str, body: dict[str, Any]) -> Deferred[Resource]:
        """Store a resource's body in another form that says the same. It stays at its revision."""

        def change() -> Deferred[Resource]:
            old = self._current(kind, id, None)
            return self._store(old, msgspec.structs.replace(old, body=body))

        return self._change(change)

    def settle(self) -> Deferred[None]:
        """Move what was written into the database's own file, so that what it replaced is on the disk no more."""
        assert self._worker is not None
        return self._worker.call(self._settle)

    def between_commits(self, function: Callable[[], None]) -> None:
        """Run a function in the thread when nothing is half written."""
        if self._worker is None:
            raise Unavailable("the gateway stops: the registry is closed")
        self._worker.run(function)

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

    def name_of(self, kind: str, id: str) -> str:
        """See `IRegistry.name_of`."""
        found = self._by_id.get(kind, {}).get(id)
        return found.name if found is not None else id

    def watch(self, kind: str, callback: Watcher) -> None:
        """See `IRegistry.watch`."""
        self._watchers.setdefault(kind, []).append(callback)

    def unwatch(self, kind: str, callback: Watcher) -> None:
        """See `IRegistry.unwatch`."""
        self._watchers.get(kind, []).remove(callback)

    # --- writing ---

    def create(self, kind: str, tenant: str, name: str, body: dict[str, Any]) -> Deferred[Resource]:
        """See `IRegistry.create`."""

        return self.create_all(kind, tenant, [(name, body)]).addCallback(lambda made: made[0])

    def create_all(
        self, kind: str, tenant: str, named: Sequence[tuple[str, dict[str, Any]]]
    ) -> Deferred[builtins.list[Resource]]:
        """See `IRegistry.create_all`."""

        def change() -> Deferred[builtins.list[Resource]]:
            names = set[str]()
            for name, _ in named:
                self._check_name(kind, tenant, name)
                if name in names:
                    raise Conflict(f"expected a name of its own for each {kind}, got {name!r} twice")
                names.add(name)
            now = self._now_ms()
            new = [
                _as_read(Resource(kind, secrets.token_hex(8), tenant, name, 1, now, now, body))
                for name, body in named
            ]
            return self._inserted(new)

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
            now = self._now_ms()
            new = msgspec.structs.replace(
                old,
                body=body,
                name=old.name if name is None else name,
                revision=old.revision + 1,
                updated_ms=now,
            )
            return self._store(old, new, self._following(old, new.name, now))

        return self._change(change)

    def _following(self, old: Resource, name: str, now: int) -> builtins.list[tuple[Resource, Resource]]:
        """What names a datasource that is about to be called ``name``, before and after."""
        if old.kind != NAMED or name == old.name:
            return []
        is_kept = any(each.body["name"] == old.name for each in self.list(DEPARTED, old.tenant))
        return [
            # what is being deleted counts its age from that decision
            (each, msgspec.structs.replace(
                each, body=body, revision=each.revision + 1, updated_ms=now if each.deletion is None else each.updated_ms
            ))
            for each, body in following(old, name, self.list(NAMING, old.tenant), is_kept)
        ]  # fmt: skip

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
            encoded = msgspec.json.encode(decided)
            return self._written(lambda: self._retire(old, new, encoded), old, new)

        return self._change(change)

    def delete(self, kind: str, id: str, revision: int | None = None) -> Deferred[None]:
        """See `IRegistry.delete`."""

        def change() -> Deferred[None]:
            old = self._current(kind, id, revision)
            assert self._worker is not None
            done = self._worker.call(self._remove, old)
            return done.addCallback(lambda _: self._changed((old, None)))

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

    def _store(
        self, old: Resource, new: Resource, following: Sequence[tuple[Resource, Resource]] = ()
    ) -> Deferred[Resource]:
        """Store what a resource has become, and with it others that exist."""
        new, body = _as_read(new)
        changes = [(old, new, body), *((before, *_as_read(after)) for before, after in following)]
        followed = [(before, after) for before, after, _ in changes[1:]]
        return self._written(lambda: self._update(changes), old, new, followed)

    def _inserted(self, new: Sequence[tuple[Resource, bytes]]) -> Deferred[builtins.list[Resource]]:
        assert self._worker is not None
        made = [resource for resource, _ in new]

        def stored(_: None) -> builtins.list[Resource]:
            self._changed(*((None, resource) for resource in made))
            return made

        return self._worker.call(self._insert, new).addCallback(stored)

    def _written(
        self,
        write: Callable[[], None],
        old: Resource,
        new: Resource,
        following: Sequence[tuple[Resource, Resource]] = (),
    ) -> Deferred[Resource]:
        assert self._worker is not None

        def stored(_: None) -> Resource:
            self._changed((old, new), *following)
            return new

        return self._worker.call(write).addCallback(stored)

    def _changed(self, *changes: tuple[Resource | None, Resource | None]) -> None:
        """Take in changes: all of them, before anybody hears of one."""
        for old, new in changes:
            self._take(old, new)
        for old, new in changes:
            self._tell(old, new)

    def _take(self, old: Resource | None, new: Resource | None) -> None:
        if old is not None:
            del self._by_id[old.kind][old.id]
            named = self._by_name[old.kind, old.name]
            if named.get(old.tenant) is old:  # its name may be another one's already
                del named[old.tenant]
            if not named:
                del self._by_name[old.kind, old.name]
        if new is not None:
            self._remember(new)
        self._sorted.pop(_kind(old, new), None)

    def _tell(self, old: Resource | None, new: Resource | None) -> None:
        kind = _kind(old, new)
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


def _as_read(new: Resource) -> tuple[Resource, bytes]:
    """A resource as a restart would read it, which shares nothing with the caller's objects; and its body as JSON."""
    body = msgspec.json.encode(new.body)
    return msgspec.structs.replace(new, body=msgspec.json.decode(body)), body


def _kind(old: Resource | None, new: Resource | None) -> str:
    one = new or old
    return one.kind if one is not None else ""
