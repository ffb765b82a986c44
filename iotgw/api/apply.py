"""`/apply`: create or replace many resources at once, and say what changed. Also what a fresh gateway does
with its resources file.

Entries stand for themselves: one that is refused is reported, and the others are applied. What is there
already, and the same, is left alone; what is not named stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from twisted.logger import Logger

from iotgw.api.auth import Permission
from iotgw.api.catalogue import FIRST_START, Catalogue, body_of
from iotgw.api.converters import ConverterRoutes
from iotgw.api.credentials import CredentialRoutes
from iotgw.api.datasources import DatasourceRoutes
from iotgw.api.integrations import IntegrationRoutes
from iotgw.api.parts import Parts
from iotgw.api.problems import Problem
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.core.errors import IotgwError, NotFound, SettingsError
from iotgw.core.model import DEFAULT_TENANT, ConverterVersion
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.resources_file import ResourcesDocument, read
from iotgw.core.specs import Resource

_log = Logger(namespace="iotgw.api")


class Applied(Struct, frozen=True, omit_defaults=True):
    """What became of an entry: ``created``, ``changed``, ``unchanged`` or ``refused`` (with ``error``). ``warnings`` say
    what may not go as expected."""

    kind: str
    name: str
    outcome: str
    error: str = ""
    warnings: list[str] = []


class Result(Struct, frozen=True):
    """What became of all entries."""

    items: list[Applied]
    refused: int


def catalogues(parts: Parts, keep_failed: bool = False) -> list[Catalogue]:
    """The routes of what a document holds, in the order in which it is applied: converters first, as datasources name
    them. ``keep_failed``: datasources that can't be opened are saved all the same."""
    registry, recorder = parts.registry, Recorder(parts.events, parts.dates)
    return [
        ConverterRoutes(registry, recorder, parts.versions, parts.own_converters),
        CredentialRoutes(registry, recorder, parts.dates),
        DatasourceRoutes(
            registry,
            recorder,
            parts.datasource_types,
            parts.versions,
            parts.pipeline,
            parts.departures,
            parts.journal,
            keep_failed,
        ),
        IntegrationRoutes(
            registry, recorder, parts.integration_types, parts.delivery, parts.departures, parts.journal
        ),
    ]


class ApplyRoutes:
    """The route that applies a document by the routes of what it holds. ``library`` are the bundled converters."""

    def __init__(
        self, catalogues: Sequence[Catalogue], registry: IRegistry, library: Mapping[str, ConverterVersion]
    ) -> None:
        self._catalogues = catalogues
        self._registry = registry
        self._library = library

    def routes(self) -> list[Route]:
        """One."""
        query = (Query("dryRun", bool, False, "say what would happen, and change nothing"),)
        summary = "Create or replace many resources"
        return [
            Route("POST", "/apply", Permission.WRITE, self.apply, summary, ResourcesDocument, Result, query)
        ]

    async def apply(self, call: Call) -> Result:
        """Over the API."""
        return await self.run(call.tenant, call.body(), call.query("dryRun"), call.token.name)

    async def run(
        self, tenant: str, document: ResourcesDocument, dry: bool = False, by: str = FIRST_START
    ) -> Result:
        """Apply a document. ``by`` is who does it."""
        coming: set[str] = set()
        """Converters that a dry run did not save, and that datasources may name all the same."""
        items = []
        for catalogue in self._catalogues:
            for entry in getattr(document, catalogue.kind):
                name = str(entry.get("name") or entry.get("library", ""))
                try:
                    outcome = await self._one(catalogue, tenant, entry, dry, coming, by)
                    items.append(
                        Applied(catalogue.kind, name, outcome, "", self._warnings(catalogue, tenant, name))
                    )
                    if dry and outcome == "created":
                        coming.add(name)
                except (IotgwError, Problem) as error:
                    items.append(Applied(catalogue.kind, name, "refused", str(error)))
        return Result(items, sum(item.outcome == "refused" for item in items))

    async def _one(
        self, catalogue: Catalogue, tenant: str, entry: dict[str, Any], dry: bool, coming: set[str], by: str
    ) -> str:
        if catalogue.kind == ConverterRoutes.kind and "library" in entry:
            entry = self._bundled(entry)
        spec = catalogue.parse(entry)
        stored = self._stored(catalogue, tenant, spec.name)
        if dry and {getattr(spec, "converter", ""), getattr(spec, "downlink_converter", "")} & coming:
            return "created" if stored is None else "changed"
        spec = await catalogue.check(tenant, spec, stored)
        if stored is None:
            if not dry:
                catalogue.note(await catalogue.make(tenant, spec), "created", by)
            else:
                catalogue.check_room(tenant)
            return "created"
        if _same(catalogue, stored, spec):
            return "unchanged"
        if not dry:
            catalogue.note(await catalogue.save(stored, spec, None), "changed", by)
        return "changed"

    def _bundled(self, entry: dict[str, Any]) -> dict[str, Any]:
        entry = dict(entry)
        library = str(entry.pop("library"))
        bundled = self._library.get(library)
        if bundled is None:
            known = ", ".join(sorted(self._library)) or "none"
            raise SettingsError("library", f"expected a bundled converter ({known}), got {library!r}")
        of_version = {
            "script": bundled.script, "type": bundled.direction, "dialect": bundled.dialect,
            "options": bundled.options,
        }  # fmt: skip
        return {"name": library.replace("/", "-"), **of_version, **entry}

    def _warnings(self, catalogue: Catalogue, tenant: str, name: str) -> list[str]:
        """What the status of a saved resource warns of."""
        stored = self._stored(catalogue, tenant, name)
        return list(catalogue.status(stored).get("warnings", ())) if stored is not None else []

    def _stored(self, catalogue: Catalogue, tenant: str, name: str) -> Resource | None:
        try:
            return self._registry.get(catalogue.kind, name, tenant)
        except NotFound:
            return None


async def apply_file(parts: Parts, path: Path) -> Result:
    """Apply a resources file for the default tenant; each refused entry is one line in the log.

    Raises SettingsError when the file can't be read. Datasources that can't be opened now are kept.
    """
    saved = catalogues(parts, keep_failed=True)
    result = await ApplyRoutes(saved, parts.registry, parts.versions.library).run(DEFAULT_TENANT, read(path))
    for item in result.items:
        if item.outcome == "refused":
            _log.warn(
                "{file}: {kind} {name} was refused: {error}",
                file=path.name, kind=item.kind, name=item.name, error=item.error,
            )  # fmt: skip
    return result


def _same(catalogue: Catalogue, stored: Resource, spec: Any) -> bool:
    wanted = body_of(spec)
    have = {key: value for key, value in stored.body.items() if key in wanted}
    return catalogue.clear(have) == catalogue.clear(wanted)
