"""A value at a path, as all formats have it in the end."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.values import Value, ValueType

TypeOf = Callable[[Path], "ValueType | None"]
"""Says of which type the resource at a path is; None is unknown."""
MOST_NODES = 10_000
"""In one message."""


class Node(Struct, frozen=True, gc=False):
    """The value of a resource, or of an instance of a multiple one. ``time`` is when it was measured, in seconds since
    1970 UTC; None if the message doesn't say."""

    path: Path
    value: Value
    time: float | None = None


def untyped(path: Path) -> ValueType | None:
    """Knows no type."""
    return None
