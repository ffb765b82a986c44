"""What a script of another platform says: readings, each with its time, out of each dialect's form of a result.

Whose readings they are is said in `iotgw.converters.foreign`. Nothing is lost in silence: what can't be told is an error
with its place, and what is left out is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.converters.beside import REPLY, SESSION
from iotgw.converters.output import OutputRefused, moment

MAX_WARNINGS = 50
_PAIR = frozenset(("field", "value", "timestamp", "device"))
TS013_LIKE = ("ts013", "driver", "tektelic-v2")
_BESIDE_DATA = ("errors", "warnings", "warning", "type", "fPort", "normalized", REPLY, SESSION)
_TAGO_ERRORS = ("parse_error", "parser_error", "error")


class Reported(Exception):
    """The script reported errors in its result (TS013's ``errors``, TagoIO's ``parse_error``)."""


class Measured(Struct):
    """Values of one time; ``ts`` is ms since 1970 or ISO 8601 text, None for the time of reception."""

    values: dict[str, Any]
    ts: Any = None


Read = Callable[[Any, list[str]], list[Measured]]
"""``read(result, warnings)``: the readings; may add warnings. Raises OutputRefused, Reported."""


def read(dialect: str, result: Any) -> tuple[list[Measured], list[str]]:
    """The readings of a dialect's result, and its warnings. Raises OutputRefused, Reported."""
    warnings: list[str] = []
    readings = _READERS.get(dialect, _plain)(result, warnings)
    return readings, warnings[:MAX_WARNINGS]


def _plain(result: Any, warnings: list[str]) -> list[Measured]:
    """An object of values, or a list of them: a batch."""
    del warnings
    made = []
    for index, values in enumerate(result if isinstance(result, list) else [result]):
        if values is None:
            continue
        if not isinstance(values, dict):
            at = f"[{index}]: " if isinstance(result, list) else ""
            raise OutputRefused(f"{at}expected an object of values, got {type(values).__name__}")
        made.append(Measured(values))
    return made


def together(readings: Iterable[Measured]) -> list[Measured]:
    """The same with those of one time in one, as long as no value would take another's place."""
    made: list[Measured] = []
    latest: dict[Any, Measured] = {}
    for reading in readings:
        known = latest.get(_hashed(reading.ts))
        if known is not None and not known.values.keys() & reading.values.keys():
            known.values.update(reading.values)
            continue
        latest[_hashed(reading.ts)] = reading
        made.append(reading)
    return made


def _hashed(ts: Any) -> Any:
    return ts if isinstance(ts, (int, float, str)) else None


# --- TS013, and what vendors put into its `data` ---


def _ts013(result: Any, warnings: list[str]) -> list[Measured]:
    """TS013 §"Payload codec API": ``{data, errors, warnings}``. One without ``data`` has nothing to say, unless it has values in
    its place: it is filtered."""
    if not isinstance(result, dict):
        raise OutputRefused("expected an object with `data`, `warnings`, `errors`")
    if errors := _listed(result.get("errors") or ("data" not in result and result.get("error"))):
        raise Reported("; ".join(str(error) for error in errors[:10]))
    warnings += [str(warning) for warning in _listed(result.get("warnings") or result.get("warning"))]
    data = result.get("data")
    if "data" not in result and (others := {key: result[key] for key in result if key not in _BESIDE_DATA}):
        warnings.append(f"data: it is missing; {', '.join(list(others)[:5])} beside it taken for the values")
        data = others
    if result.get("normalized"):
        return [_normalized(values, warnings) for values in _objects(data)]
    return _dated(data) or _plain(data, warnings)


def _listed(warnings: Any) -> list[Any]:
    if isinstance(warnings, list):
        return warnings
    return [warnings] if warnings else []


def _objects(data: Any) -> list[dict[str, Any]]:
    return [reading.values for reading in _plain(data, [])]


def _normalized(values: dict[str, Any], warnings: list[str]) -> Measured:
    """TS013's normalized measurement, whose ``time`` (RFC 3339) is when it was taken."""
    time = values.get("time")
    if not isinstance(time, str):
        return Measured(values)
    if moment(time) is None:
        warnings.append(f"time: expected an RFC 3339 time, got {time[:40]!r}; kept as a value")
        return Measured(values)
    return Measured({key: value for key, value in values.items() if key != "time"}, time)


def _dated(data: Any) -> list[Measured]:
    """Watteco's ``[{variable, value, date}]``, by itself or as ``samples`` beside the latest values; else nothing."""
    beside: dict[str, Any] = {}
    samples = data
    if isinstance(data, dict) and ("samples" in data or "variable" in data):
        samples = data.get("samples", [data])
        beside = {
            key: value for key, value in data.items() if key not in ("samples", "variable", "value", "date")
        }
    if not isinstance(samples, list) or not samples or not all(_is_sample(one) for one in samples):
        return []
    named = {one["variable"] for one in samples}
    made = together(Measured({one["variable"]: one["value"]}, one.get("date")) for one in samples)
    beside = {key: value for key, value in beside.items() if key not in named}
    if beside:
        made[-1].values = {**beside, **made[-1].values}
    return made


def _is_sample(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("variable"), str) and "value" in one


# --- The Things Network v2, and Datacake's pairs ---


def _ttn_v2(result: Any, warnings: list[str]) -> list[Measured]:
    return _paired(result) if _is_pairs(result) else _plain(result, warnings)


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


