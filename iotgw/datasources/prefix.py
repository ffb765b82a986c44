"""The durable prefix of a partition: up to which message all are durable, so that a broker may be told. No I/O.

Positions are the broker's own (an offset, a delivery tag, a sequence number) and need not be contiguous.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from msgspec import Struct

P = TypeVar("P")


class Mark(Struct, Generic[P], eq=False):
    """A message that isn't durable yet: its position, and how many of its uplinks are not settled."""

    position: P
    left: int


class DurablePrefix(Generic[P]):
    """The messages of one partition in the order in which they came. ``reached`` is the last position up to which all are
    settled; None before there is one."""

    def __init__(self) -> None:
        self.reached: P | None = None
        self._open: deque[Mark[P]] = deque()

    def __len__(self) -> int:
        """How many messages are not in the prefix."""
        return len(self._open)

    def begin(self, position: P, uplinks: int) -> Mark[P]:
        """The next message, with this many uplinks. One without any is settled when all before it are."""
        mark = Mark(position, uplinks)
        self._open.append(mark)
        if not uplinks:
            self._advance()
        return mark

    def settle(self, mark: Mark[P]) -> bool:
        """One uplink of a message is settled; returns whether the prefix grew."""
        mark.left -= 1
        return not mark.left and self._advance()

    def _advance(self) -> bool:
        waiting, grew = self._open, False
        while waiting and not waiting[0].left:
            self.reached = waiting.popleft().position
            grew = True
        return grew
