"""What rooms have counted is asked for by a timer, and its differences are kept."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import NoSpace
from iotgw.core.model import ConversionError, Outcome, Output, State, StoredUplink, Uplink
from iotgw.core.ports.usage import Amounts, DeviceTally, Tally, UsageQuery
from iotgw.observe.usage import FLUSH, DeviceMeter, UsageMeter

HOUR = 3600


class Room:
    """Counts what a test says."""

    def __init__(self) -> None:
        self.counted: dict[str, Amounts] = {}

    def tallies(self) -> list[Tally]:
        return [Tally(("datasource", "default", id), id, amounts) for id, amounts in self.counted.items()]


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000 * HOUR)
        self.room, self.devices = Room(), DeviceMeter(most=3)
        self.store = testing.MemoryUsage()
        self.again()

    def again(self) -> None:
        self.meter = UsageMeter(self.store, [self.room], self.devices, self.clock, PlainCalendar(self.clock))

    def kept(self, per: Any = "datasource", every: Any = "all") -> list[tuple[str, Amounts]]:
        rows = testing.fired(self.store.rows(UsageQuery("default", per, every)))
        return [(row.name, row.amounts) for row in rows]

    def hear(self, *names: str, size: int = 2) -> None:
        """A batch in which each device has a message, and one that failed."""
        uplinks = [StoredUplink(1, Uplink("default", "ds", 0, b"x" * size, b"{}"))] * (len(names) + 1)  # type: ignore[arg-type]
        outcomes = [Outcome(1, State.CONVERTED, "c/1", (Output(name, "t", b"{}"),)) for name in names]
        outcomes.append(Outcome(1, State.FAILED, "c/1", (), ConversionError("boom")))
        self.devices.converted("default", uplinks, outcomes)


@pytest.fixture
def world() -> World:
    return World()


def test_what_was_counted_before_the_start_is_no_usage(world: World) -> None:
    world.room.counted["a"] = Amounts(100)
    world.meter.start()
    world.room.counted = {"a": Amounts(103, errors=1), "new": Amounts(5)}
    world.clock.advance(FLUSH)
    assert world.kept() == [("a", Amounts(3, errors=1)), ("new", Amounts(5))]
    world.room.counted["a"] = Amounts(104, errors=1)
    world.clock.advance(FLUSH)
    assert world.kept() == [("a", Amounts(4, errors=1)), ("new", Amounts(5))]


def test_where_nothing_was_used_nothing_is_written(world: World) -> None:
    world.room.counted["a"] = Amounts(100)
    world.meter.start()
    world.clock.pump([FLUSH] * 5)
    assert world.store.things == []


def test_an_hour_has_what_was_used_in_it(world: World) -> None:
    world.clock.advance(HOUR - 20)
    world.meter.start()
    world.room.counted["a"] = Amounts(1)
    world.clock.advance(21)
    world.room.counted["a"] = Amounts(3)
    world.clock.advance(FLUSH)
    assert [amounts for _, amounts in world.kept(every="hour")] == [Amounts(1), Amounts(2)]


def test_a_count_that_went_back_counts_nothing(world: World) -> None:
    world.room.counted["a"] = Amounts(10, errors=5)
    world.meter.start()
    world.room.counted["a"] = Amounts(12, errors=2)
    world.clock.advance(FLUSH)
    assert world.kept() == [("a", Amounts(2))]


def test_what_is_stopped_keeps_what_was_counted_and_a_kill_loses_a_minute_at_most(world: World) -> None:
    world.meter.start()
    world.room.counted["a"] = Amounts(1)
    testing.fired(world.meter.stop())
    world.again()
    world.meter.start()
    world.room.counted["a"] = Amounts(2)
    world.clock.advance(FLUSH)
    world.room.counted["a"] = Amounts(4)  # and nothing more of this process
    world.again()
    world.meter.start()
    assert world.kept() == [("a", Amounts(2))]


def test_what_cannot_be_written_goes_with_what_comes_next(world: World) -> None:
    world.meter.start()
    world.store.problem = NoSpace("full")
    world.room.counted = {"a": Amounts(1), "b": Amounts(1)}
    world.hear("dev-1")
    world.clock.advance(FLUSH)
    world.store.problem = None
    world.room.counted["a"] = Amounts(3)
    world.hear("dev-1")
    world.clock.advance(FLUSH)
    assert world.kept() == [("a", Amounts(3)), ("b", Amounts(1))]
    assert world.kept("device") == [("dev-1", Amounts(2, 4))]


def test_devices_are_counted_and_those_beyond_a_bound_together(world: World) -> None:
    world.meter.start()
    world.hear("dev-1", "dev-2", "dev-1")
    world.hear("dev-3", "dev-4", "dev-5", "dev-1", size=10)
    world.clock.advance(FLUSH)
    assert world.kept("device") == [
        ("", Amounts(2, 20)), ("dev-1", Amounts(3, 14)), ("dev-2", Amounts(1, 2)), ("dev-3", Amounts(1, 10)),
    ]  # fmt: skip
    world.hear("dev-5")
    world.clock.advance(FLUSH)
    assert ("dev-5", Amounts(1, 2)) in world.kept("device")


def test_a_message_that_fails_counts_for_the_device_that_its_metadata_names() -> None:
    known = {"meter-1": "meter-1", "70B3": "meter-2"}
    meter = DeviceMeter(
        known=lambda tenant, names: next((known[each] for each in names if each in known), "")
    )
    told = [
        b'{"deviceName":"meter-1"}',
        b'{"devEui":"70B3"}',
        b'{"devEui":"70B3"}',
        b'{"identity":"stranger"}',
        b"{}",
        b"[]",
    ]
    uplinks = [StoredUplink(1, Uplink("default", "ds", 0, b"xx", each)) for each in told]  # type: ignore[arg-type]
    failed = Outcome(1, State.FAILED, "c/1", (), ConversionError("boom"))
    meter.converted("default", uplinks, [failed] * len(told))
    assert meter.take() == [
        DeviceTally("default", "meter-1", 0, 0, 1),
        DeviceTally("default", "meter-2", 0, 0, 2),
    ]


def test_an_answer_is_up_to_now_and_many_of_a_second_write_once(world: World) -> None:
    world.meter.start()
    query = UsageQuery("default", "datasource")
    for count in (1, 2, 3):
        world.room.counted["a"] = Amounts(count)
        rows = testing.fired(world.meter.rows(query))
        assert [row.amounts for row in rows] == [Amounts(1)]
    assert len(world.store.things) == 1
    world.clock.advance(2)
    assert [row.amounts for row in testing.fired(world.meter.rows(query))] == [Amounts(3)]


def test_devices_are_written_only_for_who_asks_for_devices(world: World) -> None:
    world.meter.start()
    world.hear("a")
    world.room.counted["ds"] = Amounts(1)
    rows = testing.fired(world.meter.rows(UsageQuery("default", "datasource", "all")))
    assert [row.amounts for row in rows] == [Amounts(1)]
    assert world.kept("device") == []
    rows = testing.fired(world.meter.rows(UsageQuery("default", "device", "all")))
    assert [(row.name, row.amounts.messages) for row in rows if row.name] == [("a", 1)]


def test_writes_come_one_after_another(world: World) -> None:
    class Slow(testing.MemoryUsage):
        gate: Deferred[None] = Deferred()

        def add(self, *args: Any) -> Deferred[None]:
            return self.gate.addCallback(lambda _: super(Slow, self).add(*args))

    world.store = Slow()
    world.again()
    world.meter.start()
    world.room.counted["a"] = Amounts(1)
    world.clock.advance(FLUSH)
    world.room.counted["a"] = Amounts(2)
    stopped = world.meter.stop()
    assert not stopped.called
    world.store.gate.callback(None)  # type: ignore[attr-defined]
    testing.fired(stopped)
    assert world.kept() == [("a", Amounts(2))]
