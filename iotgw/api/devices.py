"""`/devices`: what operators say of devices, with their last state, how they do, and what they prove themselves with."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page, merged
from iotgw.api.credentials import CredentialRoutes
from iotgw.api.known_devices import KnownDevices
from iotgw.api.paging import PageItems
from iotgw.api.problems import Problem
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Reply, Route
from iotgw.core import rectangle
from iotgw.core.device_entry import DeviceEntry, DeviceSpec, check_name
from iotgw.core.errors import Conflict, NotFound, SettingsError
from iotgw.core.names import unfit
from iotgw.core.ports.devices import TROUBLES, DeviceFilter, HealthView, IDevices, IFleet
from iotgw.core.ports.downlinks import IDownlinkQueue
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.speakers import IOwners
from iotgw.core.recorder import Recorder
from iotgw.core.rectangle import Rectangle
from iotgw.core.specs import DatasourceSpec, Spec
from iotgw.core.validate import convert

FILTERS = (
    Query("text", str, None, "part of name, label, serial, identity, place or `tag=text`, in any case"),
    Query("type", str, None, "of this type"),
    Query("group", str, None, "in this group"),
    Query("tag", str, None, "with this tag: a key, or `key=text`"),
    Query("datasource", str, None, "that belong to this datasource, by name or id"),
    Query("trouble", str, None, "silent, with a low battery, or with a weak signal", choices=TROUBLES),
    Query(
        "box",
        str,
        None,
        "in this rectangle: its south, west, north and east in degrees, with commas",
        pattern=rectangle.TEXT,
    ),
)
PIECE = 500
"""Devices whose last states are read at a time."""
DEVICES = (
    *FILTERS,
    Query("limit", int, 100, "how many at most", range=(1, 10000)),
    Query("after", str, None, "a name; the list goes on behind it"),
)


class NewOwner(Spec, frozen=True, kw_only=True):
    """The datasource that a device is given to, by name or id."""

    datasource: Annotated[
        str, Meta(description="The datasource that may speak for the device, by name or id.")
    ]


class DeviceFields(Struct, frozen=True, rename="camel"):
    """What the gateway adds to a device; ignored when it is sent."""

    tenant: Annotated[str, Meta(description="The tenant whose it is.")]
    revision: Annotated[
        int, Meta(description="How often it was saved; the entity tag (`ETag`) is made of it.")
    ]
    created_at: Annotated[int, Meta(description="When it became known: milliseconds since 1970.")]
    updated_at: Annotated[int, Meta(description="When it was saved last: milliseconds since 1970.")]
    datasource: Annotated[str, Meta(description="The id of the datasource by which it was heard last.")]
    owner: Annotated[str, Meta(description="The id of the datasource that may speak for it.")]
    first_seen: Annotated[
        int | None, Meta(description="When it was first heard: milliseconds since 1970; null for never.")
    ]
    last_seen: Annotated[
        int | None, Meta(description="When it was heard last: milliseconds since 1970; null for never.")
    ]
    attributes: Annotated[
        dict[str, Any], Meta(description="Its attributes, by key, as its messages said them last.")
    ]
    telemetry: Annotated[dict[str, Any], Meta(description="The latest value of each key, with its time.")]
    health: Annotated[HealthView, Meta(description="How it does.")]
    credentials: Annotated[
        list[Any], Meta(description="Its credentials, without their secrets; only where one device is read.")
    ] = []
    downlinks: Annotated[
        dict[str, Any],
        Meta(description="Its downlinks: how many are in which state; only where one device is read."),
    ] = {}


READ_ONLY = frozenset(DeviceFields.__struct_encode_fields__)


class DeviceRoutes:
    """The routes of devices."""

    def __init__(
        self,
        fleet: IFleet,
        known: KnownDevices,
        devices: IDevices,
        owners: IOwners,
        registry: IRegistry,
        downlinks: IDownlinkQueue,
        credentials: CredentialRoutes,
        recorder: Recorder,
    ) -> None:
        self._fleet = fleet
        self._known = known
        self._devices = devices
        self._owners = owners
        self._registry = registry
        self._downlinks = downlinks
        self._credentials = credentials
        self._recorder = recorder

    def routes(self) -> list[Route]:
        """List, create, read, replace, change, delete; and give to a datasource."""
        read, change = Permission.READ, Permission.WRITE
        shown, one = (DeviceSpec, DeviceFields), "/devices/<name>"
        return [
            Route("GET", "/devices", read, self.list, "Devices, by name", answer=Page, query=DEVICES),
            Route("POST", "/devices", change, self.create, "Create a device", DeviceSpec, shown, status=201),
            Route("GET", one, read, self.read, "One device and its last state", answer=shown),
            Route("PUT", one, change, self.replace, "Replace what is said of a device, or create it", DeviceSpec, shown, may_create=True),
            Route("PATCH", one, change, self.patch, "Change some of what is said of a device (RFC 7396)", dict, shown),
            Route("DELETE", one, change, self.delete, "Delete a device and its last state", status=204),
            Route(
                "PUT", f"{one}/owner", change, self.hand_over,
                "Give a device to a datasource, which may speak for it from now on", NewOwner, dict,
            ),
        ]  # fmt: skip

    # --- the operations ---

    async def list(self, call: Call) -> Page:
        """A page of devices."""
        limit = call.query("limit")
        names = self._fleet.names(
            call.tenant, wanted(call, self._registry), call.query("after") or "", limit + 1
        )
        found = PageItems()
        for start in range(0, min(len(names), limit), PIECE):
            shown = names[start : min(start + PIECE, limit)]
            states = await self._devices.states(call.tenant, shown)
            found.take(self._view(call.tenant, name, states.get(name)) for name in shown)
            if found.is_full:
                break
        count = len(found.items)
        return Page(found.items, names[count - 1] if len(names) > count else None)

    async def create(self, call: Call) -> Reply:
        """A new one."""
        spec = self._spec(call.tenant, call.json())
        entry = await self._fleet.save(call.tenant, spec, is_new=True)
        return await self._saved(call, entry, "created", 201)

    async def read(self, call: Call, name: str) -> Reply:
        """One device."""
        state = await self._devices.get(call.tenant, name)
        if state is None and await self._known.is_known(call.tenant, name):
            state = await self._devices.get(call.tenant, name)
        entry = self._fleet.get(call.tenant, name)
        if entry is None and state is None:
            raise NotFound(f"there is no device {name!r}")
        view = {**self._view(call.tenant, name, state), **await self._beside(call, name, state)}
        return Reply(view, headers={"ETag": tag(entry)} if entry is not None else {})

    async def replace(self, call: Call, name: str) -> Reply:
        """One with other words; created where there is none."""
        value = call.json()
        old = self._fleet.get(call.tenant, name)
        if old is None and call.header("if-match"):
            raise NotFound(f"there is no device {name!r}")
        return await self._change(call, name, value, old)

    async def patch(self, call: Call, name: str) -> Reply:
        """One with some fields changed."""
        is_known = await self._known.is_known(call.tenant, name)
        old = self._fleet.get(call.tenant, name) if is_known else None
        if old is None:
            raise NotFound(f"there is no device {name!r}")
        return await self._change(call, name, merged(msgspec.to_builtins(old.spec), call.json()), old)

    async def delete(self, call: Call, name: str) -> Reply | None:
        """One less, until it sends again."""
        entry = self._fleet.get(call.tenant, name)
        if entry is None:
            if await self._devices.get(call.tenant, name) is None:
                raise NotFound(f"there is no device {name!r}")
            await self._devices.forget(call.tenant, name)
        else:
            await self._fleet.delete(call.tenant, name, matching(call, entry))
        self._owners.disown(call.tenant, name)
        self._note(call, name, "deleted")
        return None

    async def hand_over(self, call: Call, name: str) -> Any:
        """Let a device belong to a datasource, given by name or id, whether it was seen or not."""
        if character := unfit(name):
            raise SettingsError("name", f"expected a name without control characters, got {character}")
        datasource = self._registry.get("datasource", call.body().datasource, call.tenant)
        self._owners.hand_over(call.tenant, name, datasource.id)
        return {"name": name, "owner": self._owners.owner(call.tenant, name)}

    # --- one device ---

    def _spec(self, tenant: str, value: Any, old: DeviceEntry | None = None) -> DeviceSpec:
        """The spec of a JSON value, what is read-only ignored; raises SettingsError."""
        if isinstance(value, dict):
            value = {key: item for key, item in value.items() if key not in READ_ONLY}
            name = value.get("name")
            is_seen = isinstance(name, str) and value.get("type") == self._fleet.type_of(tenant, name)
            if old is not None and not old.spec.type and is_seen:
                value["type"] = ""  # it is shown, and stays what the device's messages say
        return convert(value, DeviceSpec)

    async def _change(self, call: Call, name: str, value: Any, old: DeviceEntry | None) -> Reply:
        revision = matching(call, old) if old is not None else None
        if isinstance(value, dict):
            value = {"name": name, **value}
        try:
            check_name(name)
        except ValueError as error:
            raise SettingsError("name", str(error).removeprefix("name: ")) from error
        spec = self._spec(call.tenant, value, old)
        if spec.name != name:
            raise SettingsError(
                "name", f"expected {name!r}: a device keeps its name, by which its messages know it"
            )
        try:
            entry = await self._fleet.save(call.tenant, spec, revision, is_new=old is None)
        except Conflict:
            if (found := self._fleet.get(call.tenant, name)) is not None and revision is not None:
                matching(call, found)  # moved on meanwhile
            raise
        return await self._saved(
            call, entry, "created" if old is None else "changed", 201 if old is None else 200
        )

    async def _saved(self, call: Call, entry: DeviceEntry, what: str, status: int) -> Reply:
        self._note(call, entry.name, what)
        headers = {"ETag": tag(entry)}
        if status == 201:
            headers["Location"] = f"/api/v1/devices/{quote(entry.name, safe='')}"
        state = await self._devices.get(call.tenant, entry.name)
        return Reply(self._view(call.tenant, entry.name, state), status, headers)

    def _note(self, call: Call, name: str, what: str) -> None:
        by = call.token.name
        self._recorder.note(what, "device", name, f"{what} by {by}", call.tenant, "info", device=name, by=by)

    def _view(self, tenant: str, name: str, state: dict[str, Any] | None) -> dict[str, Any]:
        entry = self._fleet.get(tenant, name)
        seen = state or {}
        said: dict[str, Any] = msgspec.to_builtins(entry.spec if entry is not None else DeviceSpec(name=name))
        return {
            **said,
            "type": said["type"] or seen.get("type", ""),
            "tenant": tenant,
            "revision": entry.revision if entry is not None else 0,
            "createdAt": entry.created_ms if entry is not None else seen.get("firstSeen", 0),
            "updatedAt": entry.updated_ms if entry is not None else seen.get("firstSeen", 0),
            "datasource": seen.get("datasource", ""),
            "owner": self._owners.owner(tenant, name),
            "firstSeen": seen.get("firstSeen"),
            "lastSeen": seen.get("lastSeen"),
            "attributes": seen.get("attributes", {}),
            "telemetry": seen.get("telemetry", {}),
            "health": self._fleet.health(tenant, name),
        }

    async def _beside(self, call: Call, name: str, state: dict[str, Any] | None) -> dict[str, Any]:
        """What is shown of one device only: its credentials, and its downlinks with what its datasource says of them."""
        waiting = [
            item for item in await self._downlinks.list(call.tenant, name, 1000) if not item.state.final
        ]
        downlinks: dict[str, Any] = {"waiting": len(waiting)}
        id = (state or {}).get("datasource") or self._owners.owner(call.tenant, name)
        with suppress(NotFound):
            resource = self._registry.get("datasource", id, call.tenant)
            spec = msgspec.convert(dict(resource.body, name=resource.name), DatasourceSpec)
            entry = self._fleet.get(call.tenant, name)
            names = (name, entry.spec.identity if entry is not None else "")
            windows = [spec.downlink_windows[each] for each in names if each in spec.downlink_windows]
            downlinks |= {
                "datasource": resource.name, "converter": spec.downlink_converter,
                "window": next(iter(windows), spec.downlink_window),
            }  # fmt: skip
        held = await self._credentials.of_device(call, name)
        return {"credentials": held.items, "downlinks": downlinks}


def wanted(call: Call, registry: IRegistry) -> DeviceFilter:
    """Which devices a call asks for."""
    datasource = call.query("datasource") or ""
    if datasource:
        with suppress(NotFound):  # that of a deleted one, or nobody's
            datasource = registry.get("datasource", datasource, call.tenant).id
    return DeviceFilter(
        call.query("text") or "", call.query("type") or "", call.query("group") or "", call.query("tag") or "",
        datasource, call.query("trouble") or "", box_of(call),
    )  # fmt: skip


def box_of(call: Call) -> Rectangle | None:
    """The rectangle that a call asks for. Raises SettingsError."""
    text = call.query("box")
    try:
        return rectangle.read(text) if text else None
    except ValueError as error:
        raise SettingsError("box", str(error)) from error


def tag(entry: DeviceEntry) -> str:
    """The entity tag of a device."""
    return f'"{entry.revision}"'


def matching(call: Call, entry: DeviceEntry) -> int | None:
    """The revision that a call asks for; raises Problem 412 when the device has another one."""
    revision = call.revision()
    if revision is not None and revision != entry.revision:
        raise Problem(412, f"the revision is {entry.revision} now, not {revision}", {"ETag": tag(entry)})
    return revision
