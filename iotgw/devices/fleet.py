"""The devices as operators know them: in memory to be found, written through to where it lasts, and watched. A message costs one look
into a dict here.

A device that sends something and has no entry gets one. Such entries are written behind, some at a time: if the process ends before, the
device's next message makes it again. What an operator saves is written before he is told so.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterable, Sequence

from twisted.internet.defer import DeferredLock, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.device_entry import TYPE, DeviceEntry, DeviceSpec
from iotgw.core.errors import Conflict, IotgwError, NotFound
from iotgw.core.model import Kind, Outcome, TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.devices import (
    DeviceFilter,
    HealthView,
    IDeviceEntries,
    IDevices,
    IFleet,
    IOwnConverters,
    Saved,
    Seen,
    Trouble,
)
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.speakers import IOwners
from iotgw.core.quotas import Quotas
from iotgw.devices.health import FleetHealth, health_of
from iotgw.devices.room import within
from iotgw.devices.roster import Member, Roster, with_types
from iotgw.devices.watching import Tell

FLUSH = 1.0
"""Seconds after which devices that were created by their messages are written."""
MOST = 250_000
"""Devices of a tenant that are created by their messages. Further ones get no entry: made-up names can't fill the memory."""
LEARNED = "fleet-learned"
"""Kind of a mark in the registry: the devices that were known before there were entries have got theirs."""
_NOBODY = Roster()


