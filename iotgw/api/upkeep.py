"""`/backups` and `/resume`: what an operator does with the gateway as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import ALL_TENANTS, Permission
from iotgw.api.problems import Problem
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.ports.backups import IBackupPlans, IBackups, MadeBackup, PlanStatus
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.pause import IPause


class NewBackup(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A backup to make: a new directory ``name`` in the operator's `backup-directory`. The key of the secrets and the first
    token are in it only ``withKey``."""

    name: Annotated[str, Meta(max_length=100, description="the time where it is empty")] = ""
    with_key: Annotated[
        bool, Meta(description="Whether the key of the secrets and the first token are in it.")
    ] = False
    plan: Annotated[str, Meta(max_length=40, description="make this plan's backup, as the settings say")] = ""


class PlanList(Struct, frozen=True):
    """The backup plans by name."""

    items: Annotated[list[PlanStatus], Meta(description="Plans by name.")]


class UpkeepRoutes:
    """The routes of backups and of the pause. They concern all tenants."""

    def __init__(self, backups: IBackups, plans: IBackupPlans, pause: IPause, dates: IDates) -> None:
        self._backups = backups
        self._plans = plans
        self._pause = pause
        self._dates = dates

    def routes(self) -> list[Route]:
        """Look, make one; go on."""
        admin = Permission.ADMIN
        return [
            Route(
                "GET", "/backups", admin, self.list, "Backup plans, when each is next, and how the last one went",
                answer=PlanList, of_tenant=False,
            ),
            Route(
                "POST", "/backups", admin, self.back_up, "Copy all databases to the backup directory", NewBackup,
                MadeBackup, status=201, of_tenant=False,
            ),
            Route(
                "POST", "/resume", admin, self.resume, "End the pause after a restore", answer=dict, of_tenant=False,
            ),
        ]  # fmt: skip

    async def list(self, call: Call) -> PlanList:
        """All plans."""
        _expect_all_tenants(call)
        return PlanList(self._plans.plans())

    async def back_up(self, call: Call) -> Reply:
        """A new backup; answered when it is whole."""
        _expect_all_tenants(call)
        wanted = call.optional_body()
        if wanted.plan:
            if wanted.name or wanted.with_key:
                raise Problem(422, "plan: expected it alone; the plan says the rest")
            return Reply(await self._plans.run(wanted.plan), 201)
        now = datetime.fromtimestamp(self._dates.seconds(), UTC)
        made = await self._backups.take(wanted.name or f"{now:%Y-%m-%dT%H-%M-%S.%f}", wanted.with_key)
        return Reply(made, 201)

    async def resume(self, call: Call) -> dict[str, Any]:
        """Let deliveries and downlinks go on."""
        _expect_all_tenants(call)
        was = self._pause.paused
        await self._pause.resume()
        return {"wasPaused": msgspec.to_builtins(was)}


def _expect_all_tenants(call: Call) -> None:
    if call.token.tenant != ALL_TENANTS:
        raise Problem(403, "this concerns all tenants: expected an admin token of all of them")
