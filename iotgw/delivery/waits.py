"""How long records took from when they were durable until their target had them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from iotgw.core.histogram import Histogram
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.meters import DurableAt
from iotgw.core.times import SteadyMs

BOUNDS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0, 21600.0, 86400.0,
)  # fmt: skip
"""Buckets in seconds: from a target next door to one that was away for a day."""


class Waits:
    """Counts the waits of one integration, a batch at a time. ``now_ms()`` is gateway time."""

    def __init__(self, durable_at: DurableAt, calendar: ICalendar, now_ms: Callable[[], SteadyMs]) -> None:
        self.histogram = Histogram(BOUNDS)
        self._durable_at = durable_at
        self._calendar = calendar
        self._now_ms = now_ms

    def delivered(self, records: Sequence[TelemetryRecord]) -> None:
        """The target has these now. Of what waited for longer than commits are remembered, the wait counts from its receipt."""
        if not records:
            return
        now_ms, durable_at, moment_ms = self._now_ms(), self._durable_at, self._calendar.moment_ms
        positions = [record.uplink for record in records]
        last = durable_at(max(positions))
        if last is None:  # nor is what came before it remembered
            waits: Counter[int] = Counter()
            for received_ms, count in Counter([record.received_ms for record in records]).items():
                waits[now_ms - moment_ms(received_ms)] += count
        elif (low := min(positions)) and durable_at(low) == last:
            waits = Counter({now_ms - last: len(records)})  # all of one commit, as it mostly is
        else:
            since = [(durable_at(record.uplink), record.received_ms) for record in records]
            waits = Counter([now_ms - (moment_ms(came) if at is None else at) for at, came in since])
        self.histogram.add(waits)
