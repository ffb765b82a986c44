"""What a target sends for devices: told when it is durable, tried again while it can't be, and bounded."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from iotgw.core.ports.integrations import QUEUED, Queued
from iotgw.integrations.incoming import LONGEST, MOST, Incoming
from iotgw.testing import Told, integration_context


class World:
    """``says`` is what becomes of an item; None holds it back until `commit`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events = Told()
        self.says: Queued | None = QUEUED
        self.tried: list[str] = []
        self.open: list[Deferred[Queued]] = []
        self.done: list[tuple[str, Queued]] = []
        context = integration_context(reactor=self.clock, event=self.events, downlink=self._queue)
        self.incoming = Incoming(context)

    def _queue(self, tenant, device, item):
        self.tried.append(item["msg"])
        if self.says is not None:
            return succeed(self.says)
        held: Deferred[Queued] = Deferred()
        self.open.append(held)
        return held

    def take(self, *texts, patience=None):
        for text in texts:
            self.incoming.take(
                "d1", {"msg": text}, lambda queued, text=text: self.done.append((text, queued)), patience
            )

    def commit(self):
        held, self.open = self.open, []
        for each in held:
            each.callback(QUEUED)

    def fail(self):
        self.says = Queued("the disk is full", is_final=False)

    @property
    def told(self):
        return [text for text, _ in self.done]


@pytest.fixture
def world():
    return World()


def test_nobody_is_told_before_it_is_durable(world):
    world.says = None
    world.take("a", "b")
    assert world.done == []
    world.commit()
    assert world.done == [("a", QUEUED), ("b", QUEUED)]


def test_a_refusal_holds_up_nothing(world):
    world.says = Queued("too many wait")
    world.take("a")
    world.says = QUEUED
    world.take("b")
    assert world.done == [("a", Queued("too many wait")), ("b", QUEUED)] and not world.incoming.trouble


def test_what_can_not_be_stored_is_tried_again_in_its_order_and_said_once(world):
    world.fail()
    world.take("a", "b", "c")
    assert world.tried == ["a"] and world.done == []
    world.clock.pump([1.0] * 10)
    assert set(world.tried) == {"a"} and world.done == []
    assert world.incoming.trouble == "downlinks can't be stored: the disk is full"
    assert [type for type, _ in world.events.events] == ["integration.trouble"]
    world.says = QUEUED
    world.clock.pump([1.0] * 10)
    assert world.told == ["a", "b", "c"] and not world.incoming.trouble


def test_the_waits_grow_and_end(world):
    world.fail()
    world.take("a")
    world.clock.pump([1.0] * 1000)
    assert 1000 / LONGEST - 1 <= len(world.tried) <= 1000 / LONGEST + 6


def test_what_was_under_way_when_the_store_failed_keeps_its_place(world):
    world.says = None
    world.take("a", "b")
    first, second = world.open
    world.fail()
    second.callback(world.says)
    first.callback(world.says)
    world.take("c")
    world.says = QUEUED
    world.clock.pump([1.0] * 3)
    assert world.told == ["a", "b", "c"]


def test_patience_ends_for_whoever_waits_for_an_answer(world):
    world.fail()
    world.take("a")
    world.take("b", patience=5.0)
    world.clock.pump([1.0] * 6)
    assert world.told == ["b"] and not world.done[0][1].is_final
    world.says = QUEUED
    world.clock.pump([1.0] * 10)
    assert world.told == ["b", "a"] and world.tried.count("b") == 0


def test_of_more_than_can_wait_the_rest_is_not_taken(world):
    world.fail()
    world.take(*map(str, range(MOST + 2)))
    assert world.told == [str(MOST), str(MOST + 1)] and not world.done[0][1].is_final
    world.says = QUEUED
    world.clock.advance(1.0)
    assert len(world.done) == MOST + 2
    world.take("later")
    assert world.done[-1] == ("later", QUEUED)


def test_after_its_end_nobody_is_told(world):
    world.says = None
    world.take("a")
    world.fail()
    world.take("b", patience=9.0)
    world.incoming.close()
    world.commit()
    world.clock.pump([1.0] * 60)
    assert world.done == [] and world.clock.getDelayedCalls() == []
