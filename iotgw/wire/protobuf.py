"""Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding) as far as messages of others need it: read by a table
of fields into what their JSON form is, written field by field.

Unknown fields are skipped. What a table doesn't know isn't in the result, as in JSON that leaves defaults out.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Literal

from msgspec import Struct

from iotgw.core.errors import ProtocolError

DEEPEST = 16
"""Levels of messages."""
MOST = 2_000
"""Fields of one message with all that are in it: an uplink that 60 gateways heard has about 1,300."""
Kind = Literal["text", "bytes", "uint", "int", "bool", "float", "double", "time", "map", "struct"]
"""``time``: google.protobuf.Timestamp. ``map``: of texts. ``struct``: google.protobuf.Struct."""
Table = Mapping[int, "Field"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_402_300_799


class Field(Struct, frozen=True):
    """A field: its name in JSON, what it is (a kind, the names of an enumeration by number, or the table of a message), and
    whether it is a list."""

    name: str
    kind: Kind | tuple[str, ...] | dict[int, Field]
    is_list: bool = False


def decode(data: bytes, table: Table) -> dict[str, Any]:
    """A message as JSON has it. Raises ProtocolError."""
    return _message(data, table, [MOST], 0)


def _message(data: bytes, table: Table, left: list[int], depth: int) -> dict[str, Any]:
    if depth > DEEPEST:
        raise ProtocolError(f"protobuf: expected at most {DEEPEST} levels")
    found: dict[str, Any] = {}
    for number, value in _fields(data, left):
        field = table.get(number)
        if field is None:
            continue
        if field.kind == "map":
            pair = _message(_as_bytes(value), _PAIR, left, depth + 1)
            found.setdefault(field.name, {})[pair.get("key", "")] = pair.get("value", "")
            continue
        read = _value(field, value, left, depth)
        if field.is_list:
            found.setdefault(field.name, []).append(read)
        else:
            found[field.name] = read
    return found


def _value(field: Field, value: int | bytes, left: list[int], depth: int) -> Any:
    kind = field.kind
    if isinstance(kind, dict):
        return _message(_as_bytes(value), kind, left, depth + 1)
    if isinstance(kind, tuple):
        number = _as_int(value)
        return kind[number] if number < len(kind) else number
    if kind == "time":
        return _time(_message(_as_bytes(value), _TIMESTAMP, left, depth + 1))
    if kind == "struct":
        return _struct(_as_bytes(value), left, depth + 1)
    read = _READERS.get(kind)
    return read(value) if read is not None else _as_int(value)


def _int(value: int | bytes) -> int:
    number = _as_int(value)
    return number - (1 << 64) if number >> 63 else number


def _real(form: str, size: int) -> Callable[[int | bytes], float | None]:
    def read(value: int | bytes) -> float | None:
        data = _as_bytes(value)
        if len(data) != size:
            raise ProtocolError("protobuf: expected a number of another size")
        (real,) = struct.unpack(form, data)
        return real if isfinite(real) else None

    return read


def _time(read: dict[str, Any]) -> str:
    seconds, nanos = read.get("seconds", 0), read.get("nanos", 0)
    if not 0 <= seconds <= _LAST_SECOND or not 0 <= nanos < 10**9:
        raise ProtocolError("protobuf: expected a time since 1970")
    return (
        (_EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)).isoformat().replace("+00:00", "Z")
    )


def _struct(data: bytes, left: list[int], depth: int) -> dict[str, Any]:
    """google.protobuf.Struct: a map of names to values of any kind."""
    if depth > DEEPEST:
        raise ProtocolError(f"protobuf: expected at most {DEEPEST} levels")
    found: dict[str, Any] = {}
    for number, value in _fields(data, left):
        if number == 1:
            name, read = "", None
            for part, inner in _fields(_as_bytes(value), left):
                if part == 1:
                    name = _as_bytes(inner).decode("utf-8", "replace")
                elif part == 2:
                    read = _any(_as_bytes(inner), left, depth + 1)
            found[name] = read
    return found


def _any(data: bytes, left: list[int], depth: int) -> Any:
    """google.protobuf.Value."""
    if depth > DEEPEST:
        raise ProtocolError(f"protobuf: expected at most {DEEPEST} levels")
    found: Any = None
    for number, value in _fields(data, left):
        if number in _SIMPLE:
            found = _value(_SIMPLE[number], value, left, depth)
        elif number == 5:
            found = _struct(_as_bytes(value), left, depth + 1)
        elif number == 6:
            found = [
                _any(_as_bytes(each), left, depth + 1)
                for part, each in _fields(_as_bytes(value), left)
                if part == 1
            ]
    return found


def _fields(data: bytes, left: list[int]) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: an integer for a varint, else its bytes."""
    at, end = 0, len(data)
    while at < end:
        left[0] -= 1
        if left[0] < 0:
            raise ProtocolError(f"protobuf: expected at most {MOST} fields")
        tag, at = (data[at], at + 1) if data[at] < 0x80 else _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ProtocolError("protobuf: expected the number of a field")
        if wire == 0:
            if at < end and data[at] < 0x80:
                value, at = data[at], at + 1
            else:
                value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = (data[at], at + 1) if at < end and data[at] < 0x80 else _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ProtocolError(f"protobuf: expected no field of the wire type {wire}")
        if size > end - at:
            raise ProtocolError("protobuf: the message is cut off")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise ProtocolError("protobuf: the message is cut off")


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProtocolError("protobuf: expected bytes, got a number")
    return value


def _as_int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ProtocolError("protobuf: expected a number, got bytes")
    return value


_READERS: dict[str, Callable[[int | bytes], Any]] = {
    "text": lambda value: _as_bytes(value).decode("utf-8", "replace"),
    "bytes": lambda value: base64.b64encode(_as_bytes(value)).decode(),
    "bool": lambda value: bool(_as_int(value)),
    "int": _int,
    "float": _real("<f", 4),
    "double": _real("<d", 8),
}
_PAIR: Table = {1: Field("key", "text"), 2: Field("value", "text")}
_TIMESTAMP: Table = {1: Field("seconds", "int"), 2: Field("nanos", "int")}
_SIMPLE: Table = {2: Field("number", "double"), 3: Field("text", "text"), 4: Field("bool", "bool")}


def field(number: int, value: int | bytes) -> bytes:
    """A field as it is written: a number, or bytes with their length."""
    if isinstance(value, int):
        return _written(number << 3) + _written(value)
    return _written(number << 3 | 2) + _written(len(value)) + value


def _written(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
