"""A jump of the machine's clock is one event, and is kept before anything with a new date is stored."""

import msgspec
from twisted.internet.task import Clock

from iotgw.core.clock import GatewayClock, KeptClock
from iotgw.core.recorder import Recorder
from iotgw.observe.clock_watch import KEEP, ClockWatch
from iotgw.testing import MemoryEvents
from iotgw.testing.reactor import START


class World:
    def __init__(self, ahead=0.0, kept=None):
        self.time = Clock()
        self.ahead = ahead
        self.kept = []
        self.events = MemoryEvents()
        self.clock = GatewayClock(
            kept, "boot", self.time.seconds, lambda: START + self.time.seconds() + self.ahead
        )
        self.watch = ClockWatch(self.clock, self._keep, Recorder(self.events, self.clock.calendar), self.time)
        self.watch.start()

    def _keep(self, state):
        self.kept.append((msgspec.json.decode(state, type=KeptClock), len(self.said())))

    def said(self):
        return self.events.types


def test_a_clock_that_runs_evenly_says_nothing_and_is_kept_now_and_then():
    world = World()
    for _ in range(int(KEEP)):
        world.time.advance(1)
    assert world.said() == []
    assert len(world.kept) == 2


def test_a_jump_is_one_event_and_is_kept_first():
    world = World()
    world.ahead = -3600
    world.time.advance(1)
    world.time.advance(1)
    (event,) = world.events.emitted
    assert event.type == "clock-jumped"
    assert event.detail == {"from": (START + 1) * 1000, "to": (START - 3599) * 1000, "by": -3600}
    assert "jumped by -3600.0 s, from 2026-11-21 12:00:01 UTC to 2026-11-21 11:00:01 UTC" in event.message
    state, said_before = world.kept[-1]
    assert (len(state.stretches), said_before) == (2, 0)


def test_a_jump_while_the_gateway_was_stopped_is_said_at_the_start():
    world = World()
    world.watch.stop()
    later = World(8 * 86400, world.kept[-1][0])
    (event,) = later.events.emitted
    assert "while the gateway was stopped" in event.message


def test_a_clock_that_can_t_be_right_is_said_at_the_start():
    world = World(300 - START)
    (event,) = world.events.emitted
    assert (event.type, event.severity) == ("clock-wrong", "warning")
    assert "1970-01-01 00:05:00 UTC" in event.message


def test_the_state_is_kept_when_the_gateway_stops():
    world = World()
    world.time.advance(100)
    world.watch.stop()
    assert world.kept[-1][0].seen_ms == (START + 100) * 1000
    world.watch.stop()
    assert world.time.getDelayedCalls() == []
