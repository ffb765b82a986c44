"""Dead letters are bounded, and a person may dismiss them."""

import pytest

from iotgw.core.errors import NotFound
from iotgw.core.ports.usage import Amounts
from iotgw.core.specs import DeadLetterSpec
from iotgw.core.verdict import DELIVERED, Apart, Rejected, Retry, Unavailable
from iotgw.delivery.dead_letters import TOO_MANY
from tests.unit.delivery.worlds import World, fired, record


def rejecting(**how):
    return World(says=lambda records: Rejected("never"), **how)


def letters(world):
    return [row.record.seq for row in fired(world.service.dead_letters("i1"))]


def test_beyond_their_number_the_oldest_are_dropped_counted_and_said():
    world = rejecting(dead_letters=DeadLetterSpec(max_count=3))
    world.store(*"abcdefgh")
    world.clock.advance(1)
    assert letters(world) == [6, 7, 8]
    stats = world.stats()
    assert (stats["dead"], stats["dropped"]) == (3, {TOO_MANY: 5})
    world.clock.advance(1)
    dropped = [event.detail for event in world.events.emitted if event.type == "delivery.dropped"]
    assert dropped == [{"count": 5, "reason": "dead letters' limit"}]
    dead = [event.detail for event in world.events.emitted if event.type == "delivery.dead"]
    assert dead == [{"count": 8}]


def test_what_is_given_up_counts_once_in_the_usage():
    world = rejecting(dead_letters=DeadLetterSpec(max_count=3))
    world.store(*"abcdefgh")
    world.clock.advance(1)
    world.target.says = lambda records: DELIVERED
    world.store("i", "j")
    world.clock.advance(1)
    [tally] = world.service.tallies()
    assert (tally.thing, tally.name) == (("integration", "default", "i1"), "one")
    delivered = sum(
        len(record(seq, name, received_ms=1_000_000_000).body) for seq, name in ((9, "i"), (10, "j"))
    )
    assert tally.amounts == Amounts(bytes=delivered, errors=8, deliveries=2)


def test_beyond_their_size_the_oldest_are_dropped():
    size = len(record(1, "a", received_ms=1_000_000_000).body)
    world = rejecting(dead_letters=DeadLetterSpec(max_bytes=3 * size))
    world.store(*"abcdefgh")
    world.clock.advance(1)
    assert letters(world) == [6, 7, 8]
    assert world.stats()["deadBytes"] == 3 * size


def test_those_older_than_the_limit_are_dropped():
    world = rejecting(dead_letters=DeadLetterSpec(max_age=60))
    world.store("a", "b")
    world.clock.advance(30)
    world.store("c")
    world.clock.advance(31)
    assert letters(world) == [3]
    world.clock.advance(60)
    assert letters(world) == []


def test_many_more_than_a_page_are_dropped_at_once():
    world = rejecting(dead_letters=DeadLetterSpec(max_count=1), window=100)
    world.store(*["a"] * 450)
    world.clock.advance(1)
    assert letters(world) == [450]


def test_a_restart_knows_how_many_there_are_and_a_smaller_limit_holds_at_once():
    world = rejecting()
    world.store(*"abcdef")
    world.clock.advance(1)
    size = world.stats()["deadBytes"]
    world = world.crash()
    assert (world.stats()["dead"], world.stats()["deadBytes"]) == (6, size)
    world.spec = type(world.spec)(
        name="one",
        type="fake",
        configuration=world.spec.configuration,
        dead_letters=DeadLetterSpec(max_count=2),
    )
    world.service.apply("i1", "one", "default", world.spec)
    world.clock.advance(1)
    assert letters(world) == [5, 6]


def test_what_was_dropped_stays_so_over_a_restart():
    world = rejecting(dead_letters=DeadLetterSpec(max_count=3))
    world.store(*"abcdefgh")
    world.clock.advance(1)
    world.clock.advance(1)
    world = world.crash()
    world.clock.advance(1)
    assert world.target.sent == []
    assert world.stats()["dropped"] == {TOO_MANY: 5}


def test_one_that_is_sent_again_is_not_dropped_meanwhile():
    world = rejecting()
    world.store(*"ab")
    world.clock.advance(1)
    world.target.says = None
    fired(world.service.retry("i1", 1))
    assert fired(world.service.dismiss("i1")) == 1
    assert letters(world) == [1]
    world.target.answer(DELIVERED)
    world.clock.advance(1)
    assert letters(world) == []
    assert world.stats()["delivered"] == 1


def test_they_are_dismissed_one_by_one_by_filter_or_all():
    world = rejecting()
    world.store("a", "b", "a", "c", "d")
    world.clock.advance(1)
    assert fired(world.service.dismiss("i1", position=2)) == 1
    with pytest.raises(NotFound):
        fired(world.service.dismiss("i1", position=2))
    assert fired(world.service.dismiss("i1", device="a")) == 2
    assert letters(world) == [4, 5]
    assert fired(world.service.dismiss("i1", error="no such")) == 0
    assert fired(world.service.dismiss("i1", error="never", before_ms=world.now_ms + 1)) == 2
    stats = world.stats()
    assert (stats["dead"], stats["dropped"], stats["deadBytes"]) == (0, {"dismissed": 5}, 0)


def test_one_that_waits_to_be_sent_again_can_be_dismissed():
    world = rejecting(window=1)
    world.store(*"abc")
    world.clock.advance(1)
    world.target.says = None
    fired(world.service.retry("i1"))
    fired(world.service.dismiss("i1", position=3))
    world.target.answer_all()
    assert world.target.got == [1, 2]
    assert world.stats()["dropped"] == {"dismissed": 1}


def test_dead_letters_count_towards_what_the_target_takes_at_once():
    world = rejecting(window=2)
    world.store(*"abc")
    world.clock.advance(1)
    world.target.says = None
    fired(world.service.retry("i1"))
    world.store(*"defg")
    assert len(world.target.open) == 2


@pytest.mark.parametrize("again", [Apart("one of them"), Unavailable("away")])
def test_no_verdict_leaves_one_in_flight(again):
    world = rejecting()
    world.store("a")
    world.clock.advance(1)
    world.target.says = None
    fired(world.service.retry("i1"))
    world.target.says = lambda records: DELIVERED
    world.target.answer(again)
    world.clock.advance(60)
    fired(world.service.retry("i1"))
    world.clock.advance(1)
    assert world.stats()["delivered"] == 1


def test_apart_is_a_try_of_a_parked_record():
    world = World(says=lambda records: Retry("no"))
    world.store("a")
    world.target.says = lambda records: Apart("one of them")
    world.clock.advance(2)
    world.target.says = lambda records: DELIVERED
    world.clock.advance(10)
    assert world.accounts()["delivered"] == 1


def test_apart_of_one_that_was_alone_is_a_try_of_it():
    world = World(batch=2, says=lambda records: Apart("one of them"))
    world.store("a", "b")
    for _ in range(20):
        world.clock.advance(5)
    assert world.stats()["dead"] == 2
    assert len(world.target.sent) < 10
