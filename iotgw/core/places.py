"""What a process calls messages of other nodes.

Where several nodes work on one database, each counts the positions in its own partition. A process calls its own messages by their positions, as
ever. One of another node has a *place*: a number above all positions, with the partition in it. A *walk* is where a list over all partitions goes on: the
places before which it does, of those partitions that are not at their end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BITS = 48
_PLACE = 64
_TEXT = re.compile(r"all-1((?:[0-9a-f]{16}){1,1000})")


def place(part: int, seq: int) -> int:
    """The place of a position in a partition, 1 to 32,767."""
    return part << _BITS | seq


def part_of(position: int) -> int:
    """The partition of a place; 0 for a position of the process's own."""
    return 0 if is_walk(position) else position >> _BITS


def seq_of(position: int) -> int:
    """The position in its partition."""
    return position & (1 << _BITS) - 1


def walk(befores: Mapping[int, int]) -> int:
    """A walk that goes on before these positions, by partition; 0 where there are none, so that it is at its end."""
    if not befores:
        return 0
    found = 1
    for part, seq in sorted(befores.items()):
        found = found << _PLACE | place(part, seq)
    return found


def is_walk(position: int) -> bool:
    """Whether a number is a walk."""
    return position >> _PLACE > 0


def befores(walk: int) -> dict[int, int]:
    """The positions before which a walk goes on, by partition."""
    found: dict[int, int] = {}
    while is_walk(walk):
        each = walk & (1 << _PLACE) - 1
        found[part_of(each)] = seq_of(each)
        walk >>= _PLACE
    return found


def walk_text(walk: int) -> str:
    """A walk as a text."""
    return f"all-{walk:x}"


def walk_of(text: str) -> int | None:
    """The walk of a text; None where it is none."""
    found = _TEXT.fullmatch(text)
    return int(f"1{found[1]}", 16) if found is not None else None
