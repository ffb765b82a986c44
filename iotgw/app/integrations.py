"""Keeps the running integrations as they are saved in the registry."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from twisted.internet.defer import DeferredLock, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from iotgw.app.singles import Always, ITenure
from iotgw.core.clock import PlainCalendar
from iotgw.core.departures import Departures, Left
from iotgw.core.errors import Conflict, NotFound, Unavailable
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import IntegrationSpec, Resource, RouteSpec
from iotgw.core.times import DateMs
from iotgw.delivery.service import DeliveryService

LOOK = 0.02
"""Seconds until the first look whether a backlog is gone; each wait is longer than the one before."""
LONGEST_LOOK = 1.0
AGAIN = 1.0
"""Seconds until a change is tried again for which the database was away."""


class RegisteredIntegrations:
    """Passes each integration and each change on to the delivery service."""

    _log = Logger()

    def __init__(
        self,
        registry: IRegistry,
        journal: ITelemetryStream,
        delivery: DeliveryService,
        departures: Departures,
        recorder: Recorder,
        clock: IReactorTime,
        calendar: ICalendar | None = None,
        tenure: ITenure | None = None,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._delivery = delivery
        self._departures = departures
        self._recorder = recorder
        self._clock = clock
        self._calendar: ICalendar = calendar or PlainCalendar(clock)
        self._tenure: ITenure = tenure or Always()
        self._turns: dict[str, DeferredLock] = {}
        """The changes of each integration, one after another."""
        self._undo: list[Callable[[], None]] = []
        self._leaving: set[str] = set()
        self._dropped: set[str] = set()
        """Those of them whose backlog is to be dropped."""

    async def start(self) -> None:
        """Start the saved integrations and follow changes; the registry and the delivery service have
        started."""
        self._undo.append(self._tenure.listen(self._moved))
        self._registry.watch("integration", self._changed)
        self._registry.watch("datasource", self._datasource_changed)
        known = self._registry.list("integration")
        # All at once: each waits for the disk before it reads what waits for it.
        for applied in [ensureDeferred(self._apply(resource)) for resource in known]:
            await applied
        for id, count in self._delivery.drop_others({resource.id for resource in known}).items():
            self._recorder.note(
                "orphaned", "integration", id, f"it no longer exists, and {count} messages that waited for it "
                "were dropped", DEFAULT_TENANT, "warning", dropped=count,
            )  # fmt: skip

    def stop(self) -> None:
        """Follow no more what moves from node to node."""
        while self._undo:
            self._undo.pop()()

    def _moved(self, id: str) -> None:
        """An integration is to run here now, or no more."""
        try:
            resource = self._registry.get("integration", id)
        except NotFound:
            return
        if self._undo:
            self._follow(self._apply(resource))

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        if new is not None:
            self._follow(self._apply(new))
        elif old is not None:
            self._follow(self._remove(old))

    def _datasource_changed(self, old: Resource | None, new: Resource | None) -> None:
        """A datasource has another name, and the routes in the registry have it already. Until each integration is changed accordingly, nothing
        may be passed by."""
        if old is None or new is None or old.name == new.name:
            return
        for each in self._registry.list("integration", new.tenant):
            self._delivery.follow(each.id, msgspec.convert(each.body.get("route", {}), RouteSpec))

    def _follow(self, change: Coroutine[Any, Any, None]) -> None:
        ensureDeferred(change).addErrback(
            lambda failure: self._log.failure("a change of an integration could not be applied", failure)
        )

    async def _apply(self, resource: Resource) -> None:
        turn = self._turns.setdefault(resource.id, DeferredLock())
        await turn.acquire()
        try:
            await self._applied(resource)
        except Unavailable as error:
            self._log.warn("integration {name} waits: {reason}", name=resource.name, reason=error)
            self._clock.callLater(AGAIN, self._moved, resource.id)
        finally:
            turn.release()

    async def _applied(self, resource: Resource) -> None:
        spec = msgspec.convert(dict(resource.body, name=resource.name), IntegrationSpec)
        if not await self._tenure.begins(resource, spec):
            return
        if resource.deletion is None:
            await self._delivery.apply(resource.id, resource.name, resource.tenant, spec, is_saved=True)
            return
        ours = not resource.deletion.epoch or self._journal.epochs.knows(resource.deletion.epoch)
        self._delivery.end_at(resource.id, resource.deletion.until if ours else self._journal.head)
        if resource.deletion.backlog == "drop":
            self._dropped.add(resource.id)
        if resource.id not in self._leaving:
            self._leaving.add(resource.id)
            if not self._delivery.runs(resource.id):
                await self._delivery.apply(resource.id, resource.name, resource.tenant, spec, is_saved=True)
            self._follow(self._leave(resource, spec.queue.max_age))

    async def _leave(self, resource: Resource, max_age: float) -> None:
        """Let go of an integration that is marked as being deleted, when nothing waits for it any more: what is to be
        drained has as long for it as messages may wait."""
        id, delivery = resource.id, self._delivery
        until = self._calendar.moment_ms(DateMs(resource.updated_ms)) / 1000 + max_age
        try:
            before, look = delivery.stats(id)["delivered"], LOOK
            while not delivery.is_counted(id) or not (
                delivery.is_at_end(id) or id in self._dropped or self._clock.seconds() >= until
            ):
                await deferLater(self._clock, look, _nothing)
                look = min(LONGEST_LOOK, look * 1.5)
            stats = delivery.stats(id)
        except (NotFound, Unavailable, Conflict):  # the gateway stops, or another node goes on
            self._leaving.discard(id)
            return
        dropped = stats["waiting"] + stats["inflight"]
        left = Left(stats["delivered"] - before, dropped, stats["dead"])
        try:
            await delivery.remove(id)
            await self._departures.finish(resource, left)
        except Unavailable:  # journal or registry were closed meanwhile
            return
        self._leaving.discard(id)
        self._dropped.discard(id)

    async def _remove(self, resource: Resource) -> None:
        self._tenure.gone(resource.id)
        self._turns.pop(resource.id, None)
        await self._delivery.remove(resource.id)


def _nothing() -> None:
    """Only time passes."""
