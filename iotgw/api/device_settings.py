"""`/device-types` and `/device-groups`: settings that many devices share."""

from __future__ import annotations

from typing import Any

from iotgw.api.catalogue import Catalogue, not_empty
from iotgw.api.foreseen import NOTHING, Foreseen
from iotgw.core.device_entry import GROUP, TYPE, GroupSpec, TypeSpec
from iotgw.core.ports.devices import IFleet
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Resource


class _Shared(Catalogue):
    """What types and groups have in common."""

    def __init__(self, registry: IRegistry, recorder: Recorder, fleet: IFleet) -> None:
        super().__init__(registry, recorder)
        self._fleet = fleet

    async def check(
        self, tenant: str, spec: Any, stored: Resource | None, foreseen: Foreseen = NOTHING
    ) -> Any:
        """See `Catalogue.check`."""
        not_empty(spec.name)
        return spec

    def status(self, resource: Resource) -> dict[str, Any]:
        """How many devices it is about."""
        return {"devices": self._fleet.count(resource.tenant, self.kind, resource.name)}


class DeviceTypeRoutes(_Shared):
    """The routes of types of devices."""

    kind = TYPE
    collection = "device-types"
    spec = TypeSpec


class DeviceGroupRoutes(_Shared):
    """The routes of groups of devices."""

    kind = GROUP
    collection = "device-groups"
    spec = GroupSpec
