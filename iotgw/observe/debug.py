"""Keeps everything of a datasource, converter, integration or device for a while, and of all others what failed.

While nothing is on, a batch costs one look at its errors, and a request to a target one look at a dict.
"""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.allowance import Allowance
from iotgw.core.epochs import Epochs
from iotgw.core.errors import IotgwError, NotFound, TooMany
from iotgw.core.model import Conversion, Job, TelemetryRecord
from iotgw.core.parts import Part
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.debug import (
    DebugEntry,
    DebugKind,
    DebugSwitch,
    IDebug,
    IDebugging,
    IDebugStore,
    Picked,
)
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Resource
from iotgw.observe.debug_entries import conversion_entry, delivery_entry

KIND = "debugging"
"""Of the resources in the registry by which nodes tell each other what is on; each is called as its switch's id."""
MOST = 20
"""Things of a tenant that are on at a time."""
FAILURES = 20
"""Failures of one version of a converter that are kept in a minute, while nobody debugs it."""
Key = tuple[DebugKind, str, str]
"""Kind, tenant, and a thing's id or a device's name."""


class _Sender(Struct):
    """What a message's metadata says of its sender."""

    identity: str = ""


_sender = msgspec.json.Decoder(_Sender, strict=False).decode


class _On:
    """A switch that is on, what ends it in time, and how many messages it has seen."""

    __slots__ = ("ends", "seen", "switch")

    def __init__(self, switch: DebugSwitch, ends: IDelayedCall) -> None:
        self.switch = switch
        self.ends = ends
        self.seen = 0


