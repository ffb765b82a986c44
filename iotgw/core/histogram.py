"""How long things took, counted in buckets, as Prometheus reads it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """Counts waits. ``bounds`` are the buckets' upper ends in seconds, ascending; what is longer than all of them has a bucket of its own."""

    __slots__ = ("_bounds_ms", "bounds", "counts", "sum_ms")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._bounds_ms = [1000 * bound for bound in bounds]
        self.counts = [0] * (len(bounds) + 1)
        """How many ended in each bucket, and beyond the last."""
        self.sum_ms = 0

    def add(self, waits_ms: Sequence[int]) -> None:
        """Count a batch of waits in milliseconds. What is below 0, because somebody set a clock, counts as 0.

        The waits of a batch mostly end in one bucket. So this costs two searches a batch, not one for each wait.
        """
        low, high = min(waits_ms), max(waits_ms)
        if low < 0:
            self.add([max(0, wait) for wait in waits_ms])
            return
        first = bisect_left(self._bounds_ms, low)
        if first == bisect_left(self._bounds_ms, high, first):
            self.counts[first] += len(waits_ms)
        else:
            for wait in waits_ms:
                self.counts[bisect_left(self._bounds_ms, wait, first)] += 1
        self.sum_ms += sum(waits_ms)

    @property
    def count(self) -> int:
        """How many waits were counted."""
        return sum(self.counts)

    def merge(self, other: Histogram) -> None:
        """Add what another one with the same bounds has counted."""
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        self.sum_ms += other.sum_ms
