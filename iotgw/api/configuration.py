"""`/configuration`: all that a document can hold, as one that `/apply` takes. Applied to an empty gateway, it makes the same gateway.

An entry is said without what is the default, and names others by their names. What devices sent, tokens, and files of the data
directory are no configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import NODEFAULT, UNSET, Struct
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from iotgw.api.auth import Permission
from iotgw.api.keepers import Entry, Held, Keeper, OfFleet
from iotgw.api.problems import Problem
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Reply, Route
from iotgw.api.tenant_keeper import OfTenant
from iotgw.core.departed import datasource_name
from iotgw.core.errors import NotFound
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.resources_file import ResourcesDocument

QUERY = (Query("devices", bool, True, "devices, too"),)
MOST_DEVICES = 20_000
"""More are kept as lists (`iotgw.api.fleet`), and no document can bring them back at once."""
PIECE = 200
"""Entries that are looked at between two breaths,"""
LARGE = 256 << 10
"""or bytes of JSON."""


class ConfigurationRoutes:
    """The routes of the whole configuration. ``keepers`` are those of all kinds, in the order in which entries are saved."""

    def __init__(
        self, keepers: Sequence[Keeper], registry: IRegistry, recorder: Recorder, clock: IReactorTime
    ) -> None:
        self._keepers = keepers
        self._registry = registry
        self._recorder = recorder
        self._clock = clock

    def routes(self) -> list[Route]:
        """With secrets, and without."""
        return [
            Route(
                "GET", "/configuration", Permission.READ, self.read,
                "All that can be applied, as a document; secrets masked", answer=ResourcesDocument, query=QUERY,
            ),
            Route(
                "GET", "/configuration-with-secrets", Permission.ADMIN, self.read_secrets,
                "The same with its secrets in the clear; who does that is an event", answer=ResourcesDocument, query=QUERY,
            ),
        ]  # fmt: skip

    async def read(self, call: Call) -> Reply:
        """Secrets masked."""
        return await self._document(call, lambda keeper, body: keeper.masked(body))

    async def read_secrets(self, call: Call) -> Reply:
        """Secrets in the clear."""
        by = call.token.name
        text = f"the configuration was exported with its secrets by {by}"
        self._recorder.note("exported", "gateway", "configuration", text, call.tenant, "warning", by=by)
        return await self._document(call, _revealed)

    async def _document(self, call: Call, shown: Callable[[Keeper, Entry], Entry]) -> Reply:
        tenant = call.tenant
        found: dict[str, list[msgspec.Raw]] = {}
        for keeper in self._keepers:
            if isinstance(keeper, OfFleet) and not call.query("devices"):
                continue
            if isinstance(keeper, OfTenant) and call.tenants is not None:
                continue
            if isinstance(keeper, OfFleet) and (count := keeper.count(tenant)) > MOST_DEVICES:
                raise Problem(
                    413,
                    f"expected at most {MOST_DEVICES} devices, there are {count}: take devices=false, and keep them as lists",
                )
            held: list[Held] = await keeper.all(tenant)
            if isinstance(keeper, OfFleet):
                held = sorted([*held, *(await keeper.bare(tenant))], key=lambda each: each.name)
            entries = []
            room = LARGE
            for number, each in enumerate(held):
                if room < 0 or (number and not number % PIECE):
                    await deferLater(self._clock, 0)
                    room = LARGE
                body = self._named(keeper.kind, tenant, shown(keeper, each.body))
                entry = {"name": each.name, **without_defaults(keeper.spec, body)}
                entries.append(msgspec.Raw(msgspec.json.encode(entry)))
                room -= len(entries[-1])
            if entries:
                found[keeper.kind] = entries
        return Reply(found)

    def _named(self, kind: str, tenant: str, body: Entry) -> Entry:
        """A body that names others by their names, not by their ids."""

        def name(of: str, text: str) -> str:
            try:
                return self._registry.get(of, text, tenant).name
            except NotFound:
                return datasource_name(self._registry, text) if of == "datasource" else text

        body = dict(body)
        for field in ("converter", "downlinkConverter"):
            if body.get(field):
                body[field] = name("converter", body[field])
        if body.get("converters"):
            body["converters"] = {key: name("converter", each) for key, each in body["converters"].items()}
        if kind == "integration" and body.get("route", {}).get("datasources"):
            sources = [name("datasource", each) for each in body["route"]["datasources"]]
            body["route"] = {**body["route"], "datasources": sources}
        return body


def without_defaults(spec: type[Struct], body: Entry) -> Entry:
    """A body without what its spec says by itself, and without what isn't of the spec. A Struct within it is treated the same."""
    found: Entry = {}
    for field, item in _fields(spec):
        name = field.encode_name
        if name == "name" or name not in body:
            continue
        value, default = body[name], field.default
        if field.default_factory is not NODEFAULT:
            default = field.default_factory()
        if isinstance(value, list) and item is not None:
            value = [without_defaults(item, each) for each in value]
        if isinstance(default, Struct) and isinstance(value, dict):
            value, default = without_defaults(type(default), value), {}
        if default in (NODEFAULT, UNSET) or value != msgspec.to_builtins(default):
            found[name] = value
    return found


@cache
def _fields(spec: type[Struct]) -> list[tuple[msgspec.structs.FieldInfo, type[Struct] | None]]:
    """The fields of a spec, each with the Struct of which it holds a list, if it does."""
    return [(field, _struct_of_items(field.type)) for field in msgspec.structs.fields(spec)]


def _struct_of_items(type_: Any) -> type[Struct] | None:
    """The Struct of which a field holds a list; None for any other field."""
    info = msgspec.inspect.type_info(type_)
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    item = info.item_type if isinstance(info, msgspec.inspect.CollectionType) else None
    return item.cls if isinstance(item, msgspec.inspect.StructType) else None


def _revealed(keeper: Keeper, body: Entry) -> Entry:
    """A body in the clear, with the ids of its secrets."""
    found: Entry = _with_ids(keeper.clear(body), keeper.masked(body))
    return found


def _with_ids(clear: Any, masked: Any) -> Any:
    if isinstance(clear, dict) and isinstance(masked, dict):
        return {key: masked[key] if key == "id" and not item else _with_ids(item, masked.get(key))
                for key, item in clear.items()}  # fmt: skip
    if isinstance(clear, list) and isinstance(masked, list) and len(clear) == len(masked):
        return [_with_ids(*pair) for pair in zip(clear, masked, strict=True)]
    return clear
