"""Converter versions: saving a script makes an immutable, numbered version; one of them is active.

In the registry a ``converter`` holds the name and the number of the active version, and each
``converterVersion``, named ``{converter id}/{number}``, holds a script that never changes. Names that the
registry does not know are looked up in the bundled library.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from zope.interface import implementer

from iotgw.core.errors import Conflict, NotFound, Undecided
from iotgw.core.model import ConverterVersion, Uplink
from iotgw.core.ports.converters import IConverters, IConverterVersions
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import ConverterSpec, Resource

KIND = "converter"
VERSION_KIND = "converterVersion"


class Samples(Protocol):
    """`iotgw.converters.samples.StoredSamples.of`."""

    def __call__(self, tenant: str, *names: str) -> Awaitable[Sequence[Uplink]]: ...  # noqa: D102


async def _none(tenant: str, *names: str) -> Sequence[Uplink]:
    return ()


@implementer(IConverterVersions)
class ConverterVersions:
    """The converters of a registry and of the bundled library.

    ``registry`` is an `iotgw.core.ports.registry.IRegistry`, ``converters`` an `iotgw.core.ports.converters.IConverters` (it
    checks scripts), ``library`` maps names to bundled versions. ``samples(tenant, *names)`` tells the messages that a converter of
    these names is for: they decide of which dialect a script is that may be of several.
    """

    def __init__(
        self,
        registry: IRegistry,
        converters: IConverters,
        library: Mapping[str, ConverterVersion],
        samples: Samples = _none,
    ) -> None:
        self._registry = registry
        self._converters = converters
        self._samples = samples
        self.library = library
        self._cache: dict[str, tuple[int, ConverterVersion]] = {}

    async def check(self, tenant: str, spec: ConverterSpec) -> None:
        """Compile a script, and save nothing; raises SettingsError (script)."""
        await self._converters.compile(spec, tenant)

    async def create(self, tenant: str, spec: ConverterSpec) -> Resource:
        """Save a new converter as version 1; raises SettingsError (script) or Conflict (name)."""
        dialect, engine = await self._converters.compile(spec, tenant)
        resource = await self._registry.create(KIND, tenant, spec.name, self._body(spec, 0))
        return await self._add_version(resource, spec, dialect, engine, resource.revision)

    async def replace(self, resource: Resource, spec: ConverterSpec, revision: int | None = None) -> Resource:
        """Save a further version and make it active; the same script again only changes the texts."""
        if revision is not None and revision != resource.revision:
            raise Conflict(f"expected revision {revision}, the converter is at {resource.revision}")
        try:
            dialect, engine = await self._converters.compile(spec, resource.tenant)
        except Undecided:
            samples = await self._samples(resource.tenant, resource.name, resource.id)
            dialect, engine = await self._converters.compile(spec, resource.tenant, samples)
        active = self._version(resource, resource.body["version"])
        if (active.script, active.files, active.dialect, active.engine, active.options, active.direction) == (
            spec.script, spec.files, dialect, engine, spec.options, spec.type,
        ):  # fmt: skip
            body = self._body(spec, resource.body["version"], resource.body["versions"])
            return await self._registry.replace(KIND, resource.id, body, name=spec.name, revision=revision)
        return await self._add_version(resource, spec, dialect, engine, revision)

    async def activate(self, resource: Resource, version: int, revision: int | None = None) -> Resource:
        """Make an older (or newer) version the active one; raises NotFound."""
        chosen = self._version(resource, version)
        body = dict(
            resource.body, version=version, script=chosen.script, files=chosen.files, options=chosen.options
        )
        return await self._registry.replace(KIND, resource.id, body, name=resource.name, revision=revision)

    async def delete(self, resource: Resource, revision: int | None = None) -> None:
        """Delete a converter with all its versions."""
        await self._registry.delete(KIND, resource.id, revision=revision)
        for number in range(1, resource.body["versions"] + 1):
            version = self._registry.get(VERSION_KIND, f"{resource.id}/{number}", resource.tenant)
            await self._registry.delete(VERSION_KIND, version.id)
        self._cache.pop(resource.id, None)

    def active(self, tenant: str, name: str) -> ConverterVersion:
        """The version that runs for a converter's name (or id); raises NotFound."""
        try:
            resource = self._registry.get(KIND, name, tenant)
        except NotFound:
            bundled = self.library.get(name)
            if bundled is None:
                raise NotFound(f"there is no converter {name!r}, neither saved nor bundled") from None
            return bundled
        cached = self._cache.get(resource.id)
        if cached is None or cached[0] != resource.revision:
            cached = (resource.revision, self._version(resource, resource.body["version"]))
            self._cache[resource.id] = cached
        return cached[1]

    def versions(self, resource: Resource) -> list[tuple[Resource, ConverterVersion]]:
        """All versions of a converter, oldest first, each with its registry entry."""
        found = []
        for number in range(1, resource.body["versions"] + 1):
            entry = self._registry.get(VERSION_KIND, f"{resource.id}/{number}", resource.tenant)
            found.append((entry, self._version(resource, number)))
        return found

    def _version(self, resource: Resource, number: int) -> ConverterVersion:
        entry = self._registry.get(VERSION_KIND, f"{resource.id}/{number}", resource.tenant)
        return msgspec.convert(
            dict(
                entry.body, id=resource.id, version=number, name=resource.name, tenant=resource.tenant,
                time_limit=0.0,  # which earlier releases wrote down as 0.25, whatever the settings said
            ),
            ConverterVersion,
        )  # fmt: skip

    async def _add_version(
        self, resource: Resource, spec: ConverterSpec, dialect: str, engine: str, revision: int | None
    ) -> Resource:
        number = resource.body["versions"] + 1
        body = {
            "direction": spec.type, "script": spec.script, "dialect": dialect, "engine": engine,
            "options": spec.options, "files": spec.files,
        }  # fmt: skip
        await self._registry.create(VERSION_KIND, resource.tenant, f"{resource.id}/{number}", body)
        return await self._registry.replace(
            KIND, resource.id, self._body(spec, number, number), name=spec.name, revision=revision
        )

    @staticmethod
    def _body(spec: ConverterSpec, active: int, versions: int = 0) -> dict[str, Any]:
        body: dict[str, Any] = msgspec.to_builtins(spec)
        del body["name"]
        return dict(body, version=active, versions=versions)
