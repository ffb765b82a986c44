"""Counts what is used: once a minute, it asks every room what it has counted, and keeps the differences.

So nothing is counted twice on the way of a message. What a device sends is counted here, once for each batch. What was counted since the last
minute is lost when the process is killed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.device_kinds import DeviceFacts
from iotgw.core.model import Outcome, State, StoredUplink
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.tenants import IForgetsTenants
from iotgw.core.ports.usage import (
    Amounts,
    DeviceTally,
    IDeviceMeter,
    IMetered,
    IUsage,
    IUsageStore,
    Tally,
    Thing,
    UsageQuery,
    UsageRow,
)
from iotgw.core.times import SteadyMs

FLUSH = 60.0
"""Seconds between two times that what was counted is kept; also at the end of an hour, so that each hour has its own."""
FRESH = 1.0
"""Seconds for which an answer may be behind: who asks more often has nothing written each time."""
MOST_DEVICES = 100_000
"""Devices that are counted one by one between two times. What others send is counted together, without a name."""
HOUR = 3600.0
FAILED = State.FAILED  # an enum's member is slow to look up
Known = Callable[[str, Sequence[str]], str]
_facts = msgspec.json.Decoder(DeviceFacts).decode


def _names(metadata: bytes) -> tuple[str, ...]:
    """What a message's metadata calls its device."""
    try:
        return _facts(metadata).all_names()
    except msgspec.MsgspecError:  # not what a datasource makes
        return ()


@implementer(IDeviceMeter)
class DeviceMeter:
    """Messages, bytes and errors of each device since they were last taken. ``known(tenant, names)`` tells which device a failed message is of, by what
    its metadata calls it; empty for one that nobody knows, which isn't counted."""

    def __init__(self, most: int = MOST_DEVICES, known: Known = lambda tenant, names: "") -> None:
        self._most = most
        self._known_as = known
        self._counts: dict[str, dict[str, list[int]]] = {}
        """Messages, bytes and errors, by tenant and device."""
        self._known = 0

    def converted(self, tenant: str, uplinks: list[StoredUplink], outcomes: list[Outcome]) -> None:
        """See `IDeviceMeter.converted`."""
        counts = self._counts.setdefault(tenant, {})
        for stored, outcome in zip(uplinks, outcomes, strict=False):
            for output in outcome.outputs:
                count = counts.get(output.device_name)
                if count is None:
                    count = self._count(counts, output.device_name)
                count[0] += 1
                count[1] += len(stored.uplink.payload)
            if outcome.state is FAILED and (name := self._known_as(tenant, _names(stored.uplink.metadata))):
                self._count(counts, name)[2] += 1

    def _count(self, counts: dict[str, list[int]], device: str) -> list[int]:
        """The counts of a device that may be new."""
        if device not in counts:
            self._known += 1
            if self._known > self._most:
                device = ""
        return counts.setdefault(device, [0, 0, 0])

    def take(self) -> list[DeviceTally]:
        """What was counted since the last time."""
        found = [
            DeviceTally(tenant, device, *count)
            for tenant, counts in self._counts.items()
            for device, count in counts.items()
        ]
        self._counts, self._known = {}, 0
        return found

    def put_back(self, tallies: list[DeviceTally]) -> None:
        """What was taken could not be kept: it goes with what comes next."""
        for each in tallies:
            count = self._count(self._counts.setdefault(each.tenant, {}), each.device)
            count[0] += each.messages
            count[1] += each.bytes
            count[2] += each.errors


@implementer(IUsage, IForgetsTenants)
class UsageMeter:
    """An `IUsage` of what ``rooms`` and ``devices`` count, kept in ``store``. Start it when the rooms know what they had counted before."""

    _log = Logger()

    def __init__(
        self,
        store: IUsageStore,
        rooms: Sequence[IMetered],
        devices: DeviceMeter,
        clock: IReactorTime,
        calendar: ICalendar,
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._devices = devices
        self._clock = clock
        self._calendar = calendar
        self._known: dict[Thing, Amounts] = {}
        """What each thing had counted when it was last asked."""
        self._unkept: dict[Thing, Tally] = {}
        """What could not be written."""
        self._next: IDelayedCall | None = None
        self._counted_from = self._devices_from = 0.0
        """When what is counted now began: that tells its hour, and devices' day. Both are kept now and then, devices less often."""
        self._kept_at = self._devices_kept_at = float("-inf")
        self._writing: Deferred[None] | None = None

    def start(self) -> None:
        """Count from now on."""
        self._known = {tally.thing: tally.amounts for room in self._rooms for tally in room.tallies()}
        self._counted_from = self._devices_from = self._clock.seconds()
        self._schedule()

    def stop(self) -> Deferred[None]:
        """Keep what was counted; fires when that is done, or could not be."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        return self._keep()

    def rows(self, query: UsageQuery) -> Deferred[list[UsageRow]]:
        """See `IUsage.rows`. What devices have used is written first only for who asks for it: there may be many of them."""
        of_devices = query.per == "device"
        kept_at = self._devices_kept_at if of_devices else self._kept_at
        is_fresh = self._clock.seconds() - kept_at < FRESH
        kept = succeed(None) if is_fresh else self._keep(of_devices)
        return kept.addCallback(lambda _: self._store.rows(query))

    # --- how ---

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`. What was counted so far is written first, so that it doesn't come again."""
        return self._keep().addCallback(lambda _: self._store.forget_tenant(tenant))

    def _schedule(self) -> None:
        wait = min(FLUSH, HOUR - self._calendar.seconds() % HOUR + 0.001)
        self._next = self._clock.callLater(wait, self._tick)

    def _tick(self) -> None:
        self._schedule()
        self._keep()

    def _keep(self, with_devices: bool = True) -> Deferred[None]:
        """Write what was counted since the last time; one after another. Fires when that is done, or could not be."""
        if self._writing is not None:
            before, after = self._writing, Deferred[None]()
            before.addCallback(lambda _: self._keep(with_devices).chainDeferred(after))
            return after
        began = min(self._counted_from, self._devices_from) if with_devices else self._counted_from
        at_ms = self._calendar.date_ms(SteadyMs(int(began * 1000)))
        now = self._kept_at = self._counted_from = self._clock.seconds()
        things, devices = self._counted(), list[DeviceTally]()
        if with_devices:
            self._devices_kept_at = self._devices_from = now
            devices = self._devices.take()
        if not things and not devices:
            return succeed(None)
        written = self._store.add(at_ms, things, devices, not self._calendar.has_doubts)
        done = self._writing = Deferred()

        def over(result: object) -> None:
            self._writing = None
            if isinstance(result, Failure):
                self._log.warn("usage is kept later: {why}", why=result.getErrorMessage())
                self._unkept = {tally.thing: tally for tally in things}
                self._devices.put_back(devices)
            done.callback(None)

        written.addBoth(over)
        return done

    def _counted(self) -> list[Tally]:
        """What was counted since the last time, with what could not be kept then."""
        known, self._known = self._known, {}
        found, self._unkept = self._unkept, {}
        for room in self._rooms:
            for tally in room.tallies():
                self._known[tally.thing] = tally.amounts
                used = tally.amounts.since(known.get(tally.thing, NOTHING))
                if used != NOTHING:
                    before = found.get(tally.thing)
                    total = used if before is None else before.amounts.plus(used)
                    found[tally.thing] = Tally(tally.thing, tally.name, total)
        return [*found.values()]


NOTHING = Amounts()
