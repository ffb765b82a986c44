"""What holds for which device: its own settings, those of its type, those of its groups. Keeps the watches of a fleet right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec
from twisted.internet.interfaces import IReactorTime

from iotgw.core.device_entry import GROUP, TYPE, GroupSpec, HealthSpec, TypeSpec
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.devices import TROUBLES, HealthView, IDevices, Trouble, Troubled
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource
from iotgw.core.times import DateMs
from iotgw.devices.roster import Member, Roster
from iotgw.devices.watching import DeviceWatch, Rules, Tell, Watching

RECENT_MS = 10_000
"""Milliseconds for which a message may be on its way through the gateway and count as one of now."""


class FleetHealth:
    """The watches of all devices. ``members(tenant)`` are a tenant's devices; ``tell`` hears what begins and ends to be wrong."""

    def __init__(
        self,
        devices: IDevices,
        registry: IRegistry,
        clock: IReactorTime,
        calendar: ICalendar,
        tell: Tell,
        members: Callable[[str], Iterable[Member]],
    ) -> None:
        self._devices = devices
        self._registry = registry
        self._clock = clock
        self._calendar = calendar
        self._tell = tell
        self._members = members
        self._watching = Watching(clock, calendar.now_ms, self._troubled)
        self._settings: dict[tuple[str, str, str], HealthSpec] = {}
        """Of types and groups, by kind, tenant and name."""

    def start(
        self,
        rosters: Mapping[str, Roster],
        heard: Mapping[tuple[str, str], int],
        troubled: Iterable[Troubled],
    ) -> None:
        """Go on watching where the last process ended; ``heard`` says when each device was heard last (ms)."""
        for kind in (TYPE, GROUP):
            for resource in self._registry.list(kind):
                self._settings[kind, resource.tenant, resource.name] = _settings(resource)
            self._registry.watch(kind, self._changed)
        troubles: dict[tuple[str, str], dict[Trouble, int]] = {}
        for tenant, name, what, since_ms in troubled:
            troubles.setdefault((tenant, name), {})[what] = since_ms
        for tenant, roster in rosters.items():
            for name, member in roster.members.items():
                rules = self._rules(tenant, member)
                if rules is not None and member.watch is None:
                    key = (tenant, name)
                    self._again(tenant, member, rules, heard.get(key, 0), troubles.get(key, {}))
        self._watching.start()

    def now(self) -> tuple[float, int]:
        """The clock's time, and the date (ms) from which on a message counts as one of now: what came before is converted late, or again."""
        return self._clock.seconds(), self._calendar.now_ms() - RECENT_MS

    def heard(self, watch: DeviceWatch, record: TelemetryRecord, now: tuple[float, int]) -> None:
        """A message of a watched device counts, as of when it came."""
        at, recent_ms = now
        if record.received_ms < recent_ms:
            at = min(at, self._calendar.moment_ms(DateMs(record.received_ms)) / 1000)
        self._watching.heard(watch, record.body, at)

    def stop(self) -> None:
        """Look no more."""
        self._watching.stop()

    def _again(
        self, tenant: str, member: Member, rules: Rules, last_ms: int, troubles: dict[Trouble, int]
    ) -> None:
        """Nobody could be heard while the gateway was down: who became due meanwhile has a period from now on."""
        now = self._clock.seconds()
        heard = self._calendar.moment_ms(DateMs(last_ms)) / 1000 if last_ms else now
        if "silent" not in troubles and heard + rules.every <= now:
            heard = now
        watch = member.watch = DeviceWatch(tenant, member.entry.name, rules, heard)
        for what, since_ms in troubles.items():
            watch.set(what, since_ms)
        self._watching.begin(watch)

    def apply(self, tenant: str, member: Member) -> None:
        """A device is new, or what is said of it has changed."""
        rules, watch = self._rules(tenant, member), member.watch
        if rules is None:
            self.forget(member)
        elif watch is None:
            member.watch = DeviceWatch(tenant, member.entry.name, rules, self._clock.seconds())
            self._watching.begin(member.watch)
        elif watch.rules != rules:
            self._watching.change(watch, rules)

    def forget(self, member: Member) -> None:
        """DeviceWatch a device no more."""
        watch, member.watch = member.watch, None
        if watch is not None:
            for what in TROUBLES:
                if watch.since(what):
                    self._devices.trouble(watch.tenant, watch.name, what, 0)
            self._watching.end(watch)

    def in_trouble(self, tenant: str | None) -> dict[Trouble, int]:
        """See `iotgw.core.ports.devices.IFleet.in_trouble`."""
        found = [each for of, each in self._watching.troubled.items() if tenant in (None, of)]
        return {what: sum(len(each[what]) for each in found) for what in TROUBLES}

    def troubled(self, tenant: str, what: Trouble) -> Collection[str]:
        """A tenant's devices that have a trouble."""
        found = self._watching.troubled.get(tenant)
        return found[what] if found is not None else ()

    def _rules(self, tenant: str, member: Member) -> Rules | None:
        spec, settings = member.entry.spec, self._settings
        if not settings:
            return Rules.of((spec,))
        keys = [(TYPE, tenant, member.type), *((GROUP, tenant, group) for group in spec.groups)]
        return Rules.of((spec, *[settings[key] for key in keys if key in settings]))

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        """A type's or a group's settings have: look at the devices that they are about."""
        about = [each for each in (old, new) if each is not None]
        for each in about:
            self._settings.pop((each.kind, each.tenant, each.name), None)
        if new is not None:
            self._settings[new.kind, new.tenant, new.name] = _settings(new)
        for kind, tenant, name in {(each.kind, each.tenant, each.name) for each in about}:
            for member in self._members(tenant):
                if member.type == name if kind == TYPE else name in member.entry.spec.groups:
                    self.apply(tenant, member)

    def _troubled(self, watch: DeviceWatch, what: Trouble, is_wrong: bool, value: float | None) -> None:
        self._devices.trouble(watch.tenant, watch.name, what, watch.since(what))
        self._tell(watch, what, is_wrong, value)


def health_of(watch: DeviceWatch | None) -> HealthView:
    """How a device does; None is one that nobody watches."""
    if watch is None:
        return HealthView("unwatched")
    rules = watch.rules
    return HealthView(
        "troubled" if any(watch.since(what) for what in TROUBLES) else "well",
        rules.every, watch.silent_ms,
        rules.battery.below if rules.battery is not None else None, watch.battery_ms,
        rules.signal.below if rules.signal is not None else None, watch.signal_ms,
    )  # fmt: skip


def _settings(resource: Resource) -> HealthSpec:
    spec: type[HealthSpec] = TypeSpec if resource.kind == TYPE else GroupSpec
    return msgspec.convert({**resource.body, "name": resource.name}, spec)
