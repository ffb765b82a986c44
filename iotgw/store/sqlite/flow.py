"""The marks that `iotgw.store.flow` reads."""

from __future__ import annotations

import msgspec

from iotgw.core.ports.journal import Flow
from iotgw.core.times import SteadyMs
from iotgw.store.flow import Mark, flow_of
from iotgw.store.sqlite.scans import Ask

_marks = msgspec.json.Decoder(list[Mark]).decode
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
    """See `JournalReads.flow`."""

    def rows(query: str, *values: object) -> list[Mark]:
        (text,) = ask(query, *values)
        return _marks(text if isinstance(text, str) else "[]")

    steps = rows(_MARKS, step_ms, since_ms, until_ms)
    if not steps:
        return []
    behind = rows(_NEXT, until_ms) or [(0, *last)]
    return flow_of(steps, behind[0], step_ms)
