"""Liveness, readiness and status: for probes, for Prometheus and for people."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.interfaces import IReactorTime

from iotgw import __version__
from iotgw.api.auth import Permission
from iotgw.api.catalogue import leaving
from iotgw.api.integrations import state_of
from iotgw.api.problems import Problem
from iotgw.api.queries import TENANT
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.converters import IConverters
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.pause import IPause
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.ports.registry import IRegistry
from iotgw.core.refusals import Doors
from iotgw.core.times import SteadyMs


class HealthRoutes:
    """The routes of probes and of the whole gateway's state."""

    def __init__(
        self,
        registry: IRegistry,
        journal: IMessages,
        pipeline: IPipeline,
        delivery: IDeliveries,
        converters: IConverters,
        pause: IPause,
        credentials: ICredentials,
        doors: Doors,
        clock: IReactorTime,
        calendar: ICalendar,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._pipeline = pipeline
        self._delivery = delivery
        self._converters = converters
        self._pause = pause
        self._credentials = credentials
        self._doors = doors
        self._calendar = calendar
        self._started = SteadyMs(int(clock.seconds() * 1000))

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
                query=(TENANT,),
                of_tenant=False,
            ),
        ]

    async def live(self, call: Call) -> dict[str, Any]:
        """That this is answered is the answer."""
        return {"status": "live"}

    async def ready(self, call: Call) -> Reply:
        """Whether uplinks are taken; a listener that could not be opened doesn't make it unready,
        as the others serve. Damage to what is stored doesn't either, nor that no script is run, but both are said."""
        room = self._pipeline.room()
        if not room.is_open:
            raise Problem(503, f"no uplinks are taken: {room.reason}", {"Retry-After": "5"})
        faults, paused = self._faults(), self._pause.paused
        refusal = self._converters.status()["confinement"]["refusal"]
        return Reply(
            {
                "status": "ready",
                **({"faults": faults} if faults else {}),
                **({"paused": paused.reason} if paused is not None else {}),
                **({"converters": refusal} if refusal else {}),
            }
        )

    def _faults(self) -> list[str]:
        """What is wrong with what is stored, as sentences."""
        unusable = self._credentials.unusable
        reason = next(iter(unusable.values()), "")
        count = f"{len(unusable)} credential{'s' if len(unusable) > 1 else ''} of devices"
        said = [f"{count} can't be used until the secrets are entered again: {reason}"] if unusable else []
        return [*self._journal.faults, *said]

    async def status(self, call: Call) -> dict[str, Any]:
        """Version, journal, datasources, integrations."""
        datasources = self._registry.list("datasource", call.tenants)
        journal = dict(await self._journal.stats())
        counts = journal.pop("datasources", {})  # by id, of all tenants; each datasource shows its own
        if not call.sees_gateway:
            journal = _sums([counts.get(each.id, {}) for each in datasources])
        room = self._pipeline.room()
        return {
            "version": __version__,
            "startedAt": self._calendar.date_ms(self._started),
            "now": self._calendar.now_ms(),
            "epoch": self._journal.epochs.current,
            "ready": room.is_open,
            "notReadyBecause": room.reason or None,
            "faults": self._faults() if call.sees_gateway else [],
            "paused": msgspec.to_builtins(self._pause.paused),
            "confinement": self._converters.status()["confinement"],
            "journal": journal,
            "refusals": self._doors.counts() if call.sees_gateway else {},
            "datasources": [
                {
                    "id": each.id,
                    "name": each.name,
                    "type": each.body["type"],
                    **self._pipeline.status(each.id),
                    **leaving(each),
                }
                for each in datasources
            ],
            "integrations": [
                {
                    "id": each.id,
                    "name": each.name,
                    "type": each.body["type"],
                    **state_of(self._delivery, each),
                }
                for each in self._registry.list("integration", call.tenants)
            ],
        }


def _sums(counts: list[dict[str, int]]) -> dict[str, int]:
    """What became of the uplinks of these datasources together."""
    sums = {
        word: sum(each.get(word, 0) for each in counts)
        for word in ("received", "converted", "filtered", "failed")
    }
    return {**sums, "waiting": sums["received"] - sums["converted"] - sums["filtered"] - sums["failed"]}
