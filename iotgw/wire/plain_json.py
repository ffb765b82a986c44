"""JSON from outside, with one error for all that can be wrong with it.

Numbers are bounded by msgspec: an integer has at most 4300 digits, and 1e400 is refused. What it makes of a text is
never more than a small multiple of the text. Depth is bounded here: what is read must also be written again, from
deeper in the stack, and walked through by code that recurses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

DEPTH = 64
"""The most containers around a value."""


class NotJson(ValueError):
    """This text is no JSON, is nested too deeply, or isn't of the type that was asked for."""


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
    # a text with so few opening brackets needs no further look, and nearly all are such
    if data.count(b"[") + data.count(b"{") > depth and _is_deeper(value, depth):
        raise NotJson(_too_deep(depth))
    return value


def _too_deep(depth: int) -> str:
    return f"expected at most {depth} levels of nesting, got more"


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether a value has more levels of containers, level by level as recursion has its own limit."""
    level = [value]
    for _ in range(depth):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return False
    return any(isinstance(each, dict | list | msgspec.Struct) for each in level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list):
        return value
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    return ()
