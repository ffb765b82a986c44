"""The functions of the language: those of JMESPath that read, and a few for what vendors write.

``lower``, ``upper``, ``replace``, ``split`` and ``trim`` are as in JMESPath Community (jmespath.site). ``eui`` reads an
EUI-64 however it is written: 16 hexadecimal digits in any case, with or without dashes or colons, or base64; it
gives 16 upper-case digits. ``hex`` and ``base64`` translate one into the other.

A wrong argument gives None.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

LONGEST_TEXT = 65_536
"""Characters of a text that a function makes."""
LONGEST_NUMBER = 64
"""Characters of a text that may be a number."""

_NUMBER = re.compile(r"\s*-?\d+(\.\d+)?([eE][+-]?\d{1,3})?\s*", re.ASCII)
_DIGITS = re.compile(r"[0-9A-Fa-f]{16}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{11}=?")


class Function(Struct, frozen=True):
    """A function: what it does, how many arguments it takes, the place of the argument that is a path (``by``), and
    whether it looks at all of a list."""

    run: Callable[..., Any]
    least: int = 1
    most: int = 1
    by: int | None = None
    weighs: bool = False

    @property
    def loops(self) -> bool:
        """Whether it looks at all of a list."""
        return self.weighs or self.by is not None

    @property
    def takes(self) -> str:
        """How many arguments, in words."""
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _short(text: str) -> str | None:
    return text if len(text) <= LONGEST_TEXT else None


def _contains(subject: Any, search: Any) -> bool | None:
    if isinstance(subject, str):
        return isinstance(search, str) and search in subject
    if isinstance(search, (list, dict)) or not isinstance(subject, list):
        return None
    return any(item == search and isinstance(item, bool) is isinstance(search, bool) for item in subject)


def _join(glue: Any, items: Any) -> str | None:
    if not isinstance(glue, str) or not isinstance(items, list) or not _texts(*items):
        return None
    if sum(map(len, items)) + len(glue) * len(items) > LONGEST_TEXT:
        return None
    return glue.join(items)


def _keys(value: Any) -> list[str] | None:
    return list(value) if isinstance(value, dict) else None


def _values(value: Any) -> list[Any] | None:
    return list(value.values()) if isinstance(value, dict) else None


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, (str, list, dict)) else None


def _best(pick: Callable[..., Any]) -> Callable[[list[Any], Callable[[Any], Any]], Any]:
    def best(items: list[Any], path: Callable[[Any], Any]) -> Any:
        found = [(value, item) for item in items if is_number(value := path(item))]
        return pick(found, key=lambda pair: pair[0])[1] if found else None

    return best


def _not_null(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def to_number(value: Any) -> int | float | None:
    """The number that a value is, or that a text says; None if there is none."""
    if is_number(value):
        number: int | float = value
        return number
    if not isinstance(value, str) or len(value) > LONGEST_NUMBER:
        return None
    if value.isascii() and value.isdigit():
        return int(value)
    if not _NUMBER.fullmatch(value):
        return None
    try:
        return int(value)
    except ValueError:
        real = float(value)
        return real if math.isfinite(real) else None


def _period(value: Any, length: Any) -> int | None:
    """Which of the periods of a length a number is in, counted from 0."""
    number, size = to_number(value), to_number(length)
    if number is None or size is None or size <= 0:
        return None
    try:
        return math.floor(number / size)
    except (OverflowError, ValueError):  # more than a float holds, or none of JSON's numbers
        return None


def _to_string(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) and abs(value) < 1e300 else None


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return _TYPES.get(type(value), "null")


_TYPES = {str: "string", int: "number", float: "number", list: "array", dict: "object"}


def _split(subject: Any, search: Any) -> list[str] | None:
    if not _texts(subject, search) or not search or len(subject) > LONGEST_TEXT:
        return None
    parts: list[str] = subject.split(search, 1_000)
    return parts


def _replace(subject: Any, old: Any, new: Any) -> str | None:
    if not _texts(subject, old, new) or not old or len(subject) > LONGEST_TEXT:
        return None
    if len(subject) + subject.count(old) * (len(new) - len(old)) > LONGEST_TEXT:
        return None
    changed: str = subject.replace(old, new)
    return changed


def decode_base64(text: str) -> bytes | None:
    """Bytes of base64: of either alphabet, also without its padding; None for what is none."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # nearly all are of the first alphabet, with their padding
        pass
    try:
        padded = text.translate(_STANDARD) + "=" * (-len(text) % 4)
        return binascii.a2b_base64(padded, strict_mode=True)
    except ValueError:
        return None


_STANDARD = str.maketrans("-_", "+/")


def decode_hex(text: str) -> bytes | None:
    """Bytes of hexadecimal digits in either case; None for what is none."""
    try:
        return bytes.fromhex(text) if text.isascii() else None
    except ValueError:
        return None


def _eui(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > LONGEST_NUMBER:
        return None
    if _DIGITS.fullmatch(value):
        return value.upper()
    digits = value.replace("-", "").replace(":", "")
    if _DIGITS.fullmatch(digits):
        return digits.upper()
    if not _BASE64.fullmatch(value):
        return None
    octets = decode_base64(value)
    return octets.hex().upper() if octets is not None and len(octets) == 8 else None


def _hex(value: Any) -> str | None:
    octets = decode_base64(value) if isinstance(value, str) and len(value) <= LONGEST_TEXT else None
    return octets.hex() if octets is not None else None


def _base64(value: Any) -> str | None:
    octets = decode_hex(value) if isinstance(value, str) and len(value) <= LONGEST_TEXT else None
    return base64.b64encode(octets).decode() if octets is not None else None


def _on_text(change: Callable[[str], str]) -> Callable[[Any], str | None]:
    return lambda value: (
        _short(change(value)) if isinstance(value, str) and len(value) <= LONGEST_TEXT else None
    )


FUNCTIONS: dict[str, Function] = {
    "base64": Function(_base64),
    "contains": Function(_contains, 2, 2, weighs=True),
    "ends_with": Function(lambda text, end: text.endswith(end) if _texts(text, end) else None, 2, 2),
    "eui": Function(_eui),
    "hex": Function(_hex),
    "join": Function(_join, 2, 2, weighs=True),
    "keys": Function(_keys, weighs=True),
    "length": Function(_length),
    "lower": Function(_on_text(str.lower)),
    "max_by": Function(_best(max), 2, 2, by=1),
    "min_by": Function(_best(min), 2, 2, by=1),
    "not_null": Function(_not_null, 1, 16),
    "period": Function(_period, 2, 2),
    "replace": Function(_replace, 3, 3),
    "split": Function(_split, 2, 2),
    "starts_with": Function(
        lambda text, begin: text.startswith(begin) if _texts(text, begin) else None, 2, 2
    ),
    "to_number": Function(to_number),
    "to_string": Function(_to_string),
    "trim": Function(_on_text(str.strip)),
    "type": Function(_type),
    "upper": Function(_on_text(str.upper)),
    "values": Function(_values, weighs=True),
}
