"""A device's last state, and how a record changes it. No database here."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from iotgw.model import TelemetryRecord

MAX_KEYS = 500
"""Attributes, and telemetry keys, that a device may have; beyond, those that came first are forgotten."""
MAX_VALUE_BYTES = 16 << 10
"""A value larger than this is not kept as state; the message that brought it is."""


class _Point(Struct, gc=False):
    ts: int = 0
    values: dict[str, Raw] = {}


class _Body(Struct, gc=False):
    """What the state takes from `iotgw.model.Output.body`. Values stay the bytes that they are."""

    attributes: dict[str, Raw] = {}
    telemetry: list[_Point] = []


_body = msgspec.json.Decoder(_Body).decode
Latest = dict[str, tuple[int, Raw]]


class DeviceState:
    """A device's name and type, its attributes, and of each telemetry key the newest value with its time."""

    __slots__ = ("attributes", "datasource", "first_ms", "last_ms", "telemetry", "type")

    def __init__(self, record: TelemetryRecord) -> None:
        self.type = record.device_type
        self.datasource = record.datasource
        self.first_ms = self.last_ms = record.received_ms
        self.attributes: dict[str, Raw] = {}
        self.telemetry: Latest = {}
        self.saw(record)

    def saw(self, record: TelemetryRecord) -> None:
        """Take in a record of this device. A reading older than the known one changes nothing."""
        received_ms = record.received_ms
        if received_ms >= self.last_ms:
            self.last_ms = received_ms
            self.type = record.device_type
            self.datasource = record.datasource
        elif received_ms < self.first_ms:
            self.first_ms = received_ms
        try:
            body = _body(record.body)
        except msgspec.DecodeError:  # a body of another form is no state, but the device was seen
            return
        if body.attributes:
            self.attributes.update(body.attributes)
        latest = self.telemetry
        for point in body.telemetry:
            ts = point.ts
            for key, value in point.values.items():
                known = latest.get(key)
                if known is None or known[0] <= ts:
                    latest[key] = (ts, value)

    def merge(self, attributes: dict[str, Raw], telemetry: Latest, first_ms: int, last_ms: int) -> None:
        """Put an earlier state of the same device under this one."""
        self.attributes = attributes | self.attributes if attributes else self.attributes
        if telemetry:
            for key, (ts, value) in self.telemetry.items():
                known = telemetry.get(key)
                if known is None or known[0] <= ts:
                    telemetry[key] = (ts, value)
            self.telemetry = telemetry
        self.first_ms = min(self.first_ms, first_ms)
        self.last_ms = max(self.last_ms, last_ms)

    def bound(self) -> None:
        """Forget what is too much to keep."""
        self.attributes = _bounded(self.attributes, lambda value: value)
        self.telemetry = _bounded(self.telemetry, lambda reading: reading[1])


def _bounded(values: dict[str, Any], raw: Any) -> dict[str, Any]:
    if len(values) > MAX_KEYS:
        values = dict(list(values.items())[-MAX_KEYS:])
    if any(len(bytes(raw(value))) > MAX_VALUE_BYTES for value in values.values()):
        return {key: value for key, value in values.items() if len(bytes(raw(value))) <= MAX_VALUE_BYTES}
    return values
