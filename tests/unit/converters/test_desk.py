"""Work for people: tenants take turns, none has all workers, and each has a share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from iotgw.converters.desk import Desk
from iotgw.converters.protocol import Tried
from iotgw.converters.trial import TryWork
from iotgw.core.errors import TooMany


class Place:
    """A slot whose worker does what a test tells it to, one thing at a time."""

    def __init__(self, name: str, more: Callable[[], Any], depth: int) -> None:
        assert depth == 1
        self.more = more
        self.work: Any = None

    def pump(self) -> None:
        if self.work is None:
            self.work = self.more()

    def finish(self) -> None:
        work, self.work = self.work, None
        work.done(Tried(1, b"{}"))
        self.pump()


class Office:
    """A desk with its places; ``said`` is whose work has ended, in this order."""

    def __init__(self, places: int = 2, share: int = 8) -> None:
        self.clock = Clock()
        self.places: list[Place] = []
        self.said: list[str] = []
        names = [str(number) for number in range(places)]
        self.desk = Desk(self.clock, self.make, names, "saves", share)  # type: ignore[arg-type]

    def make(self, name: str, more: Callable[[], Any], depth: int) -> Place:
        self.places.append(Place(name, more, depth))
        return self.places[-1]

    def put(self, tenant: str, name: str = "") -> None:
        work = TryWork("test", {"name": name or tenant}, 0.25)
        self.desk.put(tenant, work).addCallback(lambda _: self.said.append(name or tenant))

    @property
    def running(self) -> list[str]:
        return [place.work._body["name"] if place.work else "" for place in self.places]

    def finish(self, place: int) -> None:
        self.places[place].finish()
        self.clock.advance(0)


def test_one_tenant_never_has_all_workers() -> None:
    office = Office(places=3)
    for _ in range(5):
        office.put("acme")
    assert office.running == ["acme", "acme", ""]
    office.put("north")
    assert office.running == ["acme", "acme", "north"]


def test_a_desk_of_one_worker_serves_everybody() -> None:
    office = Office(places=1)
    office.put("acme")
    assert office.running == ["acme"]


def test_tenants_take_turns() -> None:
    office = Office()
    for number in range(3):
        office.put("acme", f"acme {number}")
    office.put("north")
    office.put("south")
    assert office.running == ["acme 0", "north"]
    office.finish(1)
    assert office.running == ["acme 0", "south"]
    office.finish(0)
    assert office.running == ["acme 1", "south"]
    for place in (0, 1, 0):
        office.finish(place)
    assert office.said == ["north", "acme 0", "acme 1", "south", "acme 2"]
    assert office.running == ["", ""]


def test_what_is_beyond_a_tenant_s_share_is_refused_and_others_have_theirs() -> None:
    office = Office(share=3)
    for _ in range(3):
        office.put("acme")
    with pytest.raises(TooMany, match="expected at most 3 saves of a tenant at a time"):
        office.put("acme")
    office.put("north")
    office.finish(0)
    office.put("acme")
    with pytest.raises(TooMany):
        office.put("acme")


def test_nothing_is_remembered_of_tenants_whose_work_has_ended() -> None:
    office = Office()
    for number in range(100):
        office.put(f"tenant {number}")
        office.finish(0)
    assert not office.desk._waiting
    assert not office.desk._running
