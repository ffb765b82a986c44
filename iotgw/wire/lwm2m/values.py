"""The values of resources, and their types (Core, appendix C)."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Literal, get_args

from msgspec import Struct

from iotgw.core.numbers import real, whole

ValueType = Literal[
    "string", "integer", "unsigned", "float", "boolean", "opaque", "time", "objlnk", "corelnk"
]
VALUE_TYPES: tuple[ValueType, ...] = get_args(ValueType)
LARGEST_ID = 65535
LATEST = 1e15
"""Seconds; a time further from 1970, by some 30 million years, is none."""


class CodecError(ValueError):
    """These bytes are not what their Content-Format says, or more than is taken. The message says what was expected."""


class Time(Struct, frozen=True, gc=False):
    """A point in time, in seconds since 1970 UTC."""

    seconds: int | float


class ObjectLink(Struct, frozen=True, gc=False):
    """A reference to an instance of an object; 65535 and 65535 refer to none (Core, appendix C)."""

    object: int
    instance: int

    def __str__(self) -> str:
        return f"{self.object}:{self.instance}"


class NoInstances(Struct, frozen=True, gc=False):
    """What a multiple resource has that has no instance."""


Value = str | int | float | bool | bytes | Time | ObjectLink | NoInstances
NO_INSTANCES = NoInstances()


def object_link(text: str) -> ObjectLink | None:
    """``"3:0"`` as a link, None if it is none."""
    object_, colon, instance = text.partition(":")
    one, other = whole(object_, 0, LARGEST_ID), whole(instance, 0, LARGEST_ID)
    return ObjectLink(one, other) if colon and one is not None and other is not None else None


def as_type(value: Value, wanted: ValueType | None) -> Value:
    """A value as its model's type has it, where that loses nothing; else as it is.

    Devices send integers as 87.0 and floats as 21, since JSON and CBOR have one kind of number (leshan#1170,
    zephyr#76721), and booleans as 1.
    """
    if wanted is None or isinstance(value, NoInstances):
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _of_text(value, wanted)
    if isinstance(value, int | float):
        return _of_number(value, wanted)
    if isinstance(value, Time) and wanted in ("integer", "unsigned", "float"):
        return as_type(value.seconds, wanted)
    return value


def _of_number(value: int | float, wanted: ValueType) -> Value:
    if wanted == "float":
        return float(value) if isinstance(value, float) or abs(value) <= 1 << 53 else value
    if isinstance(value, float) and value.is_integer() and wanted in ("integer", "unsigned", "time"):
        value = int(value)
    if wanted == "time":
        return Time(value)
    if wanted == "boolean" and value in (0, 1):
        return bool(value)
    return value


def _of_text(value: str, wanted: ValueType) -> Value:
    if wanted == "objlnk":
        found = object_link(value)
        return value if found is None else found
    if wanted == "opaque":
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return value
    return value


def of_plain_text(text: str, wanted: ValueType | None) -> Value:
    """A value of the format text/plain (Core §7.4.1), which writes every type as text."""
    if wanted in ("integer", "unsigned"):
        digits = whole(text.removeprefix("-").removeprefix("+"), 0, 1 << 64)
        if digits is not None:
            return -digits if text.startswith("-") else digits
    elif wanted in ("float", "time"):
        number = real(text)
        if number is not None:
            return as_type(number, wanted)
    elif wanted == "boolean" and text in ("0", "1"):
        return text == "1"
    return as_type(text, wanted)


def plain_text(value: Value) -> str:
    """A value as text/plain; opaque bytes are in base64."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Time):
        return str(value.seconds)
    if isinstance(value, NoInstances):
        return ""
    return str(value)


def to_type(given: object, wanted: ValueType | None) -> Value:
    """A value that a user wrote as JSON, for a resource of a type: opaque bytes are base64, times are ms since 1970 and
    links are ``"3:0"``. Raises `CodecError` with what was expected."""
    if not isinstance(given, str | int | float | bool):
        raise CodecError(f"expected a value, got {type(given).__name__}")
    fits = {
        None: True,
        "string": isinstance(given, str),
        "corelnk": isinstance(given, str),
        "objlnk": isinstance(given, str) and object_link(given) is not None,
        "opaque": isinstance(given, str) and isinstance(as_type(given, "opaque"), bytes),
        "boolean": isinstance(given, bool) or (not isinstance(given, str) and given in (0, 1)),
        "float": isinstance(given, int | float) and not isinstance(given, bool),
        "time": isinstance(given, int | float) and not isinstance(given, bool) and abs(given) < 1000 * LATEST,
        "integer": _is_whole(given),
        "unsigned": _is_whole(given) and not isinstance(given, str) and given >= 0,
    }[wanted]
    if not fits:
        raise CodecError(f"expected {_EXPECTED.get(wanted or '', wanted)}, got {given!r}"[:200])
    if wanted == "time":
        assert isinstance(given, int | float)
        return Time(given // 1000 if isinstance(given, int) and not given % 1000 else given / 1000)
    return as_type(given, wanted)


def _is_whole(given: object) -> bool:
    return not isinstance(given, bool) and (
        isinstance(given, int) or (isinstance(given, float) and given.is_integer())
    )


_EXPECTED = {
    "objlnk": "a link such as '3:0'",
    "opaque": "bytes in base64",
    "time": "a time in ms since 1970",
    "integer": "an integer",
    "unsigned": "an integer from 0 up",
    "float": "a number",
    "boolean": "true or false",
    "string": "text",
    "corelnk": "text",
}


def to_json(value: Value) -> object:
    """A value as the messages to converters and users have it: opaque bytes in base64, times in ms since 1970, integers
    beyond 2⁵³ as text, since a script's numbers are doubles."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Time):
        return round(value.seconds * 1000)
    if isinstance(value, ObjectLink):
        return str(value)
    if isinstance(value, NoInstances):
        return {}
    if isinstance(value, int) and not -(1 << 53) <= value <= 1 << 53:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
