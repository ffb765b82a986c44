"""Runs jobs: each is a resource in the registry, which says how far it is. It runs on the node on which it was begun, and a start of that goes on with
those that were under way; while that node is dead, the one that has adopted its partition does. What has to be done in each partition
(`IJobKind.is_of_partition`) has a part for each other node (`iotgw.jobs.parts`)."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.errors import IotgwError, NotFound, TooMany
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.jobs import IJobKind, IJobs, JobState, JobView
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource
from iotgw.jobs.parts import whole
from iotgw.jobs.run import KIND, JobEnded, JobRun, view_of

CANCEL = "job-cancel"
"""Of those that have a job end which runs on another node; each is called as the job's id."""
PATIENCE, LOOKS = 5.0, 0.2
"""Seconds that whoever cancels a job waits for other nodes, and between two looks."""
WAITING = 20
"""Jobs of a tenant that wait for their date."""
LOOK = 30.0
"""Seconds after which it is looked at the latest whether a date has come: the machine's clock may have been set."""
KEPT = 50
"""Jobs of a tenant that are over and still listed."""


@implementer(IJobs)
class JobService:
    """An `IJobs`. Start it when its kinds can do their work. ``node`` is the name of this node, of several, and ``others`` are those of the others.

    Many methods: those of the port, and a job's way from waiting over running to its end.
    """

    _log = Logger()

    def __init__(
        self, registry: IRegistry, kinds: Iterable[IJobKind], clock: IReactorTime, dates: IDates, node: Callable[[], str] = str,
        others: Callable[[], builtins.list[str]] = builtins.list,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._kinds = {kind.name: kind for kind in kinds}
        self._clock = clock
        self._dates = dates
        self._node = node
        self._others = others
        self._adopted: dict[str, dict[str, IJobKind]] = {}
        """What does the work of dead nodes: their kinds, by the nodes' names."""
        self._running: dict[str, JobRun] = {}
        self._look: IDelayedCall | None = None
        self._is_open = False

    def start(self) -> None:
        """Go on with what was under way, and begin what waits for a date when that comes."""
        if self._node():  # there may be others
            self._registry.watch(KIND, self._told)
            self._registry.watch(CANCEL, self._told_to_end)
        self._is_open = True
        self._go_on()

    def stop(self) -> Deferred[Any]:
        """End what is under way, so that the next start goes on with it. Fires when all has."""
        if self._is_open and self._node():
            self._registry.unwatch(KIND, self._told)
            self._registry.unwatch(CANCEL, self._told_to_end)
        self._is_open = False
        if self._look is not None and self._look.active():
            self._look.cancel()
        for run in self._running.values():
            run.is_stopping = True
        return DeferredList([self._over(run) for run in self._running.values()])

    def adopt(self, home: str, kinds: Iterable[IJobKind]) -> Callable[[], Deferred[Any]]:
        """Do the work of a dead node: ``kinds`` are those that work in its partition. Returns what ends that, and fires when it has ended."""
        self._adopted[home] = {**self._kinds, **{kind.name: kind for kind in kinds}}
        self._go_on()

        def end() -> Deferred[Any]:
            self._adopted.pop(home, None)
            runs = [run for run in self._running.values() if run.body.get("node") == home]
            for run in runs:
                run.is_stopping = True
            return DeferredList([self._over(run) for run in runs])

        return end

    def _go_on(self) -> None:
        """Run what is under way here, and not yet run."""
        for resource in self._registry.list(KIND) if self._is_open else ():
            self._told(None, resource)
        self._begin_due()

    def _told(self, old: Resource | None, new: Resource | None) -> None:
        """Something has become of a job, maybe on another node."""
        if new is not None and self._is_mine(new) and new.id not in self._running:
            if new.body["state"] == "running":
                self._run(new)
            elif new.body["state"] == "waiting" and new.body.get("of"):
                self._begin_due()

    def _told_to_end(self, old: Resource | None, new: Resource | None) -> None:
        if new is not None and (run := self._running.get(new.name)) is not None:
            run.is_cancelled = True

    # --- IJobs ---

    async def _begin(self, kind: str, tenant: str, what: dict[str, Any], by: str, starts_at: int) -> JobView:
        now_ms = self._now_ms()
        waits = starts_at > now_ms
        if not waits and not self._has_room(tenant, kind):
            most = self._most(kind)
            raise TooMany(
                f"expected at most {most} {kind} jobs of a tenant at a time; wait for one, or cancel it"
            )
        if waits and len(self._waiting(tenant)) >= WAITING:
            raise TooMany(f"expected at most {WAITING} jobs of a tenant that wait for their date; cancel one")
        state: JobState = "waiting" if waits else "running"
        view = JobView("", kind, state, what, None, 0, {}, {}, {}, now_ms, 0, "", by, starts_at)
        body = {**msgspec.to_builtins(view), "cursor": 0, "node": self._node()}
        name = f"{now_ms}-{secrets.token_hex(4)}"
        resource = await self._registry.create(KIND, tenant, name, body)
        if kind in self._kinds and self._kinds[kind].is_of_partition:
            for node in self._others():
                part = {**body, "node": node, "of": resource.id}
                await self._registry.create(KIND, tenant, f"{name}-{node}", part)
        await self._forget_old(tenant)
        self._told(None, resource)
        self._begin_due()
        return self.get(tenant, resource.id)

    def begin(
        self, kind: str, tenant: str, what: dict[str, Any], by: str, starts_at: int = 0
    ) -> Deferred[JobView]:
        """See `IJobs.begin`."""
        return Deferred.fromCoroutine(self._begin(kind, tenant, what, by, starts_at))

    def list(self, tenant: str) -> builtins.list[JobView]:
        """See `IJobs.list`."""
        found = self._registry.list(KIND, tenant)
        parts: dict[str, builtins.list[JobView]] = {}
        for each in found:
            if each.body.get("of"):
                parts.setdefault(each.body["of"], []).append(self._view(each))
        views = [whole(self._view(each), parts.get(each.id, [])) for each in found if not each.body.get("of")]
        return sorted(views, key=lambda view: (-view.created_at, view.id))

    def get(self, tenant: str, id: str) -> JobView:
        """See `IJobs.get`."""
        resource = self._registry.get(KIND, id, tenant)
        return whole(self._view(resource), [self._view(part) for part in self._parts(resource)])

    def _parts(self, resource: Resource) -> builtins.list[Resource]:
        """What other nodes do of a job."""
        kind = self._kinds.get(resource.body["kind"])
        if kind is None or not kind.is_of_partition:
            return []
        return [
            each for each in self._registry.list(KIND, resource.tenant) if each.body.get("of") == resource.id
        ]

    def cancel(self, tenant: str, id: str) -> Deferred[JobView]:
        """See `IJobs.cancel`."""
        return Deferred.fromCoroutine(self._cancel(tenant, id))

    async def _cancel(self, tenant: str, id: str) -> JobView:
        resource = self._registry.get(KIND, id, tenant)
        for each in (resource, *self._parts(resource)):
            await self._end(each)
        until = self._clock.seconds() + PATIENCE
        while (view := self.get(tenant, resource.id)).state == "running" and self._clock.seconds() < until:
            await deferLater(self._clock, LOOKS, lambda: None)
        return view

    async def _end(self, resource: Resource) -> None:
        """Have a job end, or a part of one, wherever it runs."""
        run = self._running.get(resource.id)
        if run is not None:
            run.is_cancelled = True
            await self._over(run)
        elif resource.body["state"] == "waiting":
            ended = {**resource.body, "state": "cancelled", "endedAt": self._now_ms()}
            await self._registry.replace(KIND, resource.id, ended)
        elif resource.body["state"] == "running" and not self._is_told_to_end(resource):
            await self._registry.create(CANCEL, resource.tenant, resource.id, {})

    def _is_told_to_end(self, resource: Resource) -> bool:
        return any(each.name == resource.id for each in self._registry.list(CANCEL, resource.tenant))

    # --- waiting ---

    def _waiting(self, tenant: str | None = None) -> builtins.list[Resource]:
        """Those that wait for their date, the next one first."""
        found = [each for each in self._registry.list(KIND, tenant) if each.body["state"] == "waiting"]
        return sorted(found, key=lambda each: (each.body["startsAt"], each.id))

    def _is_mine(self, resource: Resource) -> bool:
        """Whether a job runs here; one from before nodes had names does."""
        return resource.body.get("node", "") in ("", self._node(), *self._adopted)

    def _most(self, kind: str) -> int:
        """How many jobs of a kind a tenant may have under way."""
        return self._kinds[kind].at_a_time if kind in self._kinds else 1

    def _has_room(self, tenant: str, kind: str) -> bool:
        alike = [run for run in self._running.values() if (run.tenant, run.body["kind"]) == (tenant, kind)]
        return len(alike) < self._most(kind)

    def _begin_due(self) -> None:
        """Begin those whose date has come and whose tenant has room, and look again in time."""
        if not self._is_open:
            return
        now_ms, wait = self._now_ms(), None
        for resource in filter(self._is_mine, self._waiting()):
            left = (resource.body["startsAt"] - now_ms) / 1000
            if left > 0:
                wait = min(LOOK, left)
                break
            has_room = bool(resource.body.get("of")) or self._has_room(resource.tenant, resource.body["kind"])
            if resource.id not in self._running and has_room:
                begun = {**resource.body, "state": "running"}
                run = self._run(replace(resource, body=begun))
                run.save().addErrback(lambda failure: self._log.failure("a job could not be stored", failure))
        if self._look is not None and self._look.active():
            self._look.cancel()
        self._look = self._clock.callLater(wait, self._begin_due) if wait is not None else None

    def _now_ms(self) -> int:
        return int(self._dates.seconds() * 1000)

    # --- running ---

    def _view(self, resource: Resource) -> JobView:
        run = self._running.get(resource.id)
        return run.view if run is not None else view_of(resource.id, resource.body)

    def _over(self, run: JobRun) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        run.over.addCallback(done.callback)
        return done

    def _run(self, resource: Resource) -> JobRun:
        run = self._running[resource.id] = JobRun(resource, self._registry, self._clock)
        run.is_cancelled = self._is_told_to_end(resource)
        kind = self._adopted.get(run.body.get("node", ""), self._kinds).get(run.body["kind"])
        if kind is None:
            work: Deferred[None] = maybeDeferred(self._unknown, run.body["kind"])
        else:
            work = maybeDeferred(kind.run, run)
        work.addBoth(self._worked, run).addErrback(
            lambda failure: self._log.failure("the end of a job could not be stored", failure)
        ).addBoth(self._let_go, run)
        return run

    def _unknown(self, kind: str) -> None:
        raise NotFound(f"expected a kind of job that this version knows, got {kind!r}")

    def _worked(self, result: object, run: JobRun) -> Deferred[Any]:
        state: JobState = "done"
        if isinstance(result, Failure):
            if result.check(JobEnded):
                if not run.is_cancelled:
                    return run.save()
                state = "cancelled"
            else:
                state, run.body["problem"] = "failed", result.getErrorMessage()
                if not result.check(IotgwError):
                    self._log.failure("a job failed", result)
        run.body |= {"state": state, "endedAt": self._now_ms()}
        return run.save().addCallback(lambda _: self._forget_wish(run))

    async def _forget(self, run: JobRun) -> None:
        for each in self._registry.list(CANCEL, run.tenant):
            if each.name == run.id:
                await self._registry.delete(CANCEL, each.id)

    def _forget_wish(self, run: JobRun) -> Deferred[None]:
        return Deferred.fromCoroutine(self._forget(run))

    def _let_go(self, _: object, run: JobRun) -> None:
        self._running.pop(run.id, None)
        run.over.callback(None)
        self._begin_due()

    async def _forget_old(self, tenant: str) -> None:
        over = [view for view in self.list(tenant) if view.state not in ("running", "waiting")]
        for view in over[KEPT:]:
            for part in self._parts(self._registry.get(KIND, view.id, tenant)):
                await self._registry.delete(KIND, part.id)
            await self._registry.delete(KIND, view.id)
            if view.kind in self._kinds:
                self._kinds[view.kind].forget(view.id)
