"""The workloads, A to L: each names its entries, and what one measurement of an entry is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from harness.measure import Sample
from harness.plan import Plan


def _nothing() -> str:
    return ""


class Entry(NamedTuple):
    """One row of a workload's table. ``measure(plan)`` starts everything afresh and returns a sample."""

    name: str
    measure: Callable[[Plan], Sample]
    missing: Callable[[], str] = _nothing


class Workload(NamedTuple):
    """``entries(plan)`` are measured in turn, ``plan.rounds`` times."""

    letter: str
    title: str
    entries: Callable[[Plan], list[Entry]]