def _paired(pairs: list[dict[str, Any]]) -> list[Measured]:
    """The values of Datacake's pairs by their fields, for each time that they name.

    Raises OutputRefused where values would be lost: a field that comes twice, or pairs of several devices.
    """
    records: dict[int, Measured] = {}
    for index, one in enumerate(pairs):
        if one.get("device") != pairs[0].get("device"):
            raise OutputRefused(f"[{index}].device: expected the pairs of one device, got those of several")
        ts = _milliseconds(one.get("timestamp"), index)
        record = records.setdefault(ts, Measured({}, ts or None))
        field, value = one["field"], one["value"]
        if field in record.values and record.values[field] != value:
            raise OutputRefused(f"[{index}].field: {field!r} comes twice with different values")
        record.values[field] = value
    return list(records.values())


def _milliseconds(ts: Any, index: int) -> int:
    """Of Datacake's ``timestamp``, which is seconds since 1970; 0 for none."""
    if ts is None:
        return 0
    if isinstance(ts, bool) or not isinstance(ts, (int, float)) or not abs(ts) < 1e12:
        raise OutputRefused(f"[{index}].timestamp: expected a number of seconds since 1970, got {ts!r}")
    return round(ts * 1000)


# --- akenza: what was emitted ---


def _akenza(emitted: Any, warnings: list[str]) -> list[Measured]:
    """Values of the topic ``default`` have their own names, those of others the topic's before it."""
    made = []
    for index, (kind, sample) in enumerate(emitted):
        if kind != "sample":
            warnings.append(f"emit({kind!r}): not taken from an uplink, only samples, logs and states are")
            continue
        if not isinstance(sample, dict) or not isinstance(sample.get("data"), dict):
            raise OutputRefused(f"emit [{index}]: expected a sample with `data`, an object of values")
        topic = sample.get("topic")
        prefix = "" if topic in (None, "", "default") else f"{topic}."
        values = {prefix + key: value for key, value in sample["data"].items()}
        made.append(Measured(values, sample.get("timestamp")))
    return together(made)


# --- TagoIO: a list of variables ---


def _tago(result: Any, warnings: list[str]) -> list[Measured]:
    items = result if isinstance(result, list) else [result]
    readings, problems, stray = [], [], []
    for index, one in enumerate(items):
        if one is None:
            continue
        if isinstance(one, dict) and "variable" not in one and "value" not in one:
            warnings.append(f"payload[{index}]: left out, it has no `variable` and no `value`")
            continue
        if not isinstance(one, dict) or not isinstance(one.get("variable"), str):
            stray.append(f"payload[{index}]: expected an object with a `variable` and its `value`")
            continue
        name, value = one["variable"], one.get("value")
        if name in _TAGO_ERRORS:
            problems.append(f"{name}: {value}")
            continue
        values = {} if value is None else {name: value}
        readings.append(Measured({**values, **_place(name, one.get("location"))}, one.get("time")))
    if problems and not readings:
        raise Reported("; ".join(problems[:10]))
    if stray and not readings:
        raise OutputRefused(stray[0])
    warnings += [*problems, *stray]
    return together(reading for reading in readings if reading.values)


def _place(name: str, location: Any) -> dict[str, Any]:
    """TagoIO's ``location``: ``{lat, lng}`` or a GeoJSON point."""
    if not isinstance(location, dict):
        return {}
    latitude, longitude = location.get("lat"), location.get("lng")
    point = location.get("coordinates")
    if isinstance(point, list) and len(point) > 1:
        longitude, latitude = point[:2]
    return {f"{name}.latitude": latitude, f"{name}.longitude": longitude}


# --- others ---


def _decentlab(result: Any, warnings: list[str]) -> list[Measured]:
    """``{name: {displayName, value, unit}}``, or ``{error}``."""
    (values,) = _objects(result) or [{}]
    if "error" in values and len(values) == 1:
        raise Reported(str(values["error"]))
    del warnings
    return [Measured({key: _value(one) for key, one in values.items()})]


def _allthingstalk(result: Any, warnings: list[str]) -> list[Measured]:
    """``{asset: {value, at}}``, as an object or as JSON text; a text alone is what is wrong."""
    if isinstance(result, str):
        try:
            result = msgspec.json.decode(result)
        except msgspec.DecodeError:
            raise Reported(result[:500]) from None
    if isinstance(result, str):
        raise Reported(result[:500])
    del warnings
    made = []
    for values in _objects(result):
        made += [
            Measured({key: _value(one)}, one.get("at") if isinstance(one, dict) else None)
            for key, one in values.items()
        ]
    return together(made)


def _value(one: Any) -> Any:
    return one["value"] if isinstance(one, dict) and "value" in one else one


def _node(result: Any, warnings: list[str]) -> list[Measured]:
    """What the adapters make of Node-RED's and ThingsBoard's nodes: a list of ``[values, ts]``."""
    made = []
    for values, ts in result:
        for reading in _plain(values if isinstance(values, (dict, list)) else {"payload": values}, warnings):
            made.append(Measured(reading.values, ts))
    return made


_READERS: dict[str, Read] = {
    **dict.fromkeys(TS013_LIKE, _ts013),
    "ttn-v2": _ttn_v2,
    "tektelic": _ttn_v2,
    "datacake": _ttn_v2,
    "akenza": _akenza,
    "tago": _tago,
    "decentlab": _decentlab,
    "allthingstalk": _allthingstalk,
    "node-red": _node,
    "rule-node": _node,
}
