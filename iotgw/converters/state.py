"""What scripts keep about their devices between messages, on request. It is bounded in size and in age."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import NotFound
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource
from iotgw.core.times import DateMs

log = Logger()

MAX_DEVICES = 50_000
MAX_AGE = 90 * 86400.0
"""A state that was not written for this long is dropped, in seconds."""
WRITE_BEHIND = 2.0
"""Changes wait this long for others, in seconds; a crash loses no more than that."""
SWEEP = 3600.0
KIND = "converterState"


class _Identity(Struct):
    deviceName: str | int | None = None
    devEui: str | None = None
    devEUI: str | None = None
    imei: str | int | None = None
    identity: str | None = None
    deviceId: str | int | None = None


_identity = msgspec.json.Decoder(_Identity)


def device_of(metadata: bytes) -> str:
    """Whose state a message may use, from its metadata (JSON text); empty when it names no device."""
    try:
        found = _identity.decode(metadata)
    except msgspec.MsgspecError:
        return ""
    name = found.deviceName or found.devEui or found.devEUI or found.imei or found.identity or found.deviceId
    return str(name or "")


def place_of(tenant: str, converter: str, device: str) -> str:
    """The name of a device's state between gateway and worker; `parts_of` is its reverse."""
    return f"{tenant}\n{converter}\n{device}"


def parts_of(place: str) -> tuple[str, str, str]:
    """Tenant, converter and device of a `place_of`."""
    tenant, converter, device = place.split("\n", 2)
    return tenant, converter, device


class States(Protocol):
    """Where states are kept. They are JSON texts, by tenant, converter and device."""

    def get(self, tenant: str, converter: str, device: str) -> bytes:
        """The state; empty when there is none."""

    def put(self, tenant: str, converter: str, device: str, state: bytes) -> None:
        """Keep a state; empty to drop it."""

    def stop(self) -> Deferred[Any]:
        """Write what is not written yet."""


class MemoryStates:
    """States in memory only; the least recently written go first."""

    def __init__(self, limit: int = MAX_DEVICES) -> None:
        self._states: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()
        self._limit = limit

    def get(self, tenant: str, converter: str, device: str) -> bytes:
        """See `States`."""
        return self._states.get((tenant, converter, device), b"")

    def put(self, tenant: str, converter: str, device: str, state: bytes) -> None:
        """See `States`."""
        key = (tenant, converter, device)
        self._states[key] = state
        self._states.move_to_end(key)
        if len(self._states) > self._limit:
            self._states.popitem(last=False)

    def stop(self) -> Deferred[Any]:
        """See `States`."""
        return succeed(None)


class RegistryStates:
    """States as resources of an `iotgw.core.ports.registry.IRegistry`, written behind."""

    def __init__(
        self,
        reactor: IReactorTime,
        registry: IRegistry,
        limit: int = MAX_DEVICES,
        calendar: ICalendar | None = None,
    ) -> None:
        self._reactor = reactor
        self._calendar: ICalendar = calendar or PlainCalendar(reactor)
        self._registry = registry
        self._limit = limit
        self._changed: dict[tuple[str, str], bytes] = {}
        self._writing: dict[tuple[str, str], bytes] = {}
        self._writes = DeferredLock()
        self._timer: IDelayedCall | None = None
        self._swept = float("-inf")

    def get(self, tenant: str, converter: str, device: str) -> bytes:
        """See `States`."""
        key = (tenant, f"{converter}/{device}")
        for unwritten in (self._changed, self._writing):
            if key in unwritten:
                return unwritten[key]
        try:
            return msgspec.json.encode(self._registry.get(KIND, key[1], tenant).body)
        except NotFound:
            return b""

    def put(self, tenant: str, converter: str, device: str, state: bytes) -> None:
        """See `States`."""
        self._changed[tenant, f"{converter}/{device}"] = state
        if self._timer is None:
            self._timer = self._reactor.callLater(WRITE_BEHIND, self._due)

    def stop(self) -> Deferred[Any]:
        """See `States`."""
        if self._timer is not None:
            self._timer.cancel()
        return self._writes.run(self._flush)

    def _due(self) -> None:
        self._timer = None
        self._writes.run(self._flush)

    def _flush(self) -> Deferred[Any]:
        self._writing, self._changed = self._changed, {}
        writes = [self._write(tenant, name, state) for (tenant, name), state in self._writing.items()]
        writes += self._sweep()

        def written(results: list[tuple[bool, Any]]) -> None:
            self._writing = {}
            for succeeded, failure in results:
                if not succeeded:
                    log.failure("a converter's state could not be written", failure)

        return DeferredList(writes, consumeErrors=True).addCallback(written)

    def _write(self, tenant: str, name: str, state: bytes) -> Deferred[Any]:
        body = msgspec.json.decode(state) if state else {}
        try:
            found = self._registry.get(KIND, name, tenant)
        except NotFound:
            return self._registry.create(KIND, tenant, name, body)
        return self._registry.replace(KIND, found.id, body)

    def _sweep(self) -> list[Deferred[Any]]:
        """Drop what is too old, and the oldest of too many."""
        now = self._reactor.seconds()
        if now - self._swept < SWEEP:
            return []
        self._swept = now

        def saved_ms(resource: Resource) -> int:
            return self._calendar.moment_ms(DateMs(resource.updated_ms))

        known = sorted(self._registry.list(KIND), key=saved_ms)
        too_many = max(len(known) - self._limit, 0)
        old = (now - MAX_AGE) * 1000
        return [
            self._registry.delete(KIND, resource.id)
            for index, resource in enumerate(known)
            if index < too_many or saved_ms(resource) < old
        ]
