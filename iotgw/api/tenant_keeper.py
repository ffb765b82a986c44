"""What a document says of its own tenant: limits and quotas. Only tokens of all tenants see and change that."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Any

from iotgw.api.catalogue import body_of, note
from iotgw.api.foreseen import Foreseen
from iotgw.api.keepers import Backlog, Entry, Held
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import TENANT, Resource, Spec
from iotgw.core.tenant_spec import TenantSpec
from iotgw.core.validate import convert


class OfTenant:
    """The keeper of what tenants may use: one entry at most, which is called like the tenant."""

    kind = TENANT
    spec: type[Spec] = TenantSpec

    def __init__(self, registry: IRegistry, recorder: Recorder) -> None:
        self._registry = registry
        self._recorder = recorder

    async def all(self, tenant: str) -> list[Held]:
        """See `Keeper.all`."""
        held = self.get(tenant, tenant)
        return [held] if held is not None else []

    def get(self, tenant: str, name: str) -> Held | None:
        """See `Keeper.get`."""
        found = self._find(tenant, name)
        return Held(found.name, found.id, found.revision, found.body) if found is not None else None

    def stamp(self, tenant: str, name: str) -> tuple[str, int] | None:
        """See `Keeper.stamp`."""
        found = self._find(tenant, name)
        return (found.id, found.revision) if found is not None else None

    async def checked(self, tenant: str, entry: Entry, foreseen: Foreseen) -> tuple[str, Entry]:
        """See `Keeper.checked`."""
        spec = convert(entry, TenantSpec)
        if spec.name != tenant:
            raise SettingsError("name", f"expected the document's own tenant, {tenant!r}, got {spec.name!r}")
        return spec.name, body_of(spec)

    async def prove(self, tenant: str, name: str, body: Entry) -> None:
        """See `Keeper.prove`."""

    def room(self, tenant: str) -> int | None:
        """See `Keeper.room`."""
        return None

    def unique(self, tenant: str, body: Entry) -> Sequence[Hashable]:
        """See `Keeper.unique`."""
        return []

    def clear(self, body: Entry) -> Entry:
        """See `Keeper.clear`: there are no secrets."""
        return body

    def masked(self, body: Entry) -> Entry:
        """See `Keeper.masked`."""
        return body

    async def put(self, tenant: str, entries: Sequence[tuple[str, Entry]], by: str) -> None:
        """See `Keeper.put`."""
        for name, body in entries:
            stored = self._find(tenant, name)
            if stored is None:
                note(self._recorder, await self._registry.create(TENANT, name, name, body), "created", by)
            elif stored.body != body:
                note(self._recorder, await self._registry.replace(TENANT, stored.id, body), "changed", by)

    def check_leaves(self, tenant: str, name: str, backlog: Backlog) -> None:
        """See `Keeper.check_leaves`."""

    async def remove(self, tenant: str, name: str, backlog: Backlog, by: str) -> bool:
        """See `Keeper.remove`."""
        found = self._find(tenant, name)
        if found is not None:
            with suppress(NotFound):
                await self._registry.delete(TENANT, found.id)
                note(self._recorder, found, "deleted", by)
        return True

    def status(self, tenant: str, name: str) -> dict[str, Any]:
        """See `Keeper.status`."""
        return {}

    def _find(self, tenant: str, name: str) -> Resource | None:
        try:
            return self._registry.get(TENANT, name, tenant)
        except NotFound:
            return None
