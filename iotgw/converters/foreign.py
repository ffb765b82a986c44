"""Readings of dialects other than ThingsBoard's become a device and its telemetry, by a stated rule.

The device's name is the first of `IDENTITY` that the message's metadata has, its type the metadata's
``deviceType`` or ``deviceModel``; every value is telemetry at the time that the reading names, else when a network
received it, else at the time of reception. The converter's ``template`` overrides each part
(`iotgw.converters.options.DeviceTemplate`).
"""

from __future__ import annotations

import re
from typing import Any

from iotgw.converters.beside import REPLY, SESSION
from iotgw.converters.options import DeviceTemplate
from iotgw.converters.output import OutputRefused, moment
from iotgw.converters.readings import TS013_LIKE, Measured, Reported, read

__all__ = ["IDENTITY", "RECEIVED", "TYPE", "Reported", "interpret"]

IDENTITY = (
    "deviceName", "devEui", "devEUI", "deviceEui", "imei", "identity", "deviceId", "device", "endpoint", "serial",
)  # fmt: skip
TYPE = ("deviceType", "deviceModel", "model")

RECEIVED = ("time", "receivedAt", "received_at", "recvTime")
"""Where a network's envelope says when it received the message, as ISO 8601 text."""
_PLACE = re.compile(r"\{([\w.$-]+)\}")


def interpret(
    dialect: str, result: Any, metadata: dict[str, Any], template: DeviceTemplate, time: Any = 0
) -> tuple[list[dict[str, Any]], list[str]]:
    """ThingsBoard's form of a foreign result, and its warnings. ``time`` is what the script has set beside its result
    (``Record.setTime``): ms, or a path and a unit. Raises OutputRefused, Reported.

    What TS013's result says to the sender beside its ``data`` is an object of its own.
    """
    readings, warnings = read(dialect, result)
    made = [_record(one, metadata, template, time) for one in readings]
    if dialect in TS013_LIKE and isinstance(result, dict):
        said = {name: result[name] for name in (REPLY, SESSION) if result.get(name) is not None}
        made += [said] if said else []
    return made, warnings


def _record(
    reading: Measured, metadata: dict[str, Any], template: DeviceTemplate, time: Any
) -> dict[str, Any]:
    data = reading.values
    values = dict(data)
    device: dict[str, Any] = {
        "deviceName": _fill(template.device_name, metadata, data) or _first(IDENTITY, metadata),
        "deviceType": _fill(template.device_type, metadata, data) or _first(TYPE, metadata) or "default",
    }
    if device["deviceName"] is None:
        raise OutputRefused(
            "deviceName: the message's metadata names no device (looked for "
            f"{', '.join(IDENTITY)}); set the converter's `template` to say where the name is"
        )
    for key, text in (("customerName", template.customer_name), ("groupName", template.group_name)):
        if text:
            device[key] = _fill(text, metadata, data)
    ts: Any = values.pop(template.ts, None) if template.ts else None
    if ts is None and isinstance(time, list):  # Record.setTimeField(path, unit)
        ts = _time_field(data, *time)
    if ts is None:
        ts = reading.ts or (time if not isinstance(time, list) else None) or _received(metadata)
    device["attributes"] = {key: values.pop(key) for key in template.attributes if key in values}
    device["telemetry"] = {"ts": ts, "values": values} if ts else {"values": values}
    return device


def _time_field(data: dict[str, Any], path: str, unit: str) -> Any:
    value = _look(path, data)
    return value * 1000 if unit == "UNIXS" and isinstance(value, (int, float)) else value


def _received(metadata: dict[str, Any]) -> str | None:
    for name in RECEIVED:
        value = metadata.get(name)
        if isinstance(value, str) and moment(value) is not None:
            return value
    return None


def _first(names: tuple[str, ...], metadata: dict[str, Any]) -> str | None:
    for name in names:
        value = metadata.get(name)
        if isinstance(value, (str, int)) and value:
            return str(value)
    return None


def _fill(template: str, metadata: dict[str, Any], data: dict[str, Any]) -> str | None:
    def place(match: re.Match[str]) -> str:
        path = match[1]
        if path.startswith("metadata."):
            value = _look(path.removeprefix("metadata."), metadata)
        elif path.startswith("data."):
            value = _look(path.removeprefix("data."), data)
        else:
            value = metadata.get(path, data.get(path))
        if not isinstance(value, (str, int, float)):
            raise OutputRefused(f"template: expected a text or number at {{{path}}}, found none")
        return str(value)

    return _PLACE.sub(place, template) if template else None


def _look(path: str, value: Any) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