@implementer(IDebug, IDebugging)
class DebugLog:
    """An `IDebug` and `IDebugging` that keeps what it is told in ``store``. ``epochs`` names the messages. What is on ends with the process; with a ``registry``, which
    several nodes share, it is on on all of them, and outlasts each. Messages are counted by each node, and the first that has enough ends it.

    Many methods: those of both ports, and what other nodes switch on and off."""

    _log = Logger()

    def __init__(
        self,
        store: IDebugStore,
        epochs: Callable[[], Epochs],
        recorder: Recorder,
        clock: IReactorTime,
        calendar: ICalendar,
        registry: IRegistry | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._epochs = epochs
        self._recorder = recorder
        self._clock = clock
        self._calendar = calendar
        self._on: dict[Key, _On] = {}
        self._failures = Allowance(clock, FAILURES, keys=1024, total=200)

    # --- IDebug ---

    def picked(
        self, tenant: str, datasource: str, jobs: Sequence[Job], conversions: Sequence[Conversion]
    ) -> builtins.list[Picked]:
        """See `IDebug.picked`."""
        if self._on:
            return [
                pair
                for pair in zip(jobs, conversions, strict=True)
                if self._is_wanted(tenant, datasource, *pair) or self._is_failure(pair)
            ]
        if all([each.error is None for each in conversions]):  # noqa: C419 - a list is faster, and all are looked at anyway
            return []
        return [pair for pair in zip(jobs, conversions, strict=True) if self._is_failure(pair)]

    def _is_failure(self, pair: Picked) -> bool:
        job, conversion = pair
        return (
            conversion.error is not None
            and self._failures.take((job.converter.tenant, job.converter.key)) is not None
        )

    def _is_wanted(self, tenant: str, datasource: str, job: Job, conversion: Conversion) -> bool:
        return any(self._switches(tenant, datasource, job, conversion))

    def _switches(self, tenant: str, datasource: str, job: Job, conversion: Conversion) -> Iterator[_On]:
        """What is on of which this is something."""
        on = self._on
        keys: list[Key] = [("datasource", tenant, datasource), ("converter", tenant, job.converter.id)]
        keys += [("device", tenant, name) for name in {output.device_name for output in conversion.outputs}]
        for key in keys:
            if (found := on.get(key)) is not None:
                yield found
        if not conversion.outputs and any(kind == "device" for kind, *_ in on):
            try:
                identity = _sender(job.metadata).identity
            except msgspec.DecodeError:
                return
            if (found := on.get(("device", tenant, identity))) is not None:
                yield found

    def converted(self, tenant: str, datasource: str, name: str, picked: Sequence[Picked]) -> None:
        """See `IDebug.converted`."""
        epochs, at = self._epochs(), int(self._calendar.now_ms())
        for job, conversion in picked:
            entry = DebugEntry(at, "conversion", conversion_entry(name, job, conversion))
            self._store.add(tenant, epochs.message_id(job.seq), entry)
            for on in [*self._switches(tenant, datasource, job, conversion)] if self._on else ():
                on.seen += 1
                left = on.switch.left
                if left is not None:
                    on.switch = replace(on.switch, left=left - 1)
                    if left <= 1:
                        self._end(tenant, on, f"{on.seen} messages were kept")

    def shown(
        self, tenant: str, integration: str, records: Sequence[TelemetryRecord]
    ) -> TelemetryRecord | None:
        """See `IDebug.shown`."""
        on = self._on
        if not on:
            return None
        if ("integration", tenant, integration) in on:
            return records[0]
        for record in records:
            if ("device", tenant, record.device_name) in on or (
                "datasource",
                tenant,
                record.datasource,
            ) in on:
                return record
        return None

    def exchanged(
        self, tenant: str, integration: str, record: TelemetryRecord, request: str, answer: str
    ) -> None:
        """See `IDebug.exchanged`."""
        whole = record.whole if isinstance(record, Part) else record
        said = delivery_entry(integration, record.device_name, request, answer)
        entry = DebugEntry(int(self._calendar.now_ms()), "delivery", said)
        self._store.add(tenant, self._epochs().id_of(whole), entry)

    # --- IDebugging ---

    def switch_on(
        self, tenant: str, kind: DebugKind, target: str, name: str, seconds: float, count: int | None, by: str
    ) -> DebugSwitch:
        """See `IDebugging.switch_on`."""
        key = kind, tenant, target
        before = self._on.pop(key, None)
        if before is not None:
            before.ends.cancel()
        elif sum(of == tenant for _, of, _ in self._on) >= MOST:
            raise TooMany(f"expected at most {MOST} things of a tenant that are debugged at a time")
        until = int(self._calendar.now_ms() + seconds * 1000)
        switch = DebugSwitch(secrets.token_hex(4), kind, name, target, until, count, by)
        self._begin(tenant, switch, seconds)
        self._share(tenant, switch, before.switch if before is not None else None)
        bound = f", {count} messages at most" if count is not None else ""
        text = f"everything of it is kept for {seconds:g} s{bound}, by {by}"
        self._recorder.note(
            "debug.started", kind, name, text, tenant, by=by, device=name if kind == "device" else ""
        )
        return switch

    def _begin(self, tenant: str, switch: DebugSwitch, seconds: float) -> None:
        on = _On(switch, self._clock.callLater(seconds, lambda: self._end(tenant, on, "its time is over")))
        self._on[switch.kind, tenant, switch.target] = on

    def switch_off(self, tenant: str, id: str) -> DebugSwitch:
        """See `IDebugging.switch_off`."""
        for (_, of, _), on in self._on.items():
            if of == tenant and on.switch.id == id:
                self._end(tenant, on, "somebody has ended it")
                return on.switch
        raise NotFound(f"nothing is debugged under {id!r}")

    def list(self, tenant: str) -> builtins.list[DebugSwitch]:
        """See `IDebugging.list`."""
        found = [on.switch for (_, of, _), on in self._on.items() if of == tenant]
        return sorted(found, key=lambda switch: (switch.until, switch.name))

    def entries(self, tenant: str, message_id: str) -> Deferred[builtins.list[DebugEntry]]:
        """See `IDebugging.entries`."""
        return self._store.of(tenant, message_id)

    # --- other nodes ---

    def start(self) -> None:
        """Learn what other nodes have switched on, and hear of it from now on."""
        if self._registry is not None:
            self._registry.watch(KIND, self._told)
            for resource in self._registry.list(KIND):
                self._told(None, resource)

    def _told(self, old: Resource | None, new: Resource | None) -> None:
        if old is not None:
            switch = msgspec.convert(old.body, DebugSwitch)
            on = self._on.get((switch.kind, old.tenant, switch.target))
            if on is not None and on.switch.id == switch.id:
                self._forget(old.tenant, on)
        if new is not None:
            switch = msgspec.convert(new.body, DebugSwitch)
            seconds = (switch.until - self._calendar.now_ms()) / 1000
            on = self._on.get((switch.kind, new.tenant, switch.target))
            if seconds <= 0:
                self._unshare(new.tenant, switch)
            elif on is None or on.switch.id != switch.id:
                if on is not None:
                    self._forget(new.tenant, on)
                self._begin(new.tenant, switch, seconds)

    def _share(self, tenant: str, switch: DebugSwitch, before: DebugSwitch | None) -> None:
        """Have other nodes do the same, in place of what was on ``before``."""
        if before is not None:
            self._unshare(tenant, before)
        if self._registry is not None:
            body = msgspec.to_builtins(switch)
            self._later(self._registry.create(KIND, tenant, switch.id, body))

    def _unshare(self, tenant: str, switch: DebugSwitch) -> None:
        if self._registry is not None:
            for each in self._registry.list(KIND, tenant):
                if each.name == switch.id:
                    self._later(self._registry.delete(KIND, each.id))

    def _later(self, done: Deferred[Any]) -> None:
        def failed(failure: Failure) -> None:
            failure.trap(IotgwError)
            self._log.warn("other nodes don't hear of debugging: {why}", why=failure.getErrorMessage())

        def over(failure: Failure) -> None:
            failure.trap(NotFound)  # another node was quicker

        done.addErrback(over).addErrback(failed)

    def _forget(self, tenant: str, on: _On) -> None:
        """It is on no more, as another node says."""
        self._on.pop((on.switch.kind, tenant, on.switch.target), None)
        if on.ends.active():
            on.ends.cancel()

    def stop(self) -> None:
        """The gateway stops: nothing is on here any more."""
        if self._registry is not None:
            self._registry.unwatch(KIND, self._told)
        for on in self._on.values():
            on.ends.cancel()
        self._on = {}

    def _end(self, tenant: str, on: _On, why: str) -> None:
        switch = on.switch
        if self._on.pop((switch.kind, tenant, switch.target), None) is None:
            return
        if on.ends.active():
            on.ends.cancel()
        self._unshare(tenant, switch)
        device = switch.name if switch.kind == "device" else ""
        text = f"only its failures are kept again: {why}"
        self._recorder.note(
            "debug.ended", switch.kind, switch.name, text, tenant, device=device, messages=on.seen
        )
