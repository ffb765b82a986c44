"""The entry in memory for one device that has parked records."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from iotgw.core.model import Parked


class ParkedLine:
    """The parked records of one device, or of whatever else ``key`` stands for.

    ``head`` and ``last`` are the positions of the first and the last record. ``count`` is their number, ``size`` their
    bytes. ``attempts`` is how often the first one failed. ``rows`` holds the first few, once they were read. ``idle``
    means that the line waits until ``next_try_ms``, in milliseconds of gateway time. ``missed`` is the position of a record
    that joined before the head, and is read next; 0 if there is none.
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
    """Sort key for finding the line that takes the most space."""
    return line.size
