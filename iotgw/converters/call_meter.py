"""What converters use of a worker's time: measured where one converter's calls end, not at each call."""

from __future__ import annotations

from time import process_time

from iotgw.converters.protocol import Spent
from iotgw.core.model import Conversion


class CallMeter:
    """Measures the calls of one frame. ``spent`` is what they used so far, and ``number`` the converter that is called now; -1 for none."""

    __slots__ = ("_began", "_first", "number", "spent")

    def __init__(self) -> None:
        self.number = -1
        self.spent: list[Spent] = []
        self._first = 0
        self._began = 0.0

    def turn(self, number: int, results: list[Conversion]) -> None:
        """From now on another converter is called. ``results`` are those of all calls of the frame so far."""
        now = process_time()
        if self.number >= 0:
            mine = results[self._first :]
            errors = sum([each.error is not None for each in mine])
            self.spent.append((self.number, len(mine), errors, now - self._began))
        self.number, self._first, self._began = number, len(results), now
