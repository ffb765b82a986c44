"""Liveness, readiness and status: for probes, for Prometheus and for people."""

from __future__ import annotations

from typing import Any

from iotgw import __version__
from iotgw.api.auth import Permission
from iotgw.api.catalogue import leaving
from iotgw.api.integrations import state_of
from iotgw.api.parts import Parts
from iotgw.api.problems import Problem
from iotgw.api.routes import Call, Reply, Route


class Health:
    """The routes of probes and of the whole gateway's state."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started = parts.now_ms()

    def routes(self) -> list[Route]:
        """Live, ready, status."""
        nobody, read = Permission.NONE, Permission.READ
        return [
            Route("GET", "/health/live", nobody, self.live, "Whether the process serves at all", answer=dict),
            Route("GET", "/health/ready", nobody, self.ready, "Whether uplinks are taken", answer=dict),
            Route(
                "GET",
                "/status",
                read,
                self.status,
                "The whole gateway at a glance",
                answer=dict,
                of_tenant=False,
            ),
        ]

    async def live(self, call: Call) -> dict[str, Any]:
        """That this is answered is the answer."""
        return {"status": "live"}

    async def ready(self, call: Call) -> Reply:
        """Whether the journal takes uplinks; a listener that could not be opened doesn't make it unready,
        as the others serve."""
        if not self._parts.journal.room:
            reason = (await self._parts.journal.stats()).get("problem") or "busy"
            raise Problem(503, f"the journal is not taking uplinks: {reason}", {"Retry-After": "5"})
        return Reply({"status": "ready"})

    async def status(self, call: Call) -> dict[str, Any]:
        """Version, journal, datasources, integrations."""
        parts = self._parts
        journal = dict(await parts.journal.stats())
        journal.pop("datasources", None)  # by id, of all tenants; each datasource shows its own
        return {
            "version": __version__,
            "startedAt": self._started,
            "now": parts.now_ms(),
            "epoch": parts.journal.epoch,
            "ready": bool(parts.journal.room),
            "journal": journal,
            "datasources": [
                {
                    "id": each.id,
                    "name": each.name,
                    "type": each.body["type"],
                    **parts.pipeline.status(each.id),
                    **leaving(each),
                }
                for each in parts.registry.list("datasource", call.tenants)
            ],
            "integrations": [
                {"id": each.id, "name": each.name, "type": each.body["type"], **state_of(parts, each)}
                for each in parts.registry.list("integration", call.tenants)
            ],
        }
