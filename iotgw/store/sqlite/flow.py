"""How much was received and made, from the marks that the journal keeps of its own time: whatever it holds, without looking at a message."""

from __future__ import annotations

import msgspec

from iotgw.core.ports.journal import Flow
from iotgw.core.times import SteadyMs
from iotgw.store.sqlite.scans import Ask

_marks = msgspec.json.Decoder(list[tuple[int, int, int]]).decode
_MARKS = """
SELECT json_group_array(json_array(step, uplink, telemetry)) FROM (
    SELECT at_ms / ? AS step, min(uplink) AS uplink, min(telemetry) AS telemetry FROM mark
    WHERE at_ms >= ? AND at_ms < ? GROUP BY step ORDER BY step)
"""
_NEXT = """
SELECT json_group_array(json_array(at_ms, uplink, telemetry)) FROM (
    SELECT at_ms, uplink, telemetry FROM mark WHERE at_ms >= ? ORDER BY at_ms LIMIT 1)
"""


def flow(ask: Ask, since_ms: SteadyMs, until_ms: SteadyMs, step_ms: int, last: tuple[int, int]) -> list[Flow]:
    """See `iotgw.core.ports.journal.IMessages.flow`. ``last`` are the last positions of both streams.

    Traffic makes a mark when the last one is ten seconds old. So what lies between two marks came within ten seconds after the first one, however late
    the second one is.
    """

    def rows(query: str, *values: object) -> list[tuple[int, int, int]]:
        (text,) = ask(query, *values)
        return _marks(text if isinstance(text, str) else "[]")

    steps = rows(_MARKS, step_ms, since_ms, until_ms)
    if not steps:
        return []
    behind = rows(_NEXT, until_ms) or [(0, *last)]
    ends = [*steps[1:], behind[0]]
    return [
        Flow(SteadyMs(step * step_ms), max(0, to_uplink - uplink), max(0, to_record - record))
        for (step, uplink, record), (_, to_uplink, to_record) in zip(steps, ends, strict=True)
    ]
