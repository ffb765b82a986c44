"""What a document may hold, by kind: how an entry is found, checked, compared, saved and taken away.

A keeper does for documents what the routes of its kind do for single requests, by the same checks. Bodies are as they are stored, secrets
sealed, without the name.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from iotgw.api.catalogue import Catalogue, WithBacklog, body_of
from iotgw.api.devices import READ_ONLY
from iotgw.api.foreseen import Foreseen
from iotgw.core.device_entry import DeviceSpec
from iotgw.core.errors import Conflict, NotFound, SettingsError
from iotgw.core.ports.devices import DeviceFilter, IFleet
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.speakers import IOwners
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Resource, Spec
from iotgw.core.validate import convert

Backlog = Literal["drain", "drop"]
Entry = dict[str, Any]
DEVICE = "device"
PIECE = 100
"""Devices that are saved in one transaction."""
LOOK = 1000
"""Devices that are looked at between two breaths."""


class Held(Struct, frozen=True):
    """What is stored under a name. A device has no id."""

    name: str
    id: str
    revision: int
    body: Entry


class Keeper(Protocol):
    """One kind of entries."""

    @property
    def kind(self) -> str:
        """What documents call it."""

    @property
    def spec(self) -> type[Spec]:
        """What an entry says."""

    async def all(self, tenant: str) -> list[Held]:
        """All that belong into a document of the whole."""

    def get(self, tenant: str, name: str) -> Held | None:
        """The one of a name; raises Conflict for one that is being deleted."""

    def stamp(self, tenant: str, name: str) -> tuple[str, int] | None:
        """The id and the revision of the one of a name."""

    async def checked(self, tenant: str, entry: Entry, foreseen: Foreseen) -> tuple[str, Entry]:
        """An entry's name, and the body that it asks for; raises SettingsError, Conflict."""

    async def prove(self, tenant: str, name: str, body: Entry) -> None:
        """Find what otherwise only saving would find; raises SettingsError."""

    def room(self, tenant: str) -> int | None:
        """How many more the tenant's quota lets it have; None where there is none."""

    def unique(self, tenant: str, body: Entry) -> Sequence[Hashable]:
        """What two entries of a document can't both have."""

    def clear(self, body: Entry) -> Entry:
        """A body with its secrets in the clear."""

    def masked(self, body: Entry) -> Entry:
        """A body as anybody may see it."""

    async def put(self, tenant: str, entries: Sequence[tuple[str, Entry]], by: str) -> None:
        """Save these bodies under these names, those that aren't stored already, and wait until they are in force."""

    def check_leaves(self, tenant: str, name: str, backlog: Backlog) -> None:
        """Raise Conflict where one can't be taken away as things are."""

    async def remove(self, tenant: str, name: str, backlog: Backlog, by: str) -> bool:
        """Take one away. Returns whether it is gone, and not only going. Raises StillReferenced."""

    def status(self, tenant: str, name: str) -> dict[str, Any]:
        """How one does."""


