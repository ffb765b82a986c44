"""A device's last state, and how a record changes it. This module knows no database.

With 100,000 devices, these values would be most of what the garbage collector walks through. So they are Structs that
it doesn't track, and dicts without containers in them, which CPython doesn't track either.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from iotgw.core.model import TelemetryRecord

MAX_KEYS = 500
"""How many attributes, and how many telemetry keys, a device may have. Beyond that the earliest are forgotten."""
MAX_VALUE_BYTES = 16 << 10
"""A larger value isn't kept as state; the message that brought it is."""

LATEST_BYTES = 4096
"""A larger record is taken apart when it is written."""


class _Point(Struct, gc=False):
    ts: int = 0
    values: dict[str, Raw] = {}


class _Body(Struct, gc=False):
    """The parts of `iotgw.core.model.Output.body` that make up the state. Values stay undecoded bytes."""

    attributes: dict[str, Raw] = {}
    telemetry: list[_Point] = []


_body = msgspec.json.Decoder(_Body).decode
_json = msgspec.json.Encoder().encode


class DeviceState(Struct, gc=False):
    """What is known of a device: the newest value of each telemetry key, and its time in ``times``. None of these
    times is later than ``newest``.

    A record that the next one replaces completely isn't even read: while a device sends records of one ``shape`` (see
    `iotgw.core.model.Output`), the ``body`` of the last one waits for `settle`.
    """

    type: str
    datasource: str
    first_ms: int
    last_ms: int
    attributes: dict[str, Raw]
    values: dict[str, Raw]
    times: dict[str, int]
    newest: int = 0
    shape: int = 0
    body: bytes = b""

    @classmethod
    def of(cls, record: TelemetryRecord | DeviceState) -> DeviceState:
        """The state of a device after its first record. A state is returned as it is."""
        if isinstance(record, DeviceState):
            return record
        at_ms = record.received_ms
        state = cls(record.device_type, record.datasource, at_ms, at_ms, {}, {}, {})
        state.saw(record)
        return state

    def copy(self) -> DeviceState:
        """One that can be changed by itself."""
        return DeviceState(
            self.type, self.datasource, self.first_ms, self.last_ms, dict(self.attributes), dict(self.values), dict(self.times),
            self.newest, self.shape, self.body,
        )  # fmt: skip

    def saw(self, record: TelemetryRecord) -> None:
        """Take in a record of this device. A reading that is older than the known one changes nothing."""
        received_ms = record.received_ms
        if received_ms >= self.last_ms:
            self.last_ms = received_ms
            self.type = record.device_type
            self.datasource = record.datasource
        elif received_ms < self.first_ms:
            self.first_ms = received_ms
        if record.shape and received_ms >= self.newest:
            if record.shape != self.shape:
                self.settle()
                self.shape = record.shape
            self.body = record.body
            self.newest = received_ms
        else:
            self.settle()
            self._take(record.body)

    def settle(self) -> None:
        """Take in the body that waits."""
        if self.body:
            body, self.body = self.body, b""
            self._take(body)

    def _take(self, text: bytes) -> None:
        try:
            body = _body(text)
        except msgspec.DecodeError:  # a body of another form is no state, but the device was seen
            return
        if body.attributes:
            self.attributes.update(body.attributes)
        for point in body.telemetry:
            values, ts = point.values, point.ts
            if ts >= self.newest:
                self.newest = ts
                self.values.update(values)
                self.times.update(dict.fromkeys(values, ts))
            else:
                self._add(values, dict.fromkeys(values, ts))

    def merge(self, earlier: DeviceState) -> None:
        """Fill in what an earlier state of the same device has and this one doesn't."""
        self.settle()
        earlier.settle()
        later_values, later_times = self.values, self.times
        self.newest = max(self.newest, max(earlier.times.values(), default=0))
        earlier.attributes.update(self.attributes)
        self.attributes, self.values, self.times = earlier.attributes, earlier.values, earlier.times
        self._add(later_values, later_times)
        self.first_ms = min(self.first_ms, earlier.first_ms)
        self.last_ms = max(self.last_ms, earlier.last_ms)

    def _add(self, values: dict[str, Raw], times: dict[str, int]) -> None:
        """Take over readings that are at least as new as the known ones."""
        known = self.times
        if values and known and min(times.values()) < max(known.values()):
            values = {key: value for key, value in values.items() if times[key] >= known.get(key, times[key])}
            times = {key: times[key] for key in values}
        self.values.update(values)
        known.update(times)

    def bound(self) -> None:
        """Keep to the limits, as `encoded` does."""
        self.attributes, self.values = _bounded(self.attributes), _bounded(self.values)
        self.times = {key: self.times[key] for key in self.values}

    def encoded(self) -> tuple[bytes, bytes, bytes]:
        """Attributes, telemetry values and their times as JSON texts, within the limits."""
        self.settle()
        attributes, values, times = _json(self.attributes), _json(self.values), _json(self.times)
        if len(attributes) > MAX_VALUE_BYTES or len(self.attributes) > MAX_KEYS:
            attributes = _json(_bounded(self.attributes))
        if len(values) > MAX_VALUE_BYTES or len(self.values) > MAX_KEYS:
            kept = _bounded(self.values)
            values, times = _json(kept), _json({key: self.times[key] for key in kept})
        return attributes, values, times


def replaces(
    change: TelemetryRecord | DeviceState, latest: int, last_ms: int, type: str, datasource: str
) -> int | None:
    """Whether a change says all that the latest record said, and may take its place as it is: a record with the same keys. ``latest`` is
    that record's shape, 0 for none; the others tell how the device was heard last. Returns when it was heard, or None."""
    if isinstance(change, TelemetryRecord):
        first_ms = heard_ms = int(change.received_ms)
        type_ = change.device_type
    elif change.values or change.attributes:
        return None
    else:
        first_ms, heard_ms, type_ = change.first_ms, change.last_ms, change.type
    if (
        change.shape == 0
        or latest not in (0, change.shape)
        or first_ms < last_ms
        or type_ != type
        or change.datasource != datasource
        or not 0 < len(change.body) <= LATEST_BYTES
    ):
        return None
    return heard_ms


def overlaid(stored: DeviceState, at_ms: int | None, body: bytes | Raw) -> DeviceState:
    """What is known of a device: its row, overlaid with its latest record, if there is one."""
    if at_ms is not None:
        stored.newest = max(stored.times.values(), default=0)
        stored.last_ms = max(stored.last_ms, at_ms)
        stored.body = bytes(body)
        stored.settle()
    return stored


def _bounded(values: dict[str, Any]) -> dict[str, Any]:
    """The last keys, without those whose values are too large."""
    newest = list(values.items())[-MAX_KEYS:]
    return {key: value for key, value in newest if len(_json(value)) <= MAX_VALUE_BYTES}
