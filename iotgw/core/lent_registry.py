"""A registry for parts that come and go while the gateway runs: with them, what they watch for ends."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core.ports.registry import IRegistry, Watcher
from iotgw.core.specs import Deletion, Resource


@implementer(IRegistry)
class LentRegistry:
    """An `IRegistry` that is another one until `close`: from then on nobody hears of changes through it.

    Many methods: those of the port.
    """

    def __init__(self, registry: IRegistry) -> None:
        self._registry = registry
        self._watched: builtins.list[tuple[str, Watcher]] = []

    def close(self) -> None:
        """End all that is watched for."""
        watched, self._watched = self._watched, []
        for kind, callback in watched:
            self._registry.unwatch(kind, callback)

    def watch(self, kind: str, callback: Watcher) -> None:
        """See `IRegistry.watch`."""
        self._watched.append((kind, callback))
        self._registry.watch(kind, callback)

    def unwatch(self, kind: str, callback: Watcher) -> None:
        """See `IRegistry.unwatch`."""
        self._watched.remove((kind, callback))
        self._registry.unwatch(kind, callback)

    def list(self, kind: str, tenant: str | None = None) -> builtins.list[Resource]:
        """See `IRegistry.list`."""
        return self._registry.list(kind, tenant)

    def get(self, kind: str, id_or_name: str, tenant: str | None = None) -> Resource:
        """See `IRegistry.get`."""
        return self._registry.get(kind, id_or_name, tenant)

    def name_of(self, kind: str, id: str) -> str:
        """See `IRegistry.name_of`."""
        return self._registry.name_of(kind, id)

    def create(self, kind: str, tenant: str, name: str, body: dict[str, Any]) -> Deferred[Resource]:
        """See `IRegistry.create`."""
        return self._registry.create(kind, tenant, name, body)

    def create_all(
        self, kind: str, tenant: str, named: Sequence[tuple[str, dict[str, Any]]]
    ) -> Deferred[builtins.list[Resource]]:
        """See `IRegistry.create_all`."""
        return self._registry.create_all(kind, tenant, named)

    def replace(
        self, kind: str, id: str, body: dict[str, Any], name: str | None = None, revision: int | None = None
    ) -> Deferred[Resource]:
        """See `IRegistry.replace`."""
        return self._registry.replace(kind, id, body, name, revision)

    def retire(
        self, kind: str, id: str, deletion: Deletion, revision: int | None = None
    ) -> Deferred[Resource]:
        """See `IRegistry.retire`."""
        return self._registry.retire(kind, id, deletion, revision)

    def delete(self, kind: str, id: str, revision: int | None = None) -> Deferred[None]:
        """See `IRegistry.delete`."""
        return self._registry.delete(kind, id, revision)

    def seal(self, secret: str) -> str:
        """See `IRegistry.seal`."""
        return self._registry.seal(secret)

    def unseal(self, sealed: str) -> str:
        """See `IRegistry.unseal`."""
        return self._registry.unseal(sealed)