@implementer(IFleet, IOwnConverters)
class Fleet(UplinkListener):
    """An `IFleet`. ``tell`` hears of silent devices, empty batteries and weak signals, and of their end.

    Many methods: those of the port, and one for each way in which a device comes, changes and goes.
    """

    _log = Logger()

    def __init__(
        self,
        entries: IDeviceEntries,
        devices: IDevices,
        owners: IOwners,
        registry: IRegistry,
        clock: IReactorTime,
        calendar: ICalendar,
        tell: Tell,
        most: int = MOST,
    ) -> None:
        self._entries = entries
        self._devices = devices
        self._owners = owners
        self._registry = registry
        self._quotas = Quotas(registry)
        self._calendar = calendar
        self.most = most
        self._rosters: dict[str, Roster] = {}
        self._made: dict[str, int] = {}
        """How many devices of a tenant were created by their messages."""
        self._unwritten: dict[tuple[str, str], DeviceEntry] = {}
        self._missed: dict[tuple[str, str], Seen] | None = {}
        """What was learned before the start; None since then."""
        self._changes = DeferredLock()
        self._watchers: builtins.list[Callable[[str, str, bool], None]] = []
        self._converter_watchers: builtins.list[Callable[[str], None]] = []
        self._health = FleetHealth(devices, registry, clock, calendar, tell, self._members)
        self._tick = LoopingCall(self._flush)
        self._tick.clock = clock

    # --- start and stop ---

    async def start(self) -> None:
        """Load what is stored, and go on watching. The registry, the devices' states and the owners have started."""
        self._entries.watch(lambda saved, gone: ensureDeferred(self._follow(saved, gone)))
        loading = self._entries.load()  # in another thread than the states
        seen = {(tenant, name): (type_, at_ms) for tenant, name, type_, at_ms in await self._devices.seen()}
        by_tenant: dict[str, builtins.list[DeviceEntry]] = {}
        for entry in await loading:
            by_tenant.setdefault(entry.tenant, []).append(entry)
        for tenant, entries in by_tenant.items():
            self._roster(tenant).load(with_types(entries, seen))
        if not self._registry.list(LEARNED):
            self._learn([(*key, *of) for key, of in seen.items()])
            await self._write_made()
            await self._registry.create(LEARNED, "", LEARNED, {})
        missed, self._missed = self._missed or {}, None
        self._learn([*missed.values()])
        heard = {key: last_ms for key, (_, last_ms) in seen.items()}
        self._health.start(self._rosters, heard, await self._devices.troubles())
        self._tick.start(FLUSH, now=False)

    def rest(self) -> None:
        """Look no more for silent devices: the gateway stops."""
        self._health.stop()

    async def stop(self) -> None:
        """Write what waits. Nothing sends any more."""
        if self._tick.running:
            self._tick.stop()
        try:
            await self._write_made()
        except IotgwError as error:
            self._log.warn("new devices could not be written: {error}", error=error)

    # --- what the pipeline says ---

    def settled(self, outcomes: builtins.list[Outcome], records: builtins.list[TelemetryRecord]) -> None:
        """See `UplinkListener.settled`."""
        rosters, now = self._rosters, self._health.now()
        for record in records:
            roster = rosters.get(record.tenant)
            member = roster.members.get(record.device_name) if roster is not None else None
            if member is None:
                if record.kind is Kind.TELEMETRY:
                    self._learn([(record.tenant, record.device_name, record.device_type, record.received_ms)])
            elif record.kind is Kind.TELEMETRY:
                if member.seen_type != record.device_type:
                    self._retype(record.tenant, member, record.device_type)
                if member.watch is not None:
                    self._health.heard(member.watch, record, now)

    def learn(self, records: Sequence[TelemetryRecord]) -> None:
        """Records that may not have counted before the process ended."""
        for each in records:
            if each.kind is Kind.TELEMETRY:
                seen = each.tenant, each.device_name, each.device_type, each.received_ms
                if self._missed is None:
                    self._learn([seen])
                else:
                    self._missed[seen[:2]] = seen

    def _learn(self, seen: Sequence[Seen]) -> None:
        """Create the devices that have no entry."""
        now_ms = self._calendar.now_ms()
        for tenant, name, type_, _ in seen:
            roster = self._roster(tenant)
            made = self._made.get(tenant, 0)
            if name in roster.members or made >= self.most:
                continue
            if self.room(tenant) == 0:
                continue
            self._made[tenant] = made + 1
            if made + 1 == self.most:
                self._log.warn(
                    "{most} devices of {tenant} were created by messages; further ones are not",
                    most=made + 1,
                    tenant=tenant,
                )
            try:
                spec = DeviceSpec(name=name)
            except ValueError:  # a converter may call a device what nobody can ask for
                continue
            entry = self._unwritten[tenant, name] = DeviceEntry(tenant, spec, 1, now_ms, now_ms)
            self._put(entry, type_)

    def _retype(self, tenant: str, member: Member, type_: str) -> None:
        self._roster(tenant).retype(member, type_)
        self._health.apply(tenant, member)

    def _flush(self) -> None:
        if self._unwritten and not self._changes.locked:
            ensureDeferred(self._write_made()).addErrback(self._not_written)

    def _not_written(self, failure: Failure) -> None:
        self._log.warn("new devices could not be written yet: {error}", error=failure.getErrorMessage())

    async def _write_made(self) -> None:
        await self._changes.acquire()
        try:
            waiting = dict(self._unwritten)
            if waiting:
                await self._entries.write([*waiting.values()], is_made=True)
            for key, entry in waiting.items():
                if self._unwritten.get(key) is entry:
                    del self._unwritten[key]
        finally:
            self._changes.release()

    # --- reading ---

    def get(self, tenant: str, name: str) -> DeviceEntry | None:
        """See `IFleet.get`."""
        member = self._of(tenant).members.get(name)
        return member.entry if member is not None else None

    def is_known(self, tenant: str, name: str) -> bool:
        """See `IFleet.is_known`."""
        roster = self._of(tenant)
        return name in roster.members or bool(roster.behind(name))

    def called(self, tenant: str, names: Sequence[str]) -> str:
        """See `IFleet.called`."""
        return self._of(tenant).called(names)

    def alike(self, tenant: str, name: str) -> str:
        """See `IFleet.alike`."""
        return self._of(tenant).alike(name)

    def names(self, tenant: str, wanted: DeviceFilter, after: str, limit: int) -> builtins.list[str]:
        """See `IFleet.names`."""
        return self._of(tenant).find(
            wanted, after, limit, lambda datasource: self._owners.owned(tenant, datasource),
            lambda what: self._health.troubled(tenant, what),
        )  # fmt: skip

    def type_of(self, tenant: str, name: str) -> str:
        """See `IFleet.type_of`."""
        member = self._of(tenant).members.get(name)
        return member.type if member is not None else ""

    def health(self, tenant: str, name: str) -> HealthView:
        """See `IFleet.health`."""
        member = self._of(tenant).members.get(name)
        return health_of(member.watch if member is not None else None)

    def in_trouble(self, tenant: str | None) -> dict[Trouble, int]:
        """See `IFleet.in_trouble`."""
        return self._health.in_trouble(tenant)

    def count(self, tenant: str | None, kind: str = "", name: str = "") -> int:
        """See `IFleet.count`."""
        rosters = [each for of, each in self._rosters.items() if tenant in (None, of)]
        if kind:
            return sum(len((each.types if kind == TYPE else each.groups).get(name, ())) for each in rosters)
        return sum(len(each.members) for each in rosters)

    def groups(self, tenant: str) -> dict[str, int]:
        """See `IFleet.groups`."""
        return {group: len(names) for group, names in sorted(self._of(tenant).groups.items())}

    def own_converters(self, tenant: str) -> Collection[str]:
        """See `IOwnConverters.own_converters`."""
        return self._of(tenant).own_converters.names

    def own_converter(self, tenant: str, names: Iterable[str]) -> str:
        """See `IOwnConverters.own_converter`."""
        own = self._of(tenant).own_converters
        return next((found for name in names if (found := own.find(name))), "")

    def watch_own_converters(self, callback: Callable[[str], None]) -> None:
        """See `IOwnConverters.watch_own_converters`."""
        self._converter_watchers.append(callback)

    def watch(self, callback: Callable[[str, str, bool], None]) -> None:
        """See `IFleet.watch`."""
        self._watchers.append(callback)

    # --- what operators change ---

    async def save(
        self, tenant: str, spec: DeviceSpec, revision: int | None = None, is_new: bool = False
    ) -> DeviceEntry:
        """See `IFleet.save`."""
        await self._changes.acquire()
        try:
            known = self.get(tenant, spec.name)
            old = self._expect(tenant, spec.name, revision) if revision is not None else known
            if is_new and old is not None:
                raise Conflict(f"there is already a device {spec.name!r}")
            if old is None:
                self._quotas.expect_room(tenant, "device", len(self._of(tenant).members))
            entry = self._new(tenant, spec, old)
            await self._entries.write([entry])
            self._stored([entry])
            return entry
        finally:
            self._changes.release()

    async def save_all(
        self, tenant: str, specs: Sequence[DeviceSpec], is_dry: bool = False
    ) -> builtins.list[Saved]:
        """See `IFleet.save_all`."""
        await self._changes.acquire()
        try:
            found = within([self._judged(tenant, spec) for spec in specs], self.room(tenant))
            new = [each.entry for each in found if each.entry is not None and each.outcome != "unchanged"]
            if new and not is_dry:
                await self._entries.write(new)
                self._stored(new)
            return found
        finally:
            self._changes.release()

    def room(self, tenant: str) -> int | None:
        """See `IFleet.room`."""
        return self._quotas.room(tenant, "device", len(self._of(tenant).members))

    def _judged(self, tenant: str, spec: DeviceSpec) -> Saved:
        old = self.get(tenant, spec.name)
        if old is not None and old.spec == spec:
            return Saved(old, "unchanged")
        if old is None and (other := self._of(tenant).alike_eui(spec.name)):
            return Saved(None, "refused", f"name: device {other!r} has the same EUI in another spelling")
        return Saved(self._new(tenant, spec, old), "created" if old is None else "changed")

    async def delete(self, tenant: str, name: str, revision: int | None = None) -> DeviceEntry:
        """See `IFleet.delete`."""
        await self._changes.acquire()
        try:
            entry = self._expect(tenant, name, revision)
            await self._entries.write([], [(tenant, name)])
            self._drop(tenant, name)
        finally:
            self._changes.release()
        await self._devices.forget(tenant, name)
        return entry

    async def _follow(self, saved: Sequence[DeviceEntry], gone: Sequence[tuple[str, str]]) -> None:
        """Other nodes have saved these, and deleted those."""
        await self._changes.acquire()
        try:
            self._stored([each for each in saved if self.get(each.tenant, each.name) != each])
            for key in gone:
                self._drop(*key)
        finally:
            self._changes.release()

    def _drop(self, tenant: str, name: str) -> None:
        self._unwritten.pop((tenant, name), None)
        member = self._roster(tenant).remove(name)
        if member is not None:
            self._health.forget(member)
            self._say(tenant, name, False)
            self._say_converter(tenant, member.entry.spec.converter)

    def _expect(self, tenant: str, name: str, revision: int | None) -> DeviceEntry:
        found = self.get(tenant, name)
        if found is None:
            raise NotFound(f"there is no device {name!r}")
        if revision is not None and revision != found.revision:
            raise Conflict(f"device {name!r}: expected revision {found.revision}, got {revision}")
        return found

    def _new(self, tenant: str, spec: DeviceSpec, old: DeviceEntry | None) -> DeviceEntry:
        now_ms = self._calendar.now_ms()
        if old is None:
            return DeviceEntry(tenant, spec, 1, now_ms, now_ms)
        return DeviceEntry(tenant, spec, old.revision + 1, old.created_ms, now_ms)

    def _stored(self, entries: Sequence[DeviceEntry]) -> None:
        for entry in entries:
            self._unwritten.pop((entry.tenant, entry.name), None)
            self._put(entry)

    # --- in memory ---

    def _members(self, tenant: str) -> Iterable[Member]:
        return self._of(tenant).members.values()

    def _of(self, tenant: str) -> Roster:
        return self._rosters.get(tenant, _NOBODY)

    def _roster(self, tenant: str) -> Roster:
        found = self._rosters.get(tenant)
        if found is None:
            found = self._rosters[tenant] = Roster()
        return found

    def _put(self, entry: DeviceEntry, seen_type: str = "") -> None:
        roster = self._roster(entry.tenant)
        is_new = entry.name not in roster.members
        before = DeviceSpec(name=entry.name) if is_new else roster.members[entry.name].entry.spec
        member = roster.put(entry, seen_type)
        if before.converter != entry.spec.converter:
            self._say_converter(entry.tenant, before.converter or entry.spec.converter)
        self._health.apply(entry.tenant, member)
        if is_new or before.identity != entry.spec.identity:
            self._say(entry.tenant, entry.name, True)

    def _say(self, tenant: str, name: str, is_there: bool) -> None:
        for callback in tuple(self._watchers):
            callback(tenant, name, is_there)

    def _say_converter(self, tenant: str, converter: str) -> None:
        for callback in tuple(self._converter_watchers) if converter else ():
            callback(tenant)
