"""Paths of LwM2M: ``/object/instance/resource/resource instance``, as tuples of numbers (Core §7.2)."""

from __future__ import annotations

from functools import lru_cache

from iotgw.core.numbers import shown, whole
from iotgw.wire.lwm2m.values import CodecError

Path = tuple[int, ...]
"""None to four numbers; the empty one is the root, which stands for all objects."""

LARGEST = 65534
"""65535 is no id (Core §6.3: MAX_ID)."""
ROOT: Path = ()
DEEPEST = 4


@lru_cache(maxsize=8192)
def parse(text: str) -> Path:
    """``"/3/0/9"`` as a path. A slash at the end, or none at the beginning, is forgiven. Raises `CodecError`."""
    if text in ("", "/"):
        return ROOT
    parts = text.removeprefix("/").removesuffix("/").split("/", DEEPEST + 1)
    if len(parts) > DEEPEST:
        raise CodecError(f"expected a path of at most {DEEPEST} ids, got {shown(text)}")
    numbers = []
    for part in parts:
        number = whole(part, 0, LARGEST)
        if number is None:
            raise CodecError(f"expected ids of 0 to {LARGEST} between slashes, got {shown(text)}")
        numbers.append(number)
    return tuple(numbers)


@lru_cache(maxsize=8192)
def text(path: Path) -> str:
    """A path as people and devices write it."""
    return "/" + "/".join(map(str, path))
