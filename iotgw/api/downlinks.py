"""`/devices/{name}/downlinks`: the queue of messages to a device; `/downlinks`: those of all devices."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page
from iotgw.api.credentials import CredentialRoutes
from iotgw.api.known_devices import KnownDevices
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.ports.devices import IFleet
from iotgw.core.ports.downlinks import IDownlinkQueue, ItemQuery
from iotgw.core.specs import DownlinkSpec
from iotgw.core.validate import convert

NEW = (
    Query(
        "allowUnknown",
        bool,
        False,
        "queue it for a device that nobody knows yet, which may be a mistyped one",
    ),
)
ITEMS = (Query("limit", int, 100, "how many at most", range=(1, 1000)),)
GROUPS = {
    "open": tuple(state for state in ItemState if not state.final),
    "over": tuple(state for state in ItemState if state.final),
}
"""States that are asked for together."""
ALL_ITEMS = (
    Query(
        "state", str, None, "items in this state; open are those of which more is to come",
        choices=(*GROUPS, *(state.value for state in ItemState)),
    ),
    Query("device", str, None, "items that were queued for this device, by this name"),
    Query("before", str, None, "the `next` of the page before"),
    *ITEMS,
)  # fmt: skip


class DownlinkRoutes:
    """The routes of the downlink queue."""

    def __init__(
        self, queue: IDownlinkQueue, fleet: IFleet, known: KnownDevices, credentials: CredentialRoutes
    ) -> None:
        self._queue = queue
        self._fleet = fleet
        self._known = known
        self._credentials = credentials

    def routes(self) -> list[Route]:
        """Push, replace, clear, list; read and cancel one."""
        path, one = "/devices/<name>/downlinks", "/devices/<name>/downlinks/<id>"
        read, send = Permission.READ, Permission.DOWNLINK
        return [
            Route(
                "GET", "/downlinks", read, self.find, "The downlinks of all devices, newest first", answer=Page, query=ALL_ITEMS,
            ),
            Route(
                "GET",
                path,
                read,
                self.list,
                "What waits for a device, then what was",
                answer=Page,
                query=ITEMS,
            ),
            Route("POST", path, send, self.push, "Queue a downlink", DownlinkSpec, dict, NEW, status=201),
            Route("PUT", path, send, self.replace, "Replace what waits", list[DownlinkSpec], Page, NEW),
            Route("DELETE", path, send, self.clear, "Cancel what waits", answer=dict),
            Route("GET", one, read, self.read, "One downlink", answer=dict),
            Route("DELETE", one, send, self.cancel, "Cancel one downlink", answer=dict),
        ]  # fmt: skip

    async def find(self, call: Call) -> Page:
        """Items of all devices."""
        state, before, limit = call.query("state"), call.query("before"), call.query("limit")
        if before is not None and not (before.isascii() and before.isdigit() and len(before) < 19):
            raise SettingsError("before", f"expected the next of a page of downlinks, got {before!r}")
        states = GROUPS.get(state) or (ItemState(state),) if state else ()
        query = ItemQuery(states, call.query("device") or "", int(before or 0), limit)
        items = await self._queue.find(call.tenant, query)
        next_ = str(items[-1].seq) if len(items) == limit else None
        return Page([item.view() for item in items], next_)

    async def list(self, call: Call, name: str) -> Page:
        """A device's items: the open ones as they will leave, then the latest others."""
        items = await self._queue.list(call.tenant, name, call.query("limit"))
        return Page([item.view() for item in items], None)

    async def push(self, call: Call, name: str) -> Reply:
        """Queue an item; it is durable when this answers."""
        await self._expect_known(call, name)
        item = await self._queue.push(call.tenant, name, call.body())
        location = f"/api/v1/devices/{quote(name, safe='')}/downlinks/{item.id}"
        return Reply(item.view(), 201, {"Location": location})

    async def replace(self, call: Call, name: str) -> Page:
        """Cancel what waits, queue these instead: one item or an array, empty to clear."""
        value = call.json()
        specs = convert(value if isinstance(value, list) else [value], list[DownlinkSpec])
        if specs:
            await self._expect_known(call, name)
        items = await self._queue.replace(call.tenant, name, specs)
        return Page([item.view() for item in items], None)

    async def clear(self, call: Call, name: str) -> Any:
        """Cancel everything that waits."""
        return {"deleted": await self._queue.clear(call.tenant, name)}

    async def read(self, call: Call, name: str, id: str) -> Any:
        """One item."""
        return (await self._of(call, name, id)).view()

    async def cancel(self, call: Call, name: str, id: str) -> Any:
        """Cancel one item; 409 when it is over."""
        await self._of(call, name, id)
        return (await self._queue.cancel(call.tenant, id)).view()

    async def _expect_known(self, call: Call, name: str) -> None:
        """Raise NotFound where nobody knows the device: by its name, by its identity, or because it has credentials."""
        if call.query("allowUnknown") or self._fleet.is_known(call.tenant, name):
            return
        if (await self._credentials.of_device(call, name)).items:
            return
        if await self._known.is_known(call.tenant, name):
            return
        alike = self._fleet.alike(call.tenant, name)
        hint = (
            f"did you mean {alike!r}?" if alike else "with allowUnknown, a downlink waits for it all the same"
        )
        raise NotFound(f"nobody knows a device {name!r}; {hint}")

    async def _of(self, call: Call, name: str, id: str) -> Item:
        """An item of this device, not of another; raises NotFound."""
        item = await self._queue.get(call.tenant, id)
        if item.device != name:
            raise NotFound(f"there is no downlink {id!r} of {name!r}")
        return item
