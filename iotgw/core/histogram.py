"""How long things took, counted in buckets, as Prometheus reads it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence


class Histogram:
    """Counts waits. ``bounds`` are the buckets' upper ends in seconds, ascending; what is longer than all of them has a bucket of its own."""

    __slots__ = ("_bounds_ms", "bounds", "counts", "sum_ms")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._bounds_ms = [1000 * bound for bound in bounds]
        self.counts = [0] * (len(bounds) + 1)
        """How many ended in each bucket, and beyond the last."""
        self.sum_ms = 0

    def add(self, waits_ms: Mapping[int, int]) -> None:
        """Count a batch of waits in milliseconds: their numbers by length. What is below 0, because somebody set a clock, counts as 0.

        What waits together has come within a few milliseconds. So this costs a search for each of those, not for each wait.
        """
        for wait, count in waits_ms.items():
            self.counts[bisect_left(self._bounds_ms, wait)] += count
            self.sum_ms += max(0, wait) * count

    @property
    def count(self) -> int:
        """How many waits were counted."""
        return sum(self.counts)

    def merge(self, other: Histogram) -> None:
        """Add what another one with the same bounds has counted."""
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        self.sum_ms += other.sum_ms
