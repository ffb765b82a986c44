"""How long records took from the disk to their target."""

from __future__ import annotations

import msgspec
from twisted.internet.task import Clock

from iotgw.core.clock import PlainCalendar
from iotgw.core.times import DateMs, SteadyMs
from iotgw.delivery.waits import Waits
from iotgw.testing import telemetry


def test_a_wait_begins_when_the_uplink_was_durable_or_else_when_it_came() -> None:
    clock = Clock()
    clock.advance(100.0)
    times = {7: SteadyMs(99_990)}
    waits = Waits(times.get, PlainCalendar(clock), lambda: SteadyMs(int(clock.seconds() * 1000)))
    known = msgspec.structs.replace(telemetry(1), uplink=7, received_ms=DateMs(99_000))
    forgotten = msgspec.structs.replace(telemetry(2), uplink=3, received_ms=DateMs(98_000))
    event = msgspec.structs.replace(telemetry(3), uplink=0, received_ms=DateMs(99_999))
    waits.delivered([known, forgotten, event])
    waits.delivered([])
    waits.delivered([known, known])
    assert (waits.histogram.count, waits.histogram.sum_ms) == (5, 10 + 2000 + 1 + 2 * 10)
