"""What is pulled from a broker: what it becomes, and when the broker may be told."""

from __future__ import annotations

from collections import Counter

import pytest
from twisted.internet.defer import Deferred, fail

from iotgw import testing
from iotgw.core.model import Status
from iotgw.datasources.pieces import PIECE
from iotgw.datasources.pulled import MOST, Partition, PulledReader
from iotgw.envelopes.envelope import Envelope, Ignored, Malformed, Reading, Receipt


class Says(Envelope):
    """Reads every message as these events."""

    def __init__(self, *events):
        self.events = events
        self.asked = []

    def read(self, data, facts, now_ms):
        self.asked.append(facts)
        return self.events


class Bench:
    def __init__(self):
        self.clock = testing.clock()
        self.intake = testing.FakeIntake()
        self.intake.auto = False
        self.said = []
        self.partition = Partition(
            self.intake, self.clock, lambda: self.said.append("pause"), lambda: self.said.append("resume"),
            lambda: self.said.append(self.partition.durable),
        )  # fmt: skip

    def take(self, position, *payloads):
        self.partition.take(position, [(payload, {}, "") for payload in payloads])

    def read(self, envelope, device="", address=""):
        self.counts = Counter()
        reader = PulledReader(testing.datasource_context(self.intake, self.clock), envelope, self.counts)
        return reader.uplinks(b"bytes", {"topic": "t"}, device, "t/0/7", address)


@pytest.fixture
def bench():
    return Bench()


def test_the_broker_is_told_of_the_prefix_only(bench):
    for position in (5, 6, 9):
        bench.take(position, b"x")
    bench.intake.answer(1)
    bench.intake.answer(2)
    assert bench.said == []
    bench.intake.answer(0)
    assert bench.said == [9]


def test_a_message_that_holds_nothing_is_told_when_those_before_it_are_durable(bench):
    bench.take(1, b"x")
    bench.take(2)
    assert bench.said == []
    bench.intake.answer(0)
    assert bench.said == [2]
    bench.take(3)
    assert bench.said == [2, 3]


def test_a_message_with_a_receipt_is_told_when_what_the_receipt_says_is_durable(bench, monkeypatch):
    said = [fail(OSError("the disk is full")), Deferred()]
    monkeypatch.setattr(bench.intake, "downlink_confirmed", lambda *_: said.pop(0))
    last = said[-1]
    bench.partition.take(5, bench.read(Says(Receipt("node", became="delivered", item="item-1"))))
    bench.take(6, b"x")
    assert bench.said == ["pause"]
    bench.clock.advance(1)
    bench.intake.answer(0)
    assert 6 not in bench.said
    last.callback(True)
    assert [position for position in bench.said if isinstance(position, int)] == [6]
    assert bench.counts["unknownReceipts"] == 0


def test_what_a_full_gateway_refused_holds_back_the_prefix(bench):
    bench.take(1, b"x")
    bench.take(2, b"y")
    bench.intake.answer(0, Status.BUSY)
    bench.intake.answer(1)
    assert bench.said == ["pause"]
    bench.clock.advance(1)
    bench.intake.answer(2)
    assert bench.said == ["pause", 2, "resume"] or bench.said == ["pause", "resume", 2]


def test_one_message_that_is_never_answered_stops_its_partition_in_the_end(bench):
    for position in range(MOST):
        bench.take(position, b"x")
        if position:
            bench.intake.answer(position)
    assert bench.said == ["pause"]


def test_what_waits_is_dropped_when_the_partition_is_given_up(bench):
    quiet = []
    bench.take(1, b"x")
    bench.intake.fill()
    bench.take(2, b"y")
    bench.partition.close().addCallback(quiet.append)
    assert quiet == []
    bench.intake.answer(0)
    assert (quiet, bench.partition.durable) == ([None], 1)
    bench.intake.drain()
    assert len(bench.intake.received) == 1


def test_a_message_is_recognised_by_its_platform_s_name_or_else_by_the_broker_s(bench):
    events = (Reading(b"a"), Reading(b"b"), Reading(b"c", key=("own", 7)))
    assert [key for _, _, key in bench.read(Says(*events))] == ["t/0/7", "t/0/7/1", "t/0/7/2"]
    lasting = Says(*events)
    lasting.keys_last = True
    assert [key for _, _, key in bench.read(lasting)] == ["t/0/7", "t/0/7/1", "own/7"]


def test_a_message_that_comes_again_is_not_stored_again_and_is_told(bench):
    bench.partition.take(1, [(b"x", {}, "k")])
    bench.partition.take(2, [(b"x", {}, "k")])
    assert len(bench.intake.received) == 1
    assert bench.intake.keys == ["k"]


def test_what_the_broker_says_outranks_the_envelope(bench):
    ((_, facts, _),) = bench.read(
        Says(Reading(b"a", {"topic": "lie", "fPort": 1}, "from envelope")), "from broker"
    )
    assert (facts["topic"], facts["fPort"], facts["device"]) == ("t", 1, "from envelope")
    assert "identity" not in facts


def test_the_broker_s_device_counts_where_the_envelope_names_none(bench):
    ((_, facts, _),) = bench.read(Says(Reading(b"a")), "from broker")
    assert facts["device"] == "from broker"


def test_a_preset_sees_a_routing_key_as_a_topic(bench):
    envelope = Says(Reading(b"a"))
    ((_, facts, _),) = bench.read(envelope, address="application.7.event.up")
    assert envelope.asked[0]["topic"] == "application/7/event/up"
    assert facts["topic"] == "t"


def test_an_invalid_message_is_kept_and_others_are_counted(bench):
    found = bench.read(Says(Malformed(b"?", "no JSON"), Ignored("duplicates")))
    assert [(payload, facts["rejected"]) for payload, facts, _ in found] == [(b"?", "no JSON")]
    assert bench.counts == {"messages": 1, "faults": 1, "duplicates": 1}


def test_a_message_of_many_parts_is_handed_over_in_several_turns_and_the_next_one_behind_it(bench):
    bench.partition.take(1, ((b"%d" % number, {}, "") for number in range(2 * PIECE + 50)))
    bench.take(2, b"behind")
    assert len(bench.intake.received) == PIECE and bench.said == ["pause"]
    after_a_turn = []
    bench.clock.callLater(0, lambda: after_a_turn.append(len(bench.intake.received)))
    bench.clock.advance(0)
    assert after_a_turn == [2 * PIECE]
    assert [payload for payload, _ in bench.intake.received][-2:] == [b"249", b"behind"]
    for number in range(2 * PIECE + 50):
        assert bench.partition.durable is None
        bench.intake.answer(number)
    assert bench.said == ["pause", "resume", 1]
    bench.intake.answer(2 * PIECE + 50)
    assert bench.said[-1] == 2


def test_a_partition_that_is_given_up_hands_over_nothing_more_and_is_told_of_nothing(bench):
    bench.partition.take(1, ((b"x", {}, "") for _ in range(2 * PIECE)))
    bench.partition.close()
    bench.clock.advance(0)
    assert len(bench.intake.received) == PIECE and bench.partition.durable is None
