"""Results of dialects other than ThingsBoard's become a device and its telemetry, by a stated rule.

The device's name is the first of `IDENTITY` that the message's metadata has, its type the metadata's
``deviceType`` or ``deviceModel``; every key of the result is telemetry at the time of reception. The
converter's ``template`` overrides each part (`iotgw.converters.options.DeviceTemplate`).
"""

from __future__ import annotations

import re
from typing import Any

from iotgw.converters.beside import REPLY, SESSION
from iotgw.converters.options import DeviceTemplate
from iotgw.converters.output import OutputRefused

IDENTITY = (
    "deviceName", "devEui", "devEUI", "deviceEui", "imei", "identity", "deviceId", "device", "endpoint", "serial",
)  # fmt: skip
TYPE = ("deviceType", "deviceModel", "model")

_PAIR = frozenset(("field", "value", "timestamp", "device"))
_SAID = (REPLY, SESSION)
_BESIDE_DATA = ("errors", "warnings", "fPort", *_SAID)
_PLACE = re.compile(r"\{([\w.$-]+)\}")


class Reported(Exception):
    """The script reported errors in its result (TS013's ``errors``)."""


def interpret(
    dialect: str, result: Any, metadata: dict[str, Any], template: DeviceTemplate, time: Any = 0
) -> tuple[list[dict[str, Any]], list[str]]:
    """ThingsBoard's form of a foreign result, and its warnings. Raises Refused, Reported.

    What TS013's result says to the sender beside its ``data`` is an object of its own.
    """
    warnings: list[str] = []
    said: dict[str, Any] = {}
    if dialect == "ts013":
        if isinstance(result, dict):
            said = {name: result[name] for name in _SAID if result.get(name) is not None}
        result, warnings = _ts013(result)
    if dialect == "ttn-v2" and _is_pairs(result):
        return [_record(data, metadata, template, ts) for data, ts in _paired(result)], warnings
    records = result if isinstance(result, list) else [result]
    made = []
    for index, data in enumerate(records):
        if data is None:
            continue
        if not isinstance(data, dict):
            at = f"[{index}]: " if isinstance(result, list) else ""
            raise OutputRefused(f"{at}expected an object of values, got {type(data).__name__}")
        made.append(_record(data, metadata, template, time))
    if said:
        made.append(said)
    return made, warnings


def _is_pairs(result: Any) -> bool:
    """Whether a result is Datacake's: a list of ``{field, value}`` and nothing else."""
    return (
        isinstance(result, list)
        and bool(result)
        and all(
            isinstance(one, dict)
            and isinstance(one.get("field"), str)
            and "value" in one
            and one.keys() <= _PAIR
            for one in result
        )
    )


def _paired(pairs: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """The values of Datacake's pairs by their fields, for each time that they name; 0 where they name none.

    Raises OutputRefused where values would be lost: a field that comes twice, or pairs of several devices.
    """
    records: dict[int, dict[str, Any]] = {}
    for index, one in enumerate(pairs):
        if one.get("device") != pairs[0].get("device"):
            raise OutputRefused(f"[{index}].device: expected the pairs of one device, got those of several")
        record = records.setdefault(_milliseconds(one.get("timestamp"), index), {})
        field, value = one["field"], one["value"]
        if field in record and record[field] != value:
            raise OutputRefused(f"[{index}].field: {field!r} comes twice with different values")
        record[field] = value
    return [(record, ts) for ts, record in records.items()]


def _milliseconds(ts: Any, index: int) -> int:
    """Of Datacake's ``timestamp``, which is seconds since 1970; 0 for none."""
    if ts is None:
        return 0
    if isinstance(ts, bool) or not isinstance(ts, (int, float)) or not abs(ts) < 1e12:
        raise OutputRefused(f"[{index}].timestamp: expected a number of seconds since 1970, got {ts!r}")
    return round(ts * 1000)


def _ts013(result: Any) -> tuple[Any, list[str]]:
    """TS013 §"Payload codec API": ``{data, errors, warnings}``. One without ``data`` has nothing to say: it is filtered."""
    if not isinstance(result, dict):
        raise OutputRefused("expected an object with `data`, `warnings`, `errors`")
    if result.get("errors"):
        errors = result["errors"] if isinstance(result["errors"], list) else [result["errors"]]
        raise Reported("; ".join(str(error) for error in errors[:10]))
    warnings = result.get("warnings") or []
    if not isinstance(warnings, list):
        warnings = [warnings]
    if "data" not in result and (others := [key for key in result if key not in _BESIDE_DATA]):
        raise OutputRefused(f"data: expected an object, got nothing but {', '.join(others[:5])} beside it")
    return result.get("data"), [str(warning) for warning in warnings[:50]]


def _record(
    data: dict[str, Any], metadata: dict[str, Any], template: DeviceTemplate, time: Any
) -> dict[str, Any]:
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
    ts = ts or (time if not isinstance(time, list) else None)
    device["attributes"] = {key: values.pop(key) for key in template.attributes if key in values}
    device["telemetry"] = {"ts": ts, "values": values} if ts else {"values": values}
    return device


def _time_field(data: dict[str, Any], path: str, unit: str) -> Any:
    value = _look(path, data)
    return value * 1000 if unit == "UNIXS" and isinstance(value, (int, float)) else value


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
