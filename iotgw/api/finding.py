"""`/search`: whatever has a text in its name, or has it as its id."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.api.stored import stored_message
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.ports.devices import DeviceFilter, IFleet
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource

KINDS = ("datasource", "converter", "integration", "credential", "device-type", "device-group")
FIND = (
    Query("q", str, None, "a text: a part of a name, in small letters or capitals; or an id as a whole"),
    Query("limit", int, 20, "how many of each kind at most", range=(1, 100)),
)


class FoundThing(Struct, frozen=True):
    """Something that was found."""

    kind: Annotated[str, Meta(description="What it is, such as `device` or `message`.")]
    name: Annotated[str, Meta(description="Its name; a message's is its device's.")]
    id: Annotated[str, Meta(description="Its id.")]
    detail: Annotated[str, Meta(description="Its type, where it has one; of a message, its state.")]


class FoundThings(Struct, frozen=True):
    """What was found."""

    items: Annotated[
        list[FoundThing], Meta(description="By kind; of each, those first whose name begins with the text.")
    ]


class FindingRoutes:
    """The route of the search for names."""

    def __init__(self, registry: IRegistry, fleet: IFleet, journal: IMessages) -> None:
        self._registry = registry
        self._fleet = fleet
        self._journal = journal

    def routes(self) -> list[Route]:
        """One."""
        summary = "Find anything by a part of its name, or by its id"
        return [Route("GET", "/search", Permission.READ, self.find, summary, answer=FoundThings, query=FIND)]

    async def find(self, call: Call) -> FoundThings:
        """All kinds, a message first: an id that is one is meant."""
        text, limit = call.query("q") or "", call.query("limit")
        if not text:
            raise SettingsError("q", "expected a text, got nothing")
        items = await self._message(call, text)
        for kind in KINDS:
            items += [_thing(each) for each in self._resources(call.tenant, kind, text)[:limit]]
        names = self._fleet.names(call.tenant, DeviceFilter(text=text), "", limit)
        items += [
            FoundThing("device", name, name, "") for name in sorted(names, key=lambda each: _rank(each, text))
        ]
        return FoundThings(items)

    def _resources(self, tenant: str, kind: str, text: str) -> list[Resource]:
        wanted = text.lower()
        found = [
            each
            for each in self._registry.list(kind, tenant)
            if wanted in each.name.lower() or text == each.id
        ]
        return sorted(found, key=lambda each: (text != each.id, *_rank(each.name, text)))

    async def _message(self, call: Call, text: str) -> list[FoundThing]:
        try:
            message = await stored_message(self._journal, call.tenant, text)
        except NotFound:
            return []
        return [FoundThing("message", text, text, message.state.name.lower())]


def _rank(name: str, text: str) -> tuple[bool, str]:
    low = name.lower()
    return not low.startswith(text.lower()), low


def _thing(resource: Resource) -> FoundThing:
    return FoundThing(resource.kind, resource.name, resource.id, str(resource.body.get("type") or ""))
