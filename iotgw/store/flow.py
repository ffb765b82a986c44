"""How much was received and made, from the marks that a journal keeps of its own time: whatever it holds, without looking at a message."""

from __future__ import annotations

from collections.abc import Sequence

from iotgw.core.ports.journal import Flow
from iotgw.core.times import SteadyMs

Mark = tuple[int, int, int]
"""A time, and the positions of both streams at it."""


def flow_of(steps: Sequence[Mark], behind: Mark, step_ms: int) -> list[Flow]:
    """See `iotgw.core.ports.journal.IMessages.flow`. ``steps`` have the number of a step, and the first positions in it; ``behind`` is the first
    mark behind them.

    Traffic makes a mark when the last one is ten seconds old. So what lies between two marks came within ten seconds after the first one, however late
    the second one is.
    """
    return [
        Flow(SteadyMs(step * step_ms), max(0, to_uplink - uplink), max(0, to_record - record))
        for (step, uplink, record), (_, to_uplink, to_record) in zip(steps, [*steps[1:], behind], strict=True)
    ]
