"""Waits in buckets."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.histogram import Histogram

BOUNDS = (0.001, 0.01, 0.25, 1.0)


@given(st.lists(st.integers(-5, 3000), min_size=1))
def test_each_wait_is_in_the_first_bucket_that_holds_it(waits: list[int]) -> None:
    histogram = Histogram(BOUNDS)
    histogram.add(Counter(waits))
    held = [max(0, wait) for wait in waits]
    totals = [sum(histogram.counts[: at + 1]) for at in range(len(BOUNDS))]
    assert totals == [sum(wait <= 1000 * bound for wait in held) for bound in BOUNDS]
    assert (histogram.count, histogram.sum_ms) == (len(waits), sum(held))


def test_two_are_put_together() -> None:
    one, two = Histogram(BOUNDS), Histogram(BOUNDS)
    one.add({1: 1})
    two.add({2: 1, 5000: 1})
    one.merge(two)
    assert (one.counts, one.sum_ms) == ([1, 1, 0, 0, 1], 5003)
