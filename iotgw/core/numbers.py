"""Numbers in untrusted text: headers, queries, ids, devices' fields. One parser for all of them.

``str.isdigit`` is true of "²", which `int` refuses; `int` takes "1_000", "+1", "１" and " 1 "; it raises for more than
4,300 digits, and `float` takes "nan" and "inf". Here a number is ASCII, short, and within its bounds, or it is None.
"""

from __future__ import annotations

import math
import re
from typing import Any

MOST = 1 << 53
"""The largest integer that every JSON parser keeps exactly (RFC 8259 §6)."""
LONGEST = 32
"""Characters of a number; leading zeros count."""

_WHOLE = re.compile(r"[0-9]{1,32}")
_WHOLE_BYTES = re.compile(rb"[0-9]{1,32}")
_REAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{1,32}")


def _text(said: str | bytes | bytearray) -> str:
    return said if isinstance(said, str) else said[: LONGEST + 1].decode("latin-1")


def whole(said: str | bytes | bytearray, low: int = 0, high: int = MOST) -> int | None:
    """A whole number without sign, ``low`` to ``high``; None for anything else."""
    digits = _WHOLE.fullmatch(said) if isinstance(said, str) else _WHOLE_BYTES.fullmatch(said)
    if digits is None:
        return None
    value = int(said)
    return value if low <= value <= high else None


def hexadecimal(said: str | bytes | bytearray, high: int = MOST) -> int | None:
    """Hexadecimal digits without sign or prefix, up to ``high``; None for anything else."""
    text = _text(said)
    if _HEXADECIMAL.fullmatch(text) is None:
        return None
    value = int(text, 16)
    return value if value <= high else None


def real(said: Any, low: float = -math.inf, high: float = math.inf) -> float | None:
    """A finite number, ``low`` to ``high``, as decimal text or as what JSON made of it; None for anything else."""
    if isinstance(said, str | bytes | bytearray):
        text = _text(said)
        if len(text) > LONGEST or _REAL.fullmatch(text) is None:
            return None
    elif isinstance(said, bool) or not isinstance(said, int | float):
        return None
    try:
        value = float(said)
    except OverflowError:
        return None
    return value if math.isfinite(value) and low <= value <= high else None


def shown(said: str) -> str:
    """A received value, shortened for an error message."""
    return repr(said) if len(said) <= LONGEST else f"{said[:LONGEST]!r}… ({len(said)} characters)"
