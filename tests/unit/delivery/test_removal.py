"""What was removed stays so, whatever was under way."""

import pytest
from msgspec import structs
from twisted.internet.defer import Deferred

from iotgw.core.errors import NotFound
from iotgw.core.verdict import Rejected
from tests.unit.delivery.worlds import World


def is_gone(world):
    for _ in range(5):
        world.clock.advance(1)
    with pytest.raises(NotFound):
        world.service.entry("i1")
    return world.journal.cursors == {} and world.journal.parked == {}


def test_one_that_is_removed_while_it_is_reordered_does_not_come_back():
    world = World()
    world.store("a")
    stopped = Deferred()
    world.target.stop = lambda: stopped
    world.service.apply("i1", "one", "default", structs.replace(world.spec, order="none"))
    world.target.answer_all()
    world.service.remove("i1")
    stopped.callback(None)
    assert is_gone(world)
    assert len(world.types.get("fake").targets) == 2


def test_one_that_is_removed_while_its_rows_are_read_does_not_come_back():
    world = World(apply=False)
    world.journal.slow = []
    world.service.apply("i1", "one", "default", world.spec)
    world.service.remove("i1")
    while world.journal.slow:
        deferred, rows = world.journal.slow.pop(0)
        deferred.callback(rows)
    assert is_gone(world)


def test_one_that_is_removed_while_it_waits_for_quiet_does_not_come_back():
    world = World()
    world.store("a")
    world.service.apply("i1", "one", "default", structs.replace(world.spec, description="new"))
    world.service.remove("i1")
    assert is_gone(world)


def test_what_is_under_way_for_a_removed_one_writes_nothing():
    world = World(says=lambda records: Rejected("never"))
    world.store("a", "b")
    world.clock.advance(1)
    world.journal.slow = []
    world.service.dismiss("i1")
    world.service.remove("i1")
    slow, world.journal.slow = world.journal.slow, None
    for deferred, rows in slow:
        deferred.callback(rows)
    assert is_gone(world)


def test_a_removed_one_that_is_made_again_begins_anew():
    world = World()
    world.store("a")
    world.service.remove("i1")
    world.service.apply("i1", "one", "default", world.spec)
    assert world.stats()["queued"] == 0
