"""`IRegistry` in a dict."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.departed import KIND as DEPARTED
from iotgw.core.errors import Conflict, IotgwError, NotFound
from iotgw.core.named_sources import NAMED, NAMING, following
from iotgw.core.ports.registry import IRegistry, Watcher
from iotgw.core.specs import Deletion, Resource
from iotgw.testing.reactor import clock as new_clock

_SEAL = "sealed:"


@implementer(IRegistry)
class MemoryRegistry:
    """Resources by kind and id (``id1``, ``id2``, …); a secret is sealed by turning it round."""

    _log = Logger()

    def __init__(self, clock: IReactorTime | None = None) -> None:
        self._clock = clock or new_clock()
        self._all: dict[tuple[str, str], Resource] = {}
        self._watchers: dict[str, builtins.list[Watcher]] = {}
        self._ids = itertools.count(1)

    def list(self, kind: str, tenant: str | None = None) -> builtins.list[Resource]:
        """See `IRegistry.list`."""
        found = [each for (of, _), each in self._all.items() if of == kind and tenant in (None, each.tenant)]
        return sorted(found, key=lambda each: (each.name, each.tenant))

    def get(self, kind: str, id_or_name: str, tenant: str | None = None) -> Resource:
        """See `IRegistry.get`."""
        found = self.list(kind, tenant)
        named = [each for each in found if each.id == id_or_name] or [
            each for each in found if each.name == id_or_name
        ]
        if len(named) != 1:
            raise NotFound(f"there is no {kind} {id_or_name!r}")
        return named[0]

    def name_of(self, kind: str, id: str) -> str:
        """See `IRegistry.name_of`."""
        found = self._all.get((kind, id))
        return found.name if found is not None else id

    def create(self, kind: str, tenant: str, name: str, body: dict[str, Any]) -> Deferred[Resource]:
        """See `IRegistry.create`."""
        return self.create_all(kind, tenant, [(name, body)]).addCallback(lambda made: made[0])

    def create_all(
        self, kind: str, tenant: str, named: Sequence[tuple[str, dict[str, Any]]]
    ) -> Deferred[builtins.list[Resource]]:
        """See `IRegistry.create_all`."""
        names = [name for name, _ in named]
        for name in names:
            if self._is_taken(kind, tenant, name) or names.count(name) > 1:
                return fail(Conflict(f"there is already a {kind} {name!r}"))
        now = self._now_ms()
        made = [
            self._kept(Resource(kind, f"id{next(self._ids)}", tenant, name, 1, now, now, body))
            for name, body in named
        ]
        for each in made:
            self._tell(None, each)
        return succeed(made)

    def replace(
        self, kind: str, id: str, body: dict[str, Any], name: str | None = None, revision: int | None = None
    ) -> Deferred[Resource]:
        """See `IRegistry.replace`."""
        try:
            old = self._current(kind, id, revision)
        except IotgwError as error:
            return fail(error)
        if old.deletion is not None:
            return fail(Conflict(f"{kind} {old.name!r} is being deleted"))
        name = old.name if name is None else name
        if name != old.name and self._is_taken(kind, old.tenant, name):
            return fail(Conflict(f"there is already a {kind} {name!r}"))
        changed = {"body": body, "name": name, "revision": old.revision + 1, "updated_ms": self._now_ms()}
        followed = []
        if kind == NAMED and name != old.name:
            is_kept = any(each.body["name"] == old.name for each in self.list(DEPARTED, old.tenant))
            followed = [*following(old, name, self.list(NAMING, old.tenant), is_kept)]
        new = self._kept(msgspec.structs.replace(old, **changed))
        naming = [
            (each, self._kept(msgspec.structs.replace(each, body=after, revision=each.revision + 1)))
            for each, after in followed
        ]
        for before, after in [(old, new), *naming]:
            self._tell(before, after)
        return succeed(new)

    def retire(
        self, kind: str, id: str, deletion: Deletion, revision: int | None = None
    ) -> Deferred[Resource]:
        """See `IRegistry.retire`."""
        try:
            old = self._current(kind, id, revision)
        except IotgwError as error:
            return fail(error)
        decided = deletion
        if old.deletion is not None:
            backlog = "drop" if old.deletion.backlog == "drop" else deletion.backlog
            decided = msgspec.structs.replace(old.deletion, backlog=backlog)
        changed = {"deletion": decided, "revision": old.revision + 1, "updated_ms": self._now_ms()}
        return succeed(self._put(old, msgspec.structs.replace(old, **changed)))

    def delete(self, kind: str, id: str, revision: int | None = None) -> Deferred[None]:
        """See `IRegistry.delete`."""
        try:
            old = self._current(kind, id, revision)
        except IotgwError as error:
            return fail(error)
        del self._all[kind, id]
        self._tell(old, None)
        return succeed(None)

    def watch(self, kind: str, callback: Watcher) -> None:
        """See `IRegistry.watch`."""
        self._watchers.setdefault(kind, []).append(callback)

    def unwatch(self, kind: str, callback: Watcher) -> None:
        """See `IRegistry.unwatch`."""
        self._watchers[kind].remove(callback)

    def seal(self, secret: str) -> str:
        """See `IRegistry.seal`."""
        return _SEAL + secret[::-1]

    def unseal(self, sealed: str) -> str:
        """See `IRegistry.unseal`."""
        if not sealed.startswith(_SEAL):
            raise IotgwError("expected a sealed secret")
        return sealed.removeprefix(_SEAL)[::-1]

    def _put(self, old: Resource | None, new: Resource) -> Resource:
        new = self._kept(new)
        self._tell(old, new)
        return new

    def _kept(self, new: Resource) -> Resource:
        """Keep what shares nothing with the caller."""
        new = msgspec.structs.replace(new, body=msgspec.json.decode(msgspec.json.encode(new.body)))
        self._all[new.kind, new.id] = new
        return new

    def _tell(self, old: Resource | None, new: Resource | None) -> None:
        for one in (new, old):
            if one is not None:
                for watcher in tuple(self._watchers.get(one.kind, ())):
                    try:
                        watcher(old, new)
                    except Exception:
                        self._log.failure("a watcher of {kind} failed", kind=one.kind)
                return

    def _current(self, kind: str, id: str, revision: int | None) -> Resource:
        found = self._all.get((kind, id))
        if found is None:
            raise NotFound(f"there is no {kind} {id!r}")
        if revision not in (None, found.revision):
            raise Conflict(f"{kind} {found.name!r}: expected revision {found.revision}, got {revision}")
        return found

    def _is_taken(self, kind: str, tenant: str, name: str) -> bool:
        return any(each.name == name for each in self.list(kind, tenant))

    def _now_ms(self) -> int:
        return int(self._clock.seconds() * 1000)
