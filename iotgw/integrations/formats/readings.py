"""What the formats have in common: a record's readings and attributes, and texts made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from iotgw.core import plain_json
from iotgw.core.errors import IotgwError
from iotgw.core.model import TelemetryRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decode = plain_json.reader()

Readings = list[tuple[float, dict[str, Any]]]


class NothingToSay(IotgwError):
    """A record has nothing that a format could say, such as no number. It is delivered without being sent."""


def readings(record: TelemetryRecord) -> tuple[Readings, dict[str, Any]]:
    """The readings of a record by time, each time once, and its attributes. Null is no value."""
    body = _decode(record.body)
    times: dict[float, dict[str, Any]] = {}
    for entry in body.get("telemetry") or ():
        values = {key: value for key, value in entry["values"].items() if value is not None}
        times.setdefault(entry["ts"], {}).update(values)
    attributes = {key: value for key, value in (body.get("attributes") or {}).items() if value is not None}
    return sorted((ts, values) for ts, values in times.items() if values) if times else [], attributes


def or_attributes(record: TelemetryRecord) -> Readings:
    """The readings of a record; its attributes at the time of receipt where there are none. Raises `NothingToSay`."""
    found, attributes = readings(record)
    if not found and attributes:
        return [(record.received_ms, attributes)]
    if not found:
        raise NothingToSay("it has no values")
    return found


def iso(ms: float) -> str:
    """A time as ISO 8601 has it, in milliseconds and UTC; the ends of the calendar for what is beyond them."""
    try:
        moment = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return "9999-12-31T23:59:59.999Z" if ms > 0 else "0001-01-01T00:00:00.000Z"
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def seconds(ms: float) -> float:
    """Milliseconds as seconds; a whole number where they are whole."""
    return ms / 1000 if ms % 1000 else int(ms // 1000)


def is_number(value: Any) -> bool:
    """Whether a value is a number. A truth isn't."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def only(allowed: str, text: str) -> str:
    """A text in which each character that isn't one of ``allowed``, as in a regular expression, is ``_``."""
    return re.sub(f"[^{allowed}]", "_", text)


def names_of(keys: Iterable[str], make: Callable[[str], str]) -> dict[str, str]:
    """A name for each key, as ``make`` makes them. Of keys that would share one, such as ``a b`` and ``a.b``, one has it, by right the key that is spelled
    so, and the others get numbers behind it."""
    names = {key: make(key) for key in keys}
    if len(set(names.values())) == len(names):
        return names
    taken = {name for key, name in names.items() if key == name}
    last: dict[str, int] = {}
    for key, name in names.items():
        if key == name:
            continue
        free, number = name, last.get(name, 1)
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        last[name] = number
        taken.add(free)
        names[key] = free
    return names
