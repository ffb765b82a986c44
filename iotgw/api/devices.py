"""`/devices`: known senders, with their last state."""

from __future__ import annotations

from typing import Any

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.names import unfit
from iotgw.core.ports.devices import IDevices
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.speakers import IOwners
from iotgw.core.specs import Spec

DEVICES = (
    Query("text", str, None, "part of a name"),
    Query("limit", int, 100, "how many at most", range=(1, 10000)),
    Query("after", str, None, "a name; the list goes on behind it"),
)


class NewOwner(Spec, frozen=True, kw_only=True):
    """The datasource that a device is given to, by name or id."""

    datasource: str


class DeviceRoutes:
    """The routes of devices."""

    def __init__(self, devices: IDevices, owners: IOwners, registry: IRegistry) -> None:
        self._devices = devices
        self._owners = owners
        self._registry = registry

    def routes(self) -> list[Route]:
        """List and read."""
        read = Permission.READ
        return [
            Route("GET", "/devices", read, self.list, "Known devices, by name", answer=Page, query=DEVICES),
            Route("GET", "/devices/<name>", read, self.read, "One device and its last state", answer=dict),
            Route(
                "PUT",
                "/devices/<name>/owner",
                Permission.WRITE,
                self.hand_over,
                "Give a device to a datasource, which may speak for it from now on",
                NewOwner,
                dict,
            ),
        ]

    async def list(self, call: Call) -> Page:
        """A page of devices."""
        limit = call.query("limit")
        found = await self._devices.list(
            call.tenant, call.query("after") or "", limit, call.query("text") or ""
        )
        shown = [self._with_owner(call.tenant, device) for device in found]
        return Page(shown, found[-1]["name"] if len(found) == limit else None)

    async def read(self, call: Call, name: str) -> Any:
        """One device."""
        device = await self._devices.get(call.tenant, name)
        if device is None:
            raise NotFound(f"no device {name!r} has been seen")
        return self._with_owner(call.tenant, device)

    async def hand_over(self, call: Call, name: str) -> Any:
        """Let a device belong to a datasource, given by name or id, whether it was seen or not."""
        if character := unfit(name):
            raise SettingsError("name", f"expected a name without control characters, got {character}")
        datasource = self._registry.get("datasource", call.body().datasource, call.tenant)
        self._owners.hand_over(call.tenant, name, datasource.id)
        return {"name": name, "owner": self._owners.owner(call.tenant, name)}

    def _with_owner(self, tenant: str, device: dict[str, Any]) -> dict[str, Any]:
        return {**device, "owner": self._owners.owner(tenant, device["name"])}
