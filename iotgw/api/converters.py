"""`/converters`: users' scripts and their versions. Trying them out is in `trials`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.catalogue import PAGE, READ_ONLY, Catalogue, Page, not_empty
from iotgw.api.converter_users import ConverterUsers
from iotgw.api.foreseen import NOTHING, Foreseen
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Reply, Route
from iotgw.api.trials import vectors
from iotgw.core.device_kinds import suggested
from iotgw.core.errors import NotFound, StillReferenced
from iotgw.core.model import ConverterVersion
from iotgw.core.numbers import whole
from iotgw.core.ports.converters import IConverterVersions
from iotgw.core.ports.devices import IOwnConverters
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import ConverterSpec, Resource


class VersionView(Struct, frozen=True, rename="camel"):
    """One immutable version; ``created_at`` is milliseconds since 1970, 0 for a bundled one."""

    version: int
    active: bool
    created_at: int
    type: str
    dialect: str
    engine: str
    script: str
    files: dict[str, str]
    options: dict[str, Any]


class Bundled(Struct, frozen=True):
    """A converter of the library: a datasource may name it, or it is installed to be changed."""

    name: str
    type: str
    dialect: str
    engine: str
    script: str


class Install(Struct, frozen=True, forbid_unknown_fields=True):
    """Under which name; the bundled one's where none is given, with hyphens for slashes."""

    name: Annotated[
        str,
        Meta(description="Under which name; the bundled one's where it is empty, with hyphens for slashes."),
    ] = ""


LIBRARY = (
    *PAGE,
    Query(
        "profile",
        str,
        None,
        "the name of a device profile: only the converter of its device, if there is one",
    ),
)


class ConverterRoutes(Catalogue):
    """The routes of converters, their versions, and the library."""

    kind = "converter"
    collection = "converters"
    spec = ConverterSpec
    read_only = READ_ONLY | {"version", "versions", "detected"}

    def __init__(
        self, registry: IRegistry, recorder: Recorder, versions: IConverterVersions, own: IOwnConverters
    ) -> None:
        super().__init__(registry, recorder)
        self._versions = versions
        self._own = own
        self._using = ConverterUsers(registry)

    def routes(self) -> list[Route]:
        """As of every kind; versions; the library."""
        read, write = Permission.READ, Permission.WRITE
        versions = "/converters/<name>/versions"
        return [
            *super().routes(),
            Route("GET", versions, read, self.versions, "All versions of a converter, oldest first", answer=Page),
            Route(
                "POST", f"{versions}/<number>/activate", write, self.activate,
                "Make a version the active one; going back is activating an older one", answer=dict,
            ),
            Route("GET", "/library", read, self.library, "The bundled converters", answer=Page, query=LIBRARY, of_tenant=False),
            Route(
                "POST", "/library/<path:name>/install", write, self.install,
                "Save a bundled converter as one's own", Install, dict, status=201,
            ),
        ]  # fmt: skip

    async def check(
        self, tenant: str, spec: ConverterSpec, stored: Resource | None, foreseen: Foreseen = NOTHING
    ) -> ConverterSpec:
        """See `Catalogue.check`; the script is checked where it is saved."""
        not_empty(spec.name)
        vectors(spec.tests)
        if stored is not None and spec.name != stored.name:
            self._unreferenced(stored, by_name_only=True)
        return spec

    async def prove(self, tenant: str, spec: ConverterSpec) -> None:
        """See `Catalogue.prove`: the script is compiled."""
        await self._versions.check(tenant, spec)

    def shown(self, resource: Resource) -> dict[str, Any]:
        """See `Catalogue.shown`; with the active version's number, and what was detected of it."""
        active = self._versions.active(resource.tenant, resource.id)
        detected = {"dialect": active.dialect, "engine": active.engine}
        return {"name": resource.name, **resource.body, "detected": detected}

    def status(self, resource: Resource) -> dict[str, Any]:
        """Who uses it."""
        return {"usedBy": [other.name for other in self._users(resource)]}

    async def save_new(self, tenant: str, spec: ConverterSpec) -> Resource:
        """See `Catalogue.save_new`."""
        return await self._versions.create(tenant, spec)

    async def save(self, resource: Resource, spec: ConverterSpec, revision: int | None) -> Resource:
        """A further version, which becomes the active one."""
        return await self._versions.replace(resource, spec, revision)

    async def remove(self, resource: Resource, revision: int | None) -> None:
        """See `Catalogue.remove`; one that a datasource names stays."""
        self._unreferenced(resource)
        await self._versions.delete(resource, revision)

    async def versions(self, call: Call, name: str) -> Page:
        """All versions of one."""
        resource = self.find(call, name)
        active = resource.body["version"]
        return Page(
            [
                VersionView(
                    version.version, version.version == active, entry.created_ms, version.direction,
                    version.dialect, version.engine, version.script, version.files, version.options,
                )
                for entry, version in self._versions.versions(resource)
            ]
        )  # fmt: skip

    async def activate(self, call: Call, name: str, number: str) -> Reply:
        """Another version."""
        resource = self.find(call, name)
        version = whole(number, 1, resource.body["versions"])
        if version is None:
            raise NotFound(f"converter {resource.name!r} has versions 1 to {resource.body['versions']}")
        revision = self._matching(call, resource)
        active = await self._versions.activate(resource, version, revision)
        self.note(active, "changed", call.token.name)
        return self._reply(active)

    async def library(self, call: Call) -> Page:
        """The bundled converters."""
        after, limit, profile = call.query("after") or "", call.query("limit"), call.query("profile")
        library = self._versions.library
        found = library if profile is None else filter(None, [suggested(profile, library)])
        names = sorted(name for name in found if name > after)
        items = [_bundled(name, self._versions.library[name]) for name in names[:limit]]
        return Page(items, items[-1].name if len(names) > limit else None)

    async def install(self, call: Call, name: str) -> Reply:
        """A bundled one as one's own."""
        bundled = self._versions.library.get(name)
        if bundled is None:
            raise NotFound(f"the library has no converter {name!r}")
        spec = ConverterSpec(
            name=call.optional_body().name or name.replace("/", "-"), type=bundled.direction, script=bundled.script,
            dialect=bundled.dialect, engine=msgspec.convert(bundled.engine, Any), options=bundled.options,
        )  # fmt: skip
        not_empty(spec.name)
        resource = await self.make(call.tenant, spec)
        self.note(resource, "created", call.token.name)
        return self._reply(resource, 201)

    def _users(self, resource: Resource, by_name_only: bool = False) -> list[Resource]:
        keys = {resource.name} if by_name_only else {resource.name, resource.id}
        return self._using.of(resource.tenant, keys)

    def _unreferenced(self, resource: Resource, by_name_only: bool = False) -> None:
        users = self._users(resource, by_name_only)
        if users:
            names = ", ".join(sorted(user.name for user in users))
            raise StillReferenced(f"converter {resource.name!r} is used by datasource {names}")
        own = self._own.own_converters(resource.tenant)
        if resource.name in own or (resource.id in own and not by_name_only):
            raise StillReferenced(f"converter {resource.name!r} is the own converter of a device")


def _bundled(name: str, version: ConverterVersion) -> Bundled:
    return Bundled(name, version.direction, version.dialect, version.engine, version.script)
