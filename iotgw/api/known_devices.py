"""Who is known: a device may be asked for as soon as its first message was answered, though that message is still being converted."""

from __future__ import annotations

from collections.abc import Iterable

from iotgw.core.errors import NotFound
from iotgw.core.ports.devices import IFleet
from iotgw.core.ports.pipeline import IArrivals
from iotgw.core.ports.registry import IRegistry


class KnownDevices:
    """The devices that have an entry, by name or identity."""

    def __init__(self, fleet: IFleet, arrivals: IArrivals, registry: IRegistry) -> None:
        self._fleet = fleet
        self._arrivals = arrivals
        self._registry = registry

    async def unknown(self, tenant: str, names: Iterable[str]) -> list[str]:
        """Those of these names that nobody knows. Where there are any, what was stored until now is converted first, if
        that takes no longer than some seconds."""
        left = self._unknown(tenant, names)
        if left:
            await self._arrivals.settled(tenant)
        return self._unknown(tenant, left)

    def is_known_now(self, tenant: str, name: str) -> bool:
        """Whether a device has an entry as it is, without waiting for anything."""
        return self._fleet.is_known(tenant, name)

    async def is_known(self, tenant: str, name: str) -> bool:
        """Whether somebody knows a device."""
        return not await self.unknown(tenant, [name])

    def has(self, tenant: str, kind: str, name: str) -> bool:
        """Whether a device is of this type or group (a kind of `iotgw.core.device_entry`), or somebody made settings of it."""
        if self._fleet.count(tenant, kind, name):
            return True
        try:
            self._registry.get(kind, name, tenant)
        except NotFound:
            return False
        return True

    def _unknown(self, tenant: str, names: Iterable[str]) -> list[str]:
        return [name for name in names if not self.is_known_now(tenant, name)]
