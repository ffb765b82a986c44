"""Updates what runs on a device, or on all of a group: each goes its own way, over days if it sleeps, and over restarts."""

from __future__ import annotations

import builtins
from collections import Counter
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from iotgw.core.errors import Conflict, IotgwError, NotFound
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.devices import DeviceFilter, IFleet
from iotgw.core.ports.firmware import (
    IDeviceUpdate,
    IFirmwareJobs,
    Image,
    IUpdatesDevices,
    Method,
    Target,
    UpdateOrder,
    UpdateState,
)
from iotgw.core.ports.jobs import IJobKind, IJobRun
from iotgw.core.ports.kept import IKept
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.stored_files import IStoredFiles

MOST = 10_000
"""Devices of one job."""
LOOK = 1.0
"""Seconds between two looks at how far they are."""
AWAY = "it is not registered"
Tell = Callable[[str, str, str, UpdateState], None]
"""``tell(tenant, job, file, state)``: an update is over."""


class FirmwareWhat(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Which devices get which file, and how. ``within`` are seconds from the job's beginning."""

    file: str
    name: str
    device: str = ""
    group: str = ""
    method: Method = "auto"
    target: Target = "firmware"
    instance: Annotated[int, Meta(ge=0, le=65534)] = 0
    retries: int = 3
    within: float = 7 * 86_400.0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(UpdateState).decode


@implementer(IJobKind, IFirmwareJobs)
class FirmwareJobs:
    """The kind ``firmware``. Its figures are how many devices it is about; it counts those that are ``updated``, ``failed`` and
    ``cancelled``."""

    name = "firmware"
    at_a_time = 20
    is_of_partition = False

    def __init__(
        self,
        registry: IRegistry,
        pipeline: IPipeline,
        files: IStoredFiles,
        fleet: IFleet,
        kept: IKept,
        clock: IReactorTime,
        calendar: ICalendar,
        tell: Tell,
    ) -> None:
        self.registry = registry
        self.pipeline = pipeline
        self.files = files
        self.fleet = fleet
        self.kept = kept
        self.clock = clock
        self.calendar = calendar
        self.tell = tell
        self._running: dict[str, _Rollout] = {}

    def run(self, job: IJobRun) -> Deferred[None]:
        """See `IJobKind.run`. How far each device is stands in rows under the job's id."""
        return Deferred.fromCoroutine(self._run(job))

    def forget(self, id: str) -> None:
        """See `IJobKind.forget`."""
        self.kept.drop(id).addErrback(lambda failure: None)  # rows of nobody cost a little room

    def devices(self, tenant: str, job: str) -> Deferred[builtins.list[UpdateState]]:
        """See `IFirmwareJobs.devices`."""
        return Deferred.fromCoroutine(self._devices(tenant, job))

    async def _run(self, job: IJobRun) -> None:
        wanted = msgspec.convert(job.what, FirmwareWhat)
        rollout = _Rollout(self, job, wanted)
        await rollout.load()
        self._running[job.id] = rollout
        try:
            await rollout.run()
        finally:
            del self._running[job.id]

    async def _devices(self, tenant: str, job: str) -> builtins.list[UpdateState]:
        resource = self.registry.get("job", job, tenant)
        rollout = self._running.get(resource.id)
        if rollout is not None:
            return [rollout.states[name] for name in sorted(rollout.states)]
        rows = await self.kept.rows(resource.id)
        return [_decode(rows[name]) for name in sorted(rows)]

    def datasources(self, tenant: str) -> builtins.list[IUpdatesDevices]:
        """The open datasources of a tenant that can update devices."""
        running = (self.pipeline.datasource(each.id) for each in self.registry.list("datasource", tenant))
        return [each for each in running if each is not None and IUpdatesDevices.providedBy(each)]


class _Rollout:
    """A job under way: its devices' states, and their updates as far as somebody works at them."""

    def __init__(self, kind: FirmwareJobs, job: IJobRun, wanted: FirmwareWhat) -> None:
        self._kind = kind
        self._job = job
        self._wanted = wanted
        self._order: UpdateOrder
        self.states: dict[str, UpdateState] = {}
        self._open: dict[str, IDeviceUpdate | None] = {}
        self._unsaved: set[str] = set()
        self._over: Counter[str] = Counter()

    async def load(self) -> None:
        """Find its image, and how far its devices are. Raises IotgwError."""
        kind, job, wanted = self._kind, self._job, self._wanted
        file = kind.files.get(job.tenant, wanted.file)
        image = Image(wanted.name, kind.files.path(file), file.size, file.sha256)
        self._order = UpdateOrder(
            job.id, image, wanted.method, wanted.target, wanted.instance, wanted.retries
        )
        rows = await kind.kept.rows(job.id)
        self.states = {name: _decode(row) for name, row in rows.items()}
        if not self.states:
            self.states = {name: UpdateState(name) for name in self._chosen()}
            self._unsaved = set(self.states)
            await self._save()
        self._open = {name: None for name, state in self.states.items() if not state.is_over}

    def _chosen(self) -> list[str]:
        wanted, tenant = self._wanted, self._job.tenant
        if not wanted.group:
            return [wanted.device]
        names = self._kind.fleet.names(tenant, DeviceFilter(group=wanted.group), "", MOST + 1)
        if not names:
            raise NotFound(f"group {wanted.group!r} has no devices")
        if len(names) > MOST:
            raise IotgwError(f"expected a group of at most {MOST} devices")
        return names

    async def run(self) -> None:
        """Go on until nothing is open, or the job has to end."""
        job = self._job
        job.expect(len(self._open), {"devices": len(self.states)})
        try:
            while True:
                self._tick()
                await self._save()
                counts, self._over = self._over, Counter()
                await job.went(0, **counts)
                if not self._open and not self._over:
                    break
                await deferLater(self._kind.clock, LOOK, lambda: None)
        except BaseException:
            await self._stop()
            raise
        job.ended({"devices": len(self.states)})

    async def _stop(self) -> None:
        """The job is cancelled, or the gateway stops; then another process goes on."""
        for name, update in [*self._open.items()]:
            if not self._job.is_cancelled:
                if update is not None:
                    update.leave()
            elif update is not None:
                update.cancel()
            else:
                self._changed(replace(self.states[name], phase="cancelled", link=""))
        await self._save()
        if self._over:
            self._job.went(0, **self._over).addErrback(lambda failure: None)

    # --- the devices

    def _tick(self) -> None:
        """Have each device that nobody works at be worked at, if it is there."""
        kind = self._kind
        began_ms = kind.calendar.moment_ms(self._job.created_ms)
        if kind.clock.seconds() * 1000 > began_ms + self._wanted.within * 1000:
            self._give_up()
        datasources = kind.datasources(self._job.tenant)
        for name, update in [*self._open.items()]:
            if update is not None and not update.is_closed:
                continue
            there = next((each for each in datasources if each.has(name)), None)
            if there is None:
                self._waits(name, AWAY)
                continue
            try:
                begun = there.update(self._order, self.states[name], self._changed)
            except Conflict as error:
                self._waits(name, str(error))
                continue
            if name in self._open:
                self._open[name] = begun

    def _waits(self, name: str, reason: str) -> None:
        if self.states[name].reason != reason:
            self._changed(replace(self.states[name], reason=reason))

    def _give_up(self) -> None:
        for name, update in [*self._open.items()]:
            if update is not None and not update.is_closed:
                update.leave()
            state = self.states[name]
            reason = f"not done within {self._wanted.within:g} s"
            reason += f": {state.reason}" if state.reason else ""
            self._changed(replace(state, phase="failed", reason=reason, link=""))

    def _changed(self, state: UpdateState) -> None:
        before = self.states[state.device]
        self.states[state.device] = state
        if replace(before, sent=0) != replace(state, sent=0):
            self._unsaved.add(state.device)
        if state.is_over and self._open.pop(state.device, self) is not self:
            self._over[state.phase] += 1
            self._kind.tell(self._job.tenant, self._job.id, self._wanted.name, state)

    async def _save(self) -> None:
        names, self._unsaved = self._unsaved, set()
        if names:
            try:
                await self._kind.kept.save(self._job.id, {name: _encode(self.states[name]) for name in names})
            except Exception:  # a disk without room: what a restart doesn't know is done again
                self._unsaved |= names
