"""A job of which each node has a part, as people see it: one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from iotgw.core.ports.jobs import JobState, JobView

_FIRST: tuple[JobState, ...] = ("running", "waiting", "failed", "cancelled", "done")
"""The state of the whole is the first of these that a part has."""


def whole(own: JobView, parts: Sequence[JobView]) -> JobView:
    """What the node does on which a job was begun, and the ``parts`` of the others."""
    if not parts:
        return own
    all = (own, *parts)
    states = {each.state for each in all}
    totals = [each.total for each in all]
    is_over = not states & {"running", "waiting"}
    return replace(
        own,
        state=next(each for each in _FIRST if each in states),
        total=None if None in totals else sum(each or 0 for each in totals),
        done=sum(each.done for each in all),
        counts=_sums([each.counts for each in all]),
        before=_sums([each.before for each in all]),
        after=_sums([each.after for each in all]) if is_over else {},
        ended_at=max(each.ended_at for each in all) if is_over else 0,
        problem="; ".join(dict.fromkeys(each.problem for each in all if each.problem)),
    )


def _sums(figures: Sequence[dict[str, int]]) -> dict[str, int]:
    summed: Counter[str] = Counter()
    for each in figures:
        summed.update(each)
    return dict(summed)
