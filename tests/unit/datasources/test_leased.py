"""Messages that a broker lends: what is acknowledged when, and whose lease is extended."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from iotgw import testing
from iotgw.core.model import Status
from iotgw.datasources.leased import Leases


class Broker:
    def __init__(self, most=100):
        self.clock = testing.MemoryReactor()
        self.intake = testing.FakeIntake(clock=self.clock)
        self.acknowledged, self.extended, self.steered = [], [], []
        self.leases = Leases(
            self.intake, self.clock, 60.0, most, lambda: self.steered.append("pause"),
            lambda: self.steered.append("resume"), self.acknowledged.append, self.extended.append,
        )  # fmt: skip

    def come(self, *handles, lane="", uplinks=1):
        for handle in handles:
            made = [(handle.encode(), {}, f"{handle}/{number}") for number in range(uplinks)]
            self.leases.take(handle, lane, self.clock.seconds(), made)

    def turn(self):
        self.clock.advance(0)
        return self.acknowledged


@pytest.fixture
def broker():
    return Broker()


def test_what_became_durable_in_one_turn_is_acknowledged_at_once(broker):
    broker.come("a", "b", "c")
    assert broker.acknowledged == []
    assert broker.turn() == [["a", "b", "c"]]


def test_a_message_is_acknowledged_when_its_receipt_is_durable_too(broker):
    written = Deferred()
    broker.leases.take("a", "", 0.0, [lambda: written, (b"x", {}, "")])
    assert broker.turn() == []
    written.callback(True)
    assert broker.turn() == [["a"]]


def test_without_a_lane_no_message_waits_for_another(broker):
    broker.intake.auto = False
    broker.come("a", "b")
    broker.intake.answer(1)
    assert broker.turn() == [["b"]]


def test_in_a_lane_each_waits_for_those_before_it(broker):
    broker.intake.auto = False
    broker.come("a", "b", lane="x")
    broker.come("c", lane="y")
    broker.intake.answer(1)
    broker.intake.answer(2)
    assert broker.turn() == [["c"]]
    broker.intake.answer(0)
    assert broker.turn() == [["c"], ["a", "b"]]


def test_a_message_of_several_uplinks_is_acknowledged_with_the_last_of_them(broker):
    broker.intake.auto = False
    broker.come("a", uplinks=2)
    broker.intake.answer(0)
    assert broker.turn() == []
    broker.intake.answer(1)
    assert broker.turn() == [["a"]]


def test_a_message_without_uplinks_is_acknowledged(broker):
    broker.come("a", uplinks=0)
    assert broker.turn() == [["a"]]


def test_the_leases_of_what_waits_for_a_full_gateway_are_extended_for_as_long_as_it_waits(broker):
    broker.intake.fill()
    broker.come("a")
    for _ in range(12):
        broker.clock.advance(15)
    assert broker.extended == [["a"]] * 4
    assert broker.steered == ["pause"]
    broker.intake.drain()
    assert broker.turn() == [["a"]]
    broker.clock.advance(600)
    assert broker.extended == [["a"]] * 4
    assert broker.clock.getDelayedCalls() == []


def test_what_the_journal_refused_is_not_acknowledged(broker):
    broker.intake.auto = False
    broker.come("a")
    broker.intake.answer(0, Status.BUSY)
    assert broker.turn() == []


def test_when_it_is_closed_what_is_being_stored_is_waited_for_and_the_rest_is_given_back(broker):
    broker.intake.auto = False
    broker.come("a", "b", lane="x")
    closed = broker.leases.close()
    assert not closed.called
    broker.intake.answer(0)
    broker.intake.answer(1, Status.BUSY)
    assert testing.fired(closed) == ["b"]
    assert broker.acknowledged == [["a"]]


def test_who_can_not_wait_longer_gets_back_what_is_open(broker):
    broker.intake.auto = False
    broker.come("a")
    broker.leases.close()
    assert broker.leases.end() == ["a"]
    broker.intake.answer(0)
    assert broker.turn() == []


def test_it_pauses_when_too_many_are_unsettled():
    broker = Broker(most=2)
    broker.intake.auto = False
    broker.come("a", "b")
    assert broker.steered == ["pause"]
    broker.intake.answer(0)
    assert broker.steered == ["pause", "resume"]
