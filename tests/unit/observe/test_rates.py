"""Figures second by second."""

from __future__ import annotations

from twisted.internet.task import Clock

from iotgw.core.ports.rates import COARSE_STEPS, FINE_STEPS, Figures
from iotgw.observe.live import LiveFeed
from iotgw.observe.rates import RateMeter


class Room:
    """One datasource and one integration of a tenant, whose figures a test sets."""

    def __init__(self) -> None:
        self.received, self.waiting = 100, 0
        self.more: list[Figures] = []

    def samples(self) -> list[Figures]:
        web = Figures("datasource", "acme", "id1", "web", (self.received, 0, 0, 0, 0, self.waiting))
        return [web, *self.more]


class Metered:
    def __init__(self, most: int = 10) -> None:
        self.clock = Clock()
        self.clock.advance(10_000)
        self.room = Room()
        self.live = LiveFeed()
        self.meter = RateMeter([self.room], self.live, self.clock, most)
        self.meter.start()

    def second(self, received: int, waiting: int = 0) -> None:
        self.room.received += received
        self.room.waiting = waiting
        self.clock.advance(1)

    def points(self, figure: str, step: int, first: int, count: int) -> list[int | None]:
        return self.meter.points("datasource", "id1", step, first, count)[figure]


def test_what_was_there_before_the_start_counts_nothing() -> None:
    its = Metered()
    its.second(3)
    its.second(0)
    its.second(4)
    assert its.points("received", 1, 9_998, 8) == [None, None, 0, 3, 0, 4, None, None]


def test_what_waits_is_what_waits_at_the_end_of_a_step() -> None:
    its = Metered()
    for waiting in (5, 9, 2, 7):
        its.second(0, waiting)
    assert its.points("waiting", 1, 10_001, 4) == [5, 9, 2, 7]
    assert its.points("waiting", 10, 10_000, 1) == [7]


def test_longer_steps_are_sums() -> None:
    its = Metered()
    for _ in range(120):
        its.second(2)
    assert its.points("received", 10, 10_010, 2) == [20, 20]
    assert its.points("received", 60, 10_020, 1) == [120]


def test_it_holds_minutes_by_the_second_and_a_day_by_the_minute() -> None:
    its = Metered()
    for _ in range(FINE_STEPS + 60):
        its.second(1)
    now = 10_000 + FINE_STEPS + 60
    assert its.points("received", 1, now - FINE_STEPS, 2) == [None, 1]
    assert its.points("received", 60, 10_020, 1) == [60]
    its.second(1)
    its.clock.advance(60 * COARSE_STEPS)
    assert its.points("received", 60, 10_020, 1) == [None]


def test_a_second_in_which_nobody_was_asked_counts_nothing() -> None:
    its = Metered()
    its.second(1)
    its.room.received += 7
    its.clock.advance(3)
    assert its.points("received", 1, 10_001, 4) == [1, 0, 0, 7]


def test_a_count_that_goes_back_counts_nothing() -> None:
    its = Metered()
    its.second(-5)
    assert its.points("received", 1, 10_001, 1) == [0]


def test_no_more_than_so_many_are_followed() -> None:
    its = Metered(most=1)
    its.room.more = [Figures("integration", "acme", "id0", "out", (0,) * 6)]
    its.second(1)
    assert its.meter.points("integration", "id0", 1, 10_001, 1)["queued"] == [None]
    assert its.points("received", 1, 10_001, 1) == [1]


def test_what_has_changed_is_shown_to_whoever_looks() -> None:
    its = Metered()
    its.room.more = [Figures("integration", "north", "id2", "out", (0,) * 6)]
    its.second(1)
    assert its.live.head == 0
    its.live.join(frozenset({"stats"}))
    its.second(0)
    assert {each.tenant for each in its.live.after(0)} == {"acme", "north"}  # all, at first
    before = its.live.head
    its.second(1)
    (shown,) = its.live.after(before)
    assert [each.name for each in shown.value] == ["web"] and shown.value[0].figures[0] == 102
