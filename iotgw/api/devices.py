"""`/devices`: known senders, with their last state."""

from __future__ import annotations

from typing import Any

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.core.errors import NotFound
from iotgw.core.ports.devices import IDevices

DEVICES = (
    Query("text", str, None, "part of a name"),
    Query("limit", int, 100, "how many at most", range=(1, 10000)),
    Query("after", str, None, "a name; the list goes on behind it"),
)


class DeviceRoutes:
    """The routes of devices."""

    def __init__(self, devices: IDevices) -> None:
        self._devices = devices

    def routes(self) -> list[Route]:
        """List and read."""
        read = Permission.READ
        return [
            Route("GET", "/devices", read, self.list, "Known devices, by name", answer=Page, query=DEVICES),
            Route("GET", "/devices/<name>", read, self.read, "One device and its last state", answer=dict),
        ]

    async def list(self, call: Call) -> Page:
        """A page of devices."""
        limit = call.query("limit")
        found = await self._devices.list(
            call.tenant, call.query("after") or "", limit, call.query("text") or ""
        )
        return Page(found, found[-1]["name"] if len(found) == limit else None)

    async def read(self, call: Call, name: str) -> Any:
        """One device."""
        device = await self._devices.get(call.tenant, name)
        if device is None:
            raise NotFound(f"no device {name!r} has been seen")
        return device
