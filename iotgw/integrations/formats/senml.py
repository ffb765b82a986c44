"""SenML (RFC 8428) as JSON: a pack of records with the device's name and a time as bases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from iotgw.core.model import TelemetryRecord
from iotgw.integrations.formats.readings import is_number, names_of, only, or_attributes, seconds

CONTENT_TYPE = "application/senml+json"
NAME = r"A-Za-z0-9\-:./_"
"""Characters of a name (§4.5.1)."""
_encode = msgspec.json.Encoder().encode


def senml(record: TelemetryRecord) -> bytes:
    """A pack. Raises NothingToSay."""
    found = or_attributes(record)
    base_ms = found[0][0]
    names = names_of((key for _, values in found for key in values), _name)
    pack: list[dict[str, Any]] = []
    for ts, values in found:
        for key, value in values.items():
            entry: dict[str, Any] = {}
            if not pack:
                entry["bn"] = _base(record.device_name)
                entry["bt"] = seconds(base_ms)
            entry["n"] = names[key]
            if ts != base_ms:
                entry["t"] = seconds(ts - base_ms)
            entry |= _value(value)
            pack.append(entry)
    return _encode(pack)


def _name(key: str) -> str:
    return only(NAME, key)


def _base(name: str) -> str:
    """A device's name as a base name, which begins with a letter or a digit."""
    made = only(NAME, name)
    return (made if re.match("[A-Za-z0-9]", made) else "d" + made) + ":"


def _value(value: Any) -> dict[str, Any]:
    """A value by its kind (§4.2)."""
    if isinstance(value, bool):
        return {"vb": value}
    if is_number(value):
        return {"v": value}
    return {"vs": value if isinstance(value, str) else _encode(value).decode()}


def together(bodies: Sequence[bytes]) -> bytes:
    """One pack of several: each begins with bases of its own, which hold until the next (§4.1)."""
    return b"[" + b",".join(body[1:-1] for body in bodies) + b"]"
