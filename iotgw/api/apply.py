"""`/apply`: create or replace many resources at once, and say what changed. Also what a fresh gateway does with its resources file.

Entries stand for themselves, unless the document is applied as a whole: one that is refused is reported, and the others are applied.
What is there already, and the same, is left alone; what is not named stays, unless it is pruned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from twisted.logger import Logger

from iotgw.api.auth import Permission
from iotgw.api.catalogue import BACKLOG, FIRST_START, Catalogue
from iotgw.api.converters import ConverterRoutes
from iotgw.api.credentials import CredentialRoutes
from iotgw.api.datasources import DatasourceRoutes
from iotgw.api.decisions import Decision, Decisions
from iotgw.api.device_settings import DeviceGroupRoutes, DeviceTypeRoutes
from iotgw.api.integrations import IntegrationRoutes
from iotgw.api.keepers import Keeper, OfCatalogue, OfFleet
from iotgw.api.parts import Parts
from iotgw.api.plans import Applied, DocumentPlan, Planner
from iotgw.api.problems import Problem
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.api.tenant_keeper import OfTenant
from iotgw.core.errors import IotgwError
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.recorder import Recorder
from iotgw.core.resources_file import KINDS, ResourcesDocument, read

_log = Logger(namespace="iotgw.api")
MOST = 20_000
"""Entries of one document."""
QUERY = (
    Query("dryRun", bool, False, "say what would happen, field by field, and change nothing"),
    Query("whole", bool, False, "all or nothing: one entry that is refused, and nothing is changed"),
    Query("prune", bool, False, "delete what the document doesn't have; only as a whole"),
    BACKLOG,
)


class Result(Struct, frozen=True):
    """What became of all entries."""

    items: Annotated[list[Applied], Meta(description="What became of each entry.")]
    refused: Annotated[int, Meta(description="How many entries were refused.")]
    state: Annotated[
        str,
        Meta(
            description="Names what the document was compared with: with it as `If-Match`, a document is applied to nothing else."
        ),
    ] = ""


def catalogues(parts: Parts, keep_failed: bool = False) -> list[Catalogue]:
    """The routes of what a document holds, in the order in which it is applied: converters first, as datasources name
    them. ``keep_failed``: datasources that can't be opened are saved all the same."""
    registry, recorder = parts.registry, Recorder(parts.events, parts.dates)
    return [
        ConverterRoutes(registry, recorder, parts.versions, parts.own_converters),
        CredentialRoutes(registry, recorder, parts.dates, parts.credentials),
        DeviceTypeRoutes(registry, recorder, parts.fleet),
        DeviceGroupRoutes(registry, recorder, parts.fleet),
        DatasourceRoutes(
            registry,
            recorder,
            parts.datasource_types,
            parts.versions,
            parts.pipeline,
            parts.departures,
            parts.journal,
            parts.quarantine,
            parts.in_thread,
            keep_failed,
        ),
        IntegrationRoutes(
            registry,
            recorder,
            parts.integration_types,
            parts.delivery,
            parts.departures,
            parts.journal,
            parts.nodes,
            parts.in_thread,
            parts.orders,
        ),
    ]


def keepers(parts: Parts, saved: Sequence[Catalogue]) -> list[Keeper]:
    """The keepers of all that a document holds."""
    recorder = Recorder(parts.events, parts.dates)
    devices = OfFleet(parts.fleet, parts.owners, parts.registry, recorder, parts.clock)
    return [OfTenant(parts.registry, recorder), *(OfCatalogue(each) for each in saved), devices]


