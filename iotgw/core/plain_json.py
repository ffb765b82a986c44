"""Parses untrusted JSON, with one error for everything that can be wrong with it.

Numbers are bounded by msgspec: an integer has at most 4300 digits, and 1e400 is refused. It takes very long for some, 16 µs for 1e300, so
that a megabyte of them is seconds: in all but short texts, Python reads the floats, with the same result. A parsed value is
never more than a small multiple of its text. Depth is bounded here, since a value must also be written again
from deeper in the stack, and be walked through by recursive code; so is the number of values, since each takes time.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import accumulate
from math import isinf
from operator import add
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")

DEPTH = 64
"""Maximum nesting depth."""
MARKS = 300_000
"""The most commas and opening brackets of one text, those in its strings included: so it has no more values, which take a tenth
of a second."""
SHORT = 1 << 10
"""Bytes of a text that can't have many numbers."""
_LARGE = 64 << 10
"""Bytes of a text of which garbage isn't collected meanwhile."""
_STRING = re.compile(rb'(?s)"[^"\\]*(?:\\.[^"\\]*)*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_AS_BITS = bytes(b"01"[byte in b"[{"] for byte in range(256))
_NET = [2 * eight.bit_count() - 8 for eight in range(256)]
"""By how many levels eight brackets go down, of which a bit that is set opens one."""
_DEEPEST = [
    max(accumulate(1 if eight >> bit & 1 else -1 for bit in range(7, -1, -1))) for eight in range(256)
]
"""How far down they go in between."""


class NotJson(ValueError):
    """This text is no JSON, is nested too deeply, or isn't of the type that was asked for."""


@overload
def decode(data: bytes, *, depth: int = DEPTH) -> Any: ...


@overload
def decode(data: bytes, type: type[T], depth: int = DEPTH, strict: bool = True) -> T: ...


def decode(data: bytes, type: Any = Any, depth: int = DEPTH, strict: bool = True) -> Any:
    """The value of a JSON text, as msgspec reads it into ``type``. Raises `NotJson`, and nothing else."""
    if len(data) > MARKS and sum(map(data.count, (b",", b"[", b"{"))) > MARKS:
        raise NotJson(f"expected at most {MARKS} commas and opening brackets")
    try:
        if len(data) <= SHORT:
            value = msgspec.json.decode(data, type=type, strict=strict)
        elif len(data) <= _LARGE:
            value = _careful(type, strict)(data)
        else:
            with _uncollected():
                value = _careful(type, strict)(data)
    except UnicodeDecodeError as error:
        raise NotJson(f"expected UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise NotJson(_too_deep(depth)) from error
    except msgspec.MsgspecError as error:
        raise NotJson(str(error)) from error
    # a text with so few opening brackets needs no further check; nearly all have few
    if len(data) > depth and _has_more_brackets(data, depth) and _depth(data) > depth:
        raise NotJson(_too_deep(depth))
    return value


def reader(type: Any = Any) -> Callable[[bytes | msgspec.Raw], Any]:
    """Reads texts that the gateway has made itself, of what devices sent, into ``type``. What is no such text raises msgspec's errors."""
    quick, careful = msgspec.json.Decoder(type).decode, _careful(type, True)

    def read(data: bytes | msgspec.Raw) -> Any:
        return quick(data) if len(data) <= SHORT else careful(data)

    return read


@cache
def _careful(type: Any, strict: bool) -> Callable[[bytes | msgspec.Raw], Any]:
    return msgspec.json.Decoder(type, float_hook=_float, strict=strict).decode


def _float(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ValueError("Number out of range")  # as msgspec says it
    return value


def _too_deep(depth: int) -> str:
    return f"expected at most {depth} levels of nesting, got more"


def _has_more_brackets(data: bytes, most: int) -> bool:
    """Whether a text has more opening brackets. Removing a few takes a fourth of the time of counting them."""
    return 2 * len(data) - len(data.replace(b"[", b"")) - len(data.replace(b"{", b"")) > most


def _depth(data: bytes) -> int:
    """The nesting depth of a JSON text that has been read, including fields that were ignored."""
    brackets = _STRING.sub(b"", data).translate(_AS_BITS, _NO_BRACKETS)
    eights = int(b"0" + brackets + b"0" * (-len(brackets) % 8), 2).to_bytes(-(-len(brackets) // 8))
    before = accumulate(map(_NET.__getitem__, eights), initial=0)
    return max(map(add, before, map(_DEEPEST.__getitem__, eights)), default=0)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Make values of a large text without looking for garbage among them, which takes five times as long."""
    pauses = gc.isenabled()
    if pauses:
        gc.disable()
    try:
        yield
    finally:
        if pauses:
            gc.enable()