class OfCatalogue:
    """The keeper of a kind of the registry."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._registry = catalogue.registry
        self.kind: str = catalogue.kind
        self.spec: type[Spec] = catalogue.spec

    async def all(self, tenant: str) -> list[Held]:
        """See `Keeper.all`."""
        return [_held(each) for each in self._registry.list(self.kind, tenant) if each.deletion is None]

    def get(self, tenant: str, name: str) -> Held | None:
        """See `Keeper.get`."""
        found = self._find(tenant, name)
        if found is not None and found.deletion is not None:
            raise Conflict(f"{self.kind} {name!r} is being deleted")
        return _held(found) if found is not None else None

    def stamp(self, tenant: str, name: str) -> tuple[str, int] | None:
        """See `Keeper.stamp`."""
        found = self._find(tenant, name)
        return (found.id, found.revision) if found is not None else None

    async def checked(self, tenant: str, entry: Entry, foreseen: Foreseen) -> tuple[str, Entry]:
        """See `Keeper.checked`."""
        spec = self._catalogue.parse(entry)
        self.get(tenant, spec.name)
        spec = await self._catalogue.check(tenant, spec, self._find(tenant, spec.name), foreseen)
        return spec.name, body_of(spec)

    async def prove(self, tenant: str, name: str, body: Entry) -> None:
        """See `Keeper.prove`."""
        await self._catalogue.prove(tenant, self._spec(name, body))

    def room(self, tenant: str) -> int | None:
        """See `Keeper.room`."""
        return self._catalogue.room(tenant)

    def unique(self, tenant: str, body: Entry) -> Sequence[Hashable]:
        """See `Keeper.unique`."""
        if self.kind == "datasource":
            return [("routingKey", body["type"], body["routingKey"])] if body.get("routingKey") else []
        return [("identity", body["type"], body["identity"])] if self.kind == "credential" else []

    def clear(self, body: Entry) -> Entry:
        """See `Keeper.clear`. Of a stored body only what a spec says."""
        said = {field.encode_name for field in msgspec.structs.fields(self.spec)}
        return self._catalogue.clear({key: value for key, value in body.items() if key in said})

    def masked(self, body: Entry) -> Entry:
        """See `Keeper.masked`."""
        return self._catalogue.masked(body)

    async def put(self, tenant: str, entries: Sequence[tuple[str, Entry]], by: str) -> None:
        """See `Keeper.put`."""
        for name, body in entries:
            stored, spec = self._find(tenant, name), self._spec(name, body)
            if stored is None:
                self._catalogue.note(await self._catalogue.save_new(tenant, spec), "created", by)
            elif self.clear(stored.body) != self.clear(body_of(spec)):
                self._catalogue.note(await self._catalogue.save(stored, spec, None), "changed", by)

    def check_leaves(self, tenant: str, name: str, backlog: Backlog) -> None:
        """See `Keeper.check_leaves`."""
        found = self._find(tenant, name)
        if found is not None and backlog == "drain" and isinstance(self._catalogue, WithBacklog):
            self._catalogue.check_drains(found)

    async def remove(self, tenant: str, name: str, backlog: Backlog, by: str) -> bool:
        """See `Keeper.remove`."""
        found = self._find(tenant, name)
        if found is None:
            return True
        if isinstance(self._catalogue, WithBacklog):
            if found.deletion is not None:
                return False
            return (await self._catalogue.depart(found, backlog, by))[1] is not None
        with suppress(NotFound):
            await self._catalogue.remove(found, None)
            self._catalogue.note(found, "deleted", by)
        return True

    def status(self, tenant: str, name: str) -> dict[str, Any]:
        """See `Keeper.status`."""
        found = self._find(tenant, name)
        return self._catalogue.status(found) if found is not None else {}

    def _spec(self, name: str, body: Entry) -> Any:
        return self._catalogue.parse({"name": name, **body})

    def _find(self, tenant: str, name: str) -> Resource | None:
        """The one of this name; others may have it as their id."""
        try:
            found = self._registry.get(self.kind, name, tenant)
        except NotFound:
            return None
        if found.name != name:
            return next((each for each in self._registry.list(self.kind, tenant) if each.name == name), None)
        return found


class OfFleet:
    """The keeper of devices. Those that created themselves, and of which nobody has said anything, are no part of a document of the whole,
    unless some datasource doesn't take devices that nobody knows: they come again by themselves."""

    kind = DEVICE
    spec: type[Spec] = DeviceSpec

    def __init__(
        self, fleet: IFleet, owners: IOwners, registry: IRegistry, recorder: Recorder, clock: IReactorTime
    ) -> None:
        self._clock = clock
        self._fleet = fleet
        self._owners = owners
        self._registry = registry
        self._recorder = recorder

    async def all(self, tenant: str) -> list[Held]:
        """See `Keeper.all`."""
        return await self._held(tenant, bare=False)

    async def bare(self, tenant: str) -> list[Held]:
        """Those of which nobody has said anything but the name, and which wouldn't come again by themselves: where some datasource
        doesn't take devices that nobody knows, and those that no datasource has introduced, as somebody created them."""
        sources = self._registry.list("datasource", tenant)
        found = await self._held(tenant, bare=True)
        if any(each.body.get("unknownDevices", "create") != "create" for each in sources):
            return found
        return [each for each in found if not self._owners.owner(tenant, each.name)]

    def count(self, tenant: str) -> int:
        """How many there are in all."""
        return self._fleet.count(tenant)

    async def _held(self, tenant: str, bare: bool) -> list[Held]:
        found: list[Held] = []
        after = ""
        while names := self._fleet.names(tenant, DeviceFilter(), after, LOOK):
            entries = [self._fleet.get(tenant, name) for name in names]
            found += [
                Held(entry.name, "", entry.revision, body_of(entry.spec))
                for entry in entries
                if entry is not None and is_bare(entry.spec) == bare
            ]
            after = names[-1]
            if len(names) < LOOK:
                break
            await deferLater(self._clock, 0)
        return found

    def get(self, tenant: str, name: str) -> Held | None:
        """See `Keeper.get`."""
        entry = self._fleet.get(tenant, name)
        return Held(name, "", entry.revision, body_of(entry.spec)) if entry is not None else None

    def stamp(self, tenant: str, name: str) -> tuple[str, int] | None:
        """See `Keeper.stamp`."""
        entry = self._fleet.get(tenant, name)
        return ("", entry.revision) if entry is not None else None

    async def checked(self, tenant: str, entry: Entry, foreseen: Foreseen) -> tuple[str, Entry]:
        """See `Keeper.checked`."""
        if isinstance(entry, dict):
            entry = {key: value for key, value in entry.items() if key not in READ_ONLY}
        spec = convert(entry, DeviceSpec)
        if spec.converter in foreseen.gone:
            problem = f"converter {spec.converter!r} is not in the document, and would be deleted"
            raise SettingsError("converter", problem)
        saved = (await self._fleet.save_all(tenant, [spec], True))[0]
        if saved.outcome == "refused":
            path, _, problem = saved.error.partition(": ")
            raise SettingsError(path, problem)
        return spec.name, body_of(spec)

    async def prove(self, tenant: str, name: str, body: Entry) -> None:
        """See `Keeper.prove`."""

    def room(self, tenant: str) -> int | None:
        """See `Keeper.room`."""
        return self._fleet.room(tenant)

    def unique(self, tenant: str, body: Entry) -> Sequence[Hashable]:
        """See `Keeper.unique`."""
        return []

    def clear(self, body: Entry) -> Entry:
        """See `Keeper.clear`."""
        return body

    def masked(self, body: Entry) -> Entry:
        """See `Keeper.masked`."""
        return body

    async def put(self, tenant: str, entries: Sequence[tuple[str, Entry]], by: str) -> None:
        """See `Keeper.put`."""
        counts = {"created": 0, "changed": 0}
        for start in range(0, len(entries), PIECE):
            specs = [
                msgspec.convert({"name": name, **body}, DeviceSpec)
                for name, body in entries[start : start + PIECE]
            ]
            for saved in await self._fleet.save_all(tenant, specs):
                if saved.outcome == "refused":
                    raise SettingsError("device", saved.error)
                if saved.outcome != "unchanged":
                    counts[saved.outcome] += 1
        if any(counts.values()):
            text = f"{counts['created']} devices created and {counts['changed']} changed by {by}, from a document"
            self._recorder.note(
                "imported",
                "gateway",
                "devices",
                text,
                tenant,
                by=by,
                created=counts["created"],
                changed=counts["changed"],
            )

    def check_leaves(self, tenant: str, name: str, backlog: Backlog) -> None:
        """See `Keeper.check_leaves`."""

    async def remove(self, tenant: str, name: str, backlog: Backlog, by: str) -> bool:
        """See `Keeper.remove`."""
        with suppress(NotFound):
            await self._fleet.delete(tenant, name)
            self._owners.disown(tenant, name)
            text = f"deleted by {by}"
            self._recorder.note("deleted", "device", name, text, tenant, "info", device=name, by=by)
        return True

    def status(self, tenant: str, name: str) -> dict[str, Any]:
        """See `Keeper.status`."""
        return {}


_NAME = DeviceSpec.__struct_fields__.index("name")
_BARE = msgspec.structs.astuple(DeviceSpec(name="-"))


def is_bare(spec: DeviceSpec) -> bool:
    """Whether nobody has said anything of a device but its name."""
    said = msgspec.structs.astuple(spec)
    return said[:_NAME] == _BARE[:_NAME] and said[_NAME + 1 :] == _BARE[_NAME + 1 :]


def _held(resource: Resource) -> Held:
    return Held(resource.name, resource.id, resource.revision, resource.body)