class ApplyRoutes:
    """The route that applies a document. ``decisions`` carries out those that are applied as a whole."""

    def __init__(self, planner: Planner, decisions: Decisions) -> None:
        self._planner = planner
        self._decisions = decisions

    def routes(self) -> list[Route]:
        """One."""
        summary = "Create or replace many resources"
        return [
            Route("POST", "/apply", Permission.WRITE, self.apply, summary, ResourcesDocument, Result, QUERY)
        ]

    async def apply(self, call: Call) -> Result:
        """Over the API."""
        document, by = call.body(), call.token.name
        if document.tenant and call.tenants is not None:
            raise Problem(403, "tenant: expected a token of all tenants for what a tenant may use")
        if (count := sum(len(document.of(kind)) for kind in KINDS)) > MOST:
            raise Problem(413, f"expected at most {MOST} entries, got {count}")
        is_dry, is_whole, prune = call.query("dryRun"), call.query("whole"), call.query("prune")
        if prune and not is_whole:
            raise Problem(
                422, "prune: expected whole=true with it: what a document lacks is known of a whole one only"
            )
        wanted = (call.header("if-match") or "*").strip().strip('"')
        if not is_whole and not is_dry:
            if wanted != "*":
                raise Problem(422, "If-Match: expected whole=true with it")
            return await self.run(call.tenant, document, by)
        plan = await self._planner.plan(call.tenant, document, prune, call.query("backlog"))
        if wanted not in ("*", plan.state):
            raise Problem(
                412, f"what the document was compared with has changed: it is {plan.state} now, not {wanted}"
            )
        if is_dry:
            items = [self._told(call.tenant, item) for item in plan.items]
            return Result(items, plan.refused, plan.state)
        decision = Decision(by, call.query("backlog"), plan.changes)
        return await self._whole(call.tenant, document, plan, decision)

    async def _whole(
        self, tenant: str, document: ResourcesDocument, plan: DocumentPlan, decision: Decision
    ) -> Result:
        if plan.refused:
            refused = [item for item in plan.items if item.outcome == "refused"]
            errors = [{"path": f"{item.kind} {item.name}", "problem": item.error} for item in refused]
            first = f"{errors[0]['path']}: {errors[0]['problem']}"
            raise Problem(422, f"nothing was changed: {plan.refused} refused; {first}", errors=errors)
        if not plan.changes:
            return Result(plan.items, 0, plan.state)
        row = await self._decisions.decide(tenant, decision)
        if self._planner.state(tenant, document, plan.going) != plan.state:
            await self._decisions.withdraw(row)
            raise Problem(
                412, "nothing was changed: somebody else has changed what the document is about; try again"
            )
        left = await self._decisions.carry_out(row)
        items = [
            self._told(tenant, msgspec.structs.replace(item, outcome="deleting"))
            if (item.kind, item.name) in left
            else self._told(tenant, item)
            for item in plan.items
        ]
        return Result(items, 0, self._planner.state(tenant, document, {}))

    async def run(self, tenant: str, document: ResourcesDocument, by: str = FIRST_START) -> Result:
        """Apply a document's entries, each for itself. ``by`` is who does it."""
        items = []
        for keeper in self._planner.keepers:
            for entry in document.of(keeper.kind):
                one = ResourcesDocument(**{keeper.kind.replace("-", "_"): [entry]})
                plan = await self._planner.plan(tenant, one, prove=False)
                item, *_ = plan.items
                for change in plan.changes:
                    try:
                        assert change.after is not None
                        await keeper.put(tenant, [(change.name, change.after)], by)
                    except (IotgwError, Problem) as error:
                        item = Applied(item.kind, item.name, "refused", str(error))
                items.append(self._told(tenant, item))
        return Result(items, sum(item.outcome == "refused" for item in items))

    def _told(self, tenant: str, item: Applied) -> Applied:
        """What became of an entry, with what the status of a saved resource warns of."""
        if item.outcome == "refused":
            return item
        keeper = next(each for each in self._planner.keepers if each.kind == item.kind)
        warnings = list(keeper.status(tenant, item.name).get("warnings", ()))
        return msgspec.structs.replace(item, warnings=warnings)


def apply_routes(parts: Parts, saved: Sequence[Catalogue]) -> ApplyRoutes:
    """The routes, with what they need. ``saved`` are those of single resources."""
    return ApplyRoutes(planner_of(parts, saved), decisions(parts))


def planner_of(parts: Parts, saved: Sequence[Catalogue]) -> Planner:
    """What compares a document with what is stored."""
    return Planner(keepers(parts, saved), parts.versions.library, parts.own_converters, parts.clock)


def decisions(parts: Parts) -> Decisions:
    """What carries decisions out."""
    return Decisions(keepers(parts, catalogues(parts, keep_failed=True)), parts.registry, parts.clock)


async def apply_file(parts: Parts, path: Path) -> Result:
    """Apply a resources file for the default tenant; each refused entry is one line in the log.

    Raises SettingsError when the file can't be read. Datasources that can't be opened now are kept.
    """
    result = await apply_routes(parts, catalogues(parts, keep_failed=True)).run(DEFAULT_TENANT, read(path))
    for item in result.items:
        if item.outcome == "refused":
            _log.warn(
                "{file}: {kind} {name} was refused: {error}",
                file=path.name, kind=item.kind, name=item.name, error=item.error,
            )  # fmt: skip
    return result
