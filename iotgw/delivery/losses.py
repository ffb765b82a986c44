"""Which positions of the stream were never delivered, and why: a bounded number of ranges, in order.

The newest ranges are exact. When there are too many, older neighbours are merged, and the positions in a merged range
become `UNSURE`. So a position is never reported as delivered when it wasn't.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

UNSURE = ""
"""Stands for an outcome that is no longer known: delivered or lost."""
RANGES = 200
"""How many ranges are kept."""
EXACT = 100
"""How many of the newest ranges are never merged."""

Range = tuple[int, int, str]
"""First position, last position, outcome."""


class Losses:
    """Ranges of lost positions. ``delivered`` is the highest position that may have been delivered."""

    def __init__(self, ranges: list[Range], delivered: int) -> None:
        self._ranges = sorted(ranges)
        self._highest = delivered
        self.until = max((last for _, last, _ in ranges), default=0)
        """No lost position lies beyond this one."""

    def ranges(self) -> list[Range]:
        """All ranges, to be stored."""
        return list(self._ranges)

    def outcome(self, seq: int) -> str | None:
        """The outcome of a settled record: why it was lost, `UNSURE`, or None if it was delivered."""
        place = self._place(seq)
        return None if place is None else self._ranges[place][2]

    def lose(self, seq: int, outcome: str) -> None:
        """A record was lost, with this outcome."""
        ranges = self._ranges
        if seq <= self.until:
            self._carve(seq)
            ranges.insert(bisect_right(ranges, (seq,)), (seq, seq, outcome))
        elif ranges and ranges[-1][2] == outcome and self._highest < ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], seq, outcome)  # what lies between is open, or not this integration's
        else:
            ranges.append((seq, seq, outcome))
        self.until = max(self.until, seq)
        if len(ranges) > RANGES:
            self._thin()

    def deliver(self, seqs: Sequence[int]) -> None:
        """Records were delivered, one at least."""
        self._highest = max(self._highest, *seqs)
        if min(seqs) <= self.until:
            for seq in seqs:
                self._carve(seq)

    def doubt(self, until: int) -> None:
        """Up to this position, make everything `UNSURE` that isn't known to be lost."""
        filled: list[Range] = []
        at = 0
        for first, last, outcome in self._ranges:
            if at < first - 1 and at < until:
                filled.append((at + 1, min(first - 1, until), UNSURE))
            filled.append((first, last, outcome))
            at = last
        if at < until:
            filled.append((at + 1, until, UNSURE))
        self._ranges = filled
        self.until = max(self.until, until)
        if len(filled) > RANGES:
            self._thin()

    def forget(self, after: int) -> None:
        """Forget the outcomes after this position: those records are open again."""
        self._ranges = [
            (first, min(last, after), outcome) for first, last, outcome in self._ranges if first <= after
        ]
        self.until = min(self.until, after)
        self._highest = min(self._highest, after)

    def _place(self, seq: int) -> int | None:
        place = bisect_right(self._ranges, seq, key=lambda each: each[0]) - 1
        return place if place >= 0 and self._ranges[place][1] >= seq else None

    def _carve(self, seq: int) -> None:
        """Take one position out of the range that holds it."""
        place = self._place(seq)
        if place is not None:
            first, last, outcome = self._ranges[place]
            left = [(first, seq - 1, outcome), (seq + 1, last, outcome)]
            self._ranges[place : place + 1] = [each for each in left if each[0] <= each[1]]

    def _thin(self) -> None:
        """Merge the older ranges with the smallest gaps between them, until half of them are left."""
        older, newer = self._ranges[:-EXACT], self._ranges[-EXACT:]
        by_gap = sorted(range(1, len(older)), key=lambda n: older[n][0] - older[n - 1][1])
        joined = set(by_gap[: len(older) // 2])
        thinned: list[Range] = []
        for n, (first, last, outcome) in enumerate(older):
            if n in joined:
                before = thinned.pop()
                same = before[2] == outcome and before[1] == first - 1
                thinned.append((before[0], last, outcome if same else UNSURE))
            else:
                thinned.append((first, last, outcome))
        self._ranges = thinned + newer
