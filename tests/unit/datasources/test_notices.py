"""What an envelope says besides uplinks."""

from __future__ import annotations

from collections import Counter

from iotgw.datasources.notices import EVENTS, Notices
from iotgw.envelopes.envelope import Happened, Ignored, Receipt
from tests.unit.datasources.fakes import FakeIntake, clock


class World:
    def __init__(self):
        self.intake = FakeIntake()
        self.clock = clock()
        self.counts = Counter()
        self.notices = Notices(self.intake, self.clock, self.counts)


def test_a_receipt_goes_to_the_intake_with_the_item_that_it_names():
    world = World()
    world.intake.known = {"item-7"}
    world.notices.take(Receipt("node", became="delivered", item="item-7"))
    world.notices.take(Receipt("node", became="lost", reason="no answer"))
    assert world.intake.outcomes == [("item-7", "confirmed"), ("node", "not confirmed: no answer")]
    assert world.counts == {} and world.intake.events == []


def test_receipts_of_unknown_items_are_counted_and_said_once_a_minute():
    world = World()
    for number in range(100):
        world.notices.take(Receipt("node", became="delivered", item=f"nobody's {number}"))
    assert world.counts == {"unknownReceipts": 100}
    assert world.intake.events == [("downlink.unknown", 'a receipt names an unknown item: "nobody\'s 0"')]
    world.clock.advance(61)
    world.notices.take(Receipt("node", became="delivered", item="x" * 10_000))
    assert len(world.intake.events) == 2 and "(99 more before)" in world.intake.events[1][1]
    assert len(world.intake.events[1][1]) < 200


def test_what_is_ignored_is_counted_under_its_name():
    world = World()
    for _ in range(3):
        world.notices.take(Ignored("joins"))
    assert world.counts == {"joins": 3}


def test_a_network_s_events_beyond_a_thousand_a_minute_are_counted_and_the_next_one_says_so():
    world = World()
    for number in range(10_000):
        world.notices.take(Happened("join", f"meter-{number}", {}))
    assert (world.counts, len(world.intake.events)) == ({"networkEvents": 10_000}, EVENTS)
    world.clock.advance(61)
    world.notices.take(Happened("join", "meter-7", {}))
    assert world.intake.events[-1] == (
        "network.join",
        "the network reports join of meter-7 (9000 more before)",
    )
