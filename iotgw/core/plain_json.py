"""Parses untrusted JSON, with one error for everything that can be wrong with it.

Numbers are bounded by msgspec: an integer has at most 4300 digits, and 1e400 is refused. A parsed value is
never more than a small multiple of its text. Depth is bounded here, since a value must also be written again
from deeper in the stack, and be walked through by recursive code.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")

DEPTH = 64
"""Maximum nesting depth."""
_STRING = re.compile(rb'(?s)"[^"\\]*(?:\\.[^"\\]*)*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = [1 if byte in b"[{" else -1 for byte in range(256)]


class NotJson(ValueError):
    """This text is no JSON, is nested too deeply, or isn't of the type that was asked for."""


@overload
def decode(data: bytes, *, depth: int = DEPTH) -> Any: ...


@overload
def decode(data: bytes, type: type[T], depth: int = DEPTH, strict: bool = True) -> T: ...


def decode(data: bytes, type: Any = Any, depth: int = DEPTH, strict: bool = True) -> Any:
    """The value of a JSON text, as msgspec reads it into ``type``. Raises `NotJson`, and nothing else."""
    try:
        value = msgspec.json.decode(data, type=type, strict=strict)
    except UnicodeDecodeError as error:
        raise NotJson(f"expected UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise NotJson(_too_deep(depth)) from error
    except msgspec.MsgspecError as error:
        raise NotJson(str(error)) from error
    # a text with so few opening brackets needs no further check; nearly all have few
    if data.count(b"[") + data.count(b"{") > depth and _depth(data) > depth:
        raise NotJson(_too_deep(depth))
    return value


def _too_deep(depth: int) -> str:
    return f"expected at most {depth} levels of nesting, got more"


def _depth(data: bytes) -> int:
    """The nesting depth of a JSON text that has been read, including fields that were ignored."""
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
