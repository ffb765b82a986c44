"""What is kept in memory of one device that has something parked."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from iotgw.core.model import Parked


class ParkedLine:
    """One device's parked records. ``head`` and ``last`` are the positions of the first and the last, ``count``
    how many there are, ``size`` the bytes of all.

    ``rows`` are the first of them, when they were read; ``idle`` says that it waits for ``next_try_ms``. ``missed``
    is the position of one that joined before the head, 0 for none: it is read next.
    """

    __slots__ = (
        "attempts", "count", "device", "head", "idle", "key", "last", "missed", "next_try_ms", "rows", "size"
    )  # fmt: skip

    def __init__(self, key: Hashable, device: str, head: int, attempts: int, next_try_ms: int) -> None:
        self.key = key
        self.device = device
        self.head = head
        self.last = head
        self.attempts = attempts
        self.next_try_ms = next_try_ms
        self.count = 1
        self.size = 0
        self.rows: deque[Parked] = deque()
        self.idle = True
        self.missed = 0


def by_size(line: ParkedLine) -> int:
    """To find the line that takes the most room."""
    return line.size
