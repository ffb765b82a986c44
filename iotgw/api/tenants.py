"""`/tenants`: what each tenant may use, has, and used."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import ALL_TENANTS, Permission
from iotgw.api.auth import KIND as TOKEN
from iotgw.api.catalogue import body_of, not_empty, note
from iotgw.api.problems import Problem
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.errors import NotFound
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.devices import IFleet
from iotgw.core.ports.jobs import IJobs, JobView
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.usage import Amounts, IUsage, UsageQuery
from iotgw.core.recorder import Recorder
from iotgw.core.specs import TENANT, Resource
from iotgw.core.tenant_spec import TenantSpec
from iotgw.core.validate import convert

COUNTED = ("datasource", "integration", "converter")
"""Kinds of the registry that a quota bounds. Devices are counted by the fleet."""
DAYS = 30
MOST = 10_000
"""Tenants of an answer."""
SINCE = (
    Query("since", int, None, f"of which time the usage is, milliseconds since 1970; the last {DAYS} days"),
)


class Tenant(Struct, frozen=True, rename="camel"):
    """A tenant: what it may use, what it has, and what it used."""

    name: Annotated[str, Meta(description="Its name.")]
    limit: Annotated[str, Meta(description="Messages that it may send, as COUNT:SECONDS; empty is no limit.")]
    device_limit: Annotated[str, Meta(description="The same for each of its devices.")]
    beyond_limit: Annotated[str, Meta(description="What becomes of further messages.")]
    quota: Annotated[
        dict[str, int | None],
        Meta(description="How much of each kind it may have; null is as much as it likes."),
    ]
    description: Annotated[str, Meta(description="What people should know about it.")]
    has: Annotated[dict[str, int], Meta(description="How many resources of each kind it has.")]
    usage: Annotated[dict[str, float], Meta(description="What it used in the last 30 days, by figure.")]


class TenantList(Struct, frozen=True):
    """Tenants by name."""

    items: Annotated[list[Tenant], Meta(description="Tenants by name.")]


class TenantToErase(Struct, frozen=True, forbid_unknown_fields=True):
    """Says again which tenant is deleted with all that it has."""

    confirm: Annotated[str, Meta(description="its name")]


class TenantRoutes:
    """The routes of tenants."""

    def __init__(
        self,
        registry: IRegistry,
        fleet: IFleet,
        usage: IUsage,
        recorder: Recorder,
        calendar: ICalendar,
        jobs: IJobs,
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._fleet = fleet
        self._usage = usage
        self._recorder = recorder
        self._calendar = calendar

    def routes(self) -> list[Route]:
        """List, look, say what one may use, take that back."""
        read, admin, one = Permission.READ, Permission.ADMIN, "/tenants/<name>"
        return [
            Route("GET", "/tenants", read, self.list, "Tenants with what they may use, have and used", answer=TenantList, query=SINCE, of_tenant=False),
            Route("GET", one, read, self.read, "One tenant", answer=Tenant, query=SINCE, of_tenant=False),
            Route("PUT", one, admin, self.replace, "Say what a tenant may use: limits and quotas", TenantSpec, Tenant, may_create=True, of_tenant=False),
            Route("DELETE", one, admin, self.delete, "Let a tenant use what it likes; all that it has stays", status=204, of_tenant=False),
            Route("POST", f"{one}/erase", admin, self.erase, "Delete a tenant with all that it has, as a job of the tenant default", TenantToErase, JobView, status=201, of_tenant=False),
        ]  # fmt: skip

    async def erase(self, call: Call, name: str) -> Reply:
        """Resources, devices, messages, credentials, tokens, files, events and usage."""
        self._expect_all(call)
        if call.body().confirm != name:
            raise Problem(422, f"confirm: expected {name!r}, as in the path")
        if name == DEFAULT_TENANT:
            raise Problem(422, f"the tenant {DEFAULT_TENANT!r} stays: the gateway's own events are there")
        if not await self._views(name):
            raise NotFound(f"there is no tenant {name!r}")
        for job in self._jobs.list(DEFAULT_TENANT):
            if job.kind == TENANT and job.state == "running" and job.what.get("tenant") == name:
                return Reply(job, 201)
        begun = await self._jobs.begin(TENANT, DEFAULT_TENANT, {"tenant": name}, call.token.name)
        text = f"tenant {name!r} is deleted with all that it has, by {call.token.name}"
        self._recorder.note("erased", "tenant", name, text, DEFAULT_TENANT, "warning", by=call.token.name)
        return Reply(begun, 201)

    async def list(self, call: Call) -> TenantList:
        """All of them; or the caller's own."""
        return TenantList(await self._views(call.tenants, call.query("since")))

    async def read(self, call: Call, name: str) -> Tenant:
        """One of them."""
        found = await self._views(name, call.query("since")) if call.tenants in (None, name) else []
        if not found:
            raise NotFound(f"there is no tenant {name!r}")
        return found[0]

    async def replace(self, call: Call, name: str) -> Reply:
        """What one may use; it need not have anything yet."""
        self._expect_all(call)
        value = call.json()
        spec = convert({"name": name, **value} if isinstance(value, dict) else value, TenantSpec)
        if spec.name != name:
            raise Problem(422, f"name: expected {name!r}, as in the path")
        not_empty(name)
        if name == ALL_TENANTS:
            raise Problem(422, f"name: {ALL_TENANTS!r} stands for all tenants")
        stored = self._stored(name)
        if stored is None:
            saved, what = await self._registry.create(TENANT, name, name, body_of(spec)), "created"
        else:
            saved = await self._registry.replace(TENANT, stored.id, body_of(spec), revision=call.revision())
            what = "changed"
        note(self._recorder, saved, what, call.token.name)
        return Reply((await self._views(name))[0], 201 if stored is None else 200)

    async def delete(self, call: Call, name: str) -> None:
        """One without limits and quotas."""
        self._expect_all(call)
        stored = self._stored(name)
        if stored is None:
            raise NotFound(f"nothing is said of a tenant {name!r}")
        await self._registry.delete(TENANT, stored.id, revision=call.revision())
        note(self._recorder, stored, "deleted", call.token.name)

    @staticmethod
    def _expect_all(call: Call) -> None:
        if call.tenants is not None:
            raise Problem(403, "expected a token of all tenants")

    def _stored(self, name: str) -> Resource | None:
        try:
            return self._registry.get(TENANT, name, name)
        except NotFound:
            return None

    async def _views(self, tenant: str | None, since: int | None = None) -> builtins.list[Tenant]:
        if since is None:
            since = max(0, self._calendar.now_ms() - DAYS * 86_400_000)
        rows = await self._usage.rows(UsageQuery(tenant, "tenant", "all", since, limit=MOST))
        used = {row.tenant: row.amounts for row in rows}
        names = [tenant] if tenant is not None else sorted(self._names() | used.keys())
        return [self._view(name, used) for name in names if tenant is None or self._exists(name, used)]

    def _names(self) -> set[str]:
        found = {DEFAULT_TENANT}
        for kind in (*COUNTED, TENANT):
            found |= {each.tenant for each in self._registry.list(kind)}
        found |= {str(each.body["tenant"]) for each in self._registry.list(TOKEN)}
        return found - {ALL_TENANTS, ""}

    def _exists(self, name: str, used: Mapping[str, Amounts]) -> bool:
        return name in used or name in self._names() or self._fleet.count(name) > 0

    def _view(self, name: str, used: Mapping[str, Amounts]) -> Tenant:
        stored = self._stored(name)
        spec = convert({**(stored.body if stored is not None else {}), "name": name}, TenantSpec)
        has = {f"{kind}s": len(self._registry.list(kind, name)) for kind in COUNTED}
        has["devices"] = self._fleet.count(name)
        amounts: dict[str, Any] = {
            field: getattr(used.get(name, Amounts()), field) for field in Amounts.__struct_fields__
        }
        quota: dict[str, int | None] = msgspec.to_builtins(spec.quota)
        return Tenant(
            name, spec.limit, spec.device_limit, spec.beyond_limit, quota, spec.description, has, amounts
        )
