"""The journal's size limit, and what waits for integrations: who gives up what, before uplinks are refused."""

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.specs import DeadLetterSpec, IntegrationSpec, QueueSpec, RouteSpec
from iotgw.core.verdict import DELIVERED, Rejected, Retry
from iotgw.delivery.store_room import NO_LIMIT, Allotment, Holding, StoreRoom, divide
from tests.unit.delivery.stored import AWAY, StoredWorld

SMALL = 300_000


@pytest.fixture
def small(tmp_path):
    """``small(**integrations)``: a world whose journal may take 300 kB."""
    worlds = []

    def make(**how):
        worlds.append(StoredWorld(tmp_path, SMALL, **how))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


# --- a target that is away


def test_when_the_journal_is_full_the_oldest_is_dropped_before_uplinks_are_refused(small):
    world = small(out={})
    assert world.fill(300) == 300
    stats = world.stats("out")
    assert stats["queued"] == 1500
    assert stats["dropped"] == {"store full": 1500 - stats["waiting"]}
    assert stats["waiting"] > 100
    assert world.used() < 1.2 * SMALL
    assert "store.max-bytes" in stats["lastError"]
    assert "delivery.dropped" in world.events.types


def test_room_is_made_as_soon_as_the_journal_is_short(small):
    """Not at the next look: a second of traffic may be more than a small journal has room for."""
    world, most = small(out={}), 0
    for _ in range(60):
        assert world.store(20)
        world.clock.advance(0.15)
        most = max(most, world.used())
    assert world.stats("out")["dropped"]["store full"] > 800
    assert most < 1.42 * SMALL


def test_what_is_kept_is_the_newest_and_is_delivered_when_the_target_is_back(small):
    world = small(out={})
    world.fill(200)
    waiting = world.stats("out")["waiting"]
    world.target("out").says = lambda records: DELIVERED
    world.service.drain("out")
    for _ in range(10):
        world.second()
    assert world.target("out").got == list(range(1001 - waiting, 1001))


def test_the_queues_own_limit_frees_what_it_drops(small):
    world = small(out={"queue": {"max_bytes": 100_000}})
    assert world.fill(300) == 300
    assert world.stats("out")["dropped"].keys() == {"queue full"}
    assert world.used() < SMALL


def test_a_few_messages_that_hold_up_the_stream_are_given_up_too(small):
    """A narrow route keeps all that came after its oldest message, though hardly any of it is its own."""
    world = small(out={}, rare={"route": RouteSpec(device_names=["rare"])}, says=lambda records: DELIVERED)
    world.target("rare").says = lambda records: AWAY
    world.store(1, device="rare")
    assert world.fill(300) == 300
    assert world.stats("rare")["dropped"] == {"store full": 1}
    assert world.stats("out")["delivered"] == 1501


def test_uplinks_that_no_converter_takes_cost_no_integration_its_messages(small):
    world = small(out={})
    for _ in range(30):
        world.store(5)
        world.receive(20, "lagging", 1000)
        world.second()
    assert world.used() > 2 * SMALL
    assert world.stats("out")["waitingBytes"] > SMALL / 5


def test_only_those_furthest_behind_give_up(small):
    world = small(out={}, fast={})
    world.target("fast").says = lambda records: DELIVERED
    world.service.drain("fast")
    assert world.fill(200) == 200
    for _ in range(3):
        world.second()
    assert world.stats("fast")["delivered"] == 1000
    assert world.stats("fast")["dropped"] == {}


def test_with_reject_new_nothing_is_dropped_and_who_holds_up_all_is_said(small):
    world = small(out={"queue": {"overflow": "rejectNew"}}, other={})
    times = world.fill(400)
    assert times < 100
    assert world.service.holding_up() == ["out"]
    assert world.journal.room
    stats = world.stats("out")
    assert (stats["dropped"], stats["waiting"]) == ({}, 5 * times)
    assert world.stats("other")["dropped"] == {}  # it would free nothing
    assert "rejectNew" in stats["lastError"]
    assert world.events.types.count("delivery.holds-up") == 1
    world.target("out").says = lambda records: DELIVERED
    world.service.drain("out")
    for _ in range(10):
        world.second()
    assert world.service.holding_up() == []
    assert world.store(5)


def test_room_is_found_for_what_waited_before_a_restart(small):
    world = small(out={})
    world.fill(40)
    world.restart()
    assert world.fill(200) == 200
    assert world.stats("out")["dropped"].keys() == {"store full"}


# --- targets that refuse


def test_dead_letters_take_a_quarter_of_the_journal_at_most(small):
    world = small(out={}, says=lambda records: Rejected("no"))
    assert world.fill(200) == 200
    stats = world.stats("out")
    assert stats["dead"] * 200 + stats["deadBytes"] <= SMALL / 4 + 10_000
    assert stats["dead"] > 20
    assert stats["dropped"] == {"dead letters' limit": 1000 - stats["dead"]}
    assert world.used() < SMALL


@pytest.mark.parametrize("overflow", ["dropOldest", "rejectNew"])
def test_parked_messages_take_a_quarter_of_the_journal_at_most(small, overflow):
    world = small(out={"queue": {"overflow": overflow}}, says=lambda records: Retry("no"))
    assert world.fill(200) == 200
    for _ in range(5):
        world.second()
    stats = world.stats("out")
    assert 20 < stats["retrying"] < SMALL / 4 / 1000
    assert world.used() < SMALL


# --- who pays


def holding(drops=True, cursor=0, dead=0, parked=0, size=800):
    return Holding(drops, cursor, dead, dead * size, parked, parked * size)


def test_without_a_limit_everybody_has_room():
    assert divide([holding(dead=1000)], 0, 0) == [Allotment()]


def test_whoever_has_the_most_gives_up_what_is_too_much():
    found = divide([holding(dead=10), holding(dead=40, parked=2), holding(dead=30)], 0, 4 * 70_000)
    assert [each.max_dead for each in found] == [NO_LIMIT, 30 * 800, NO_LIMIT]
    assert {each.max_parked for each in found} == {NO_LIMIT}


def test_up_to_where_each_gives_up():
    found = divide(
        [holding(cursor=5), holding(cursor=50), holding(cursor=10), holding(drops=False, cursor=20)], 30, 0
    )
    assert [each.give_up for each in found] == [20, 0, 20, 0]
    assert [each.holds_up for each in found] == [False, False, False, True]


# --- what is saved


def spec(queue=None, dead=None):
    return IntegrationSpec(
        name="out",
        type="fake",
        queue=QueueSpec() if queue is None else QueueSpec(max_bytes=queue),
        dead_letters=DeadLetterSpec() if dead is None else DeadLetterSpec(max_bytes=dead),
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [(spec(queue=1_000_001), "queue.maxBytes"), (spec(dead=250_001), "deadLetters.maxBytes")],
)
def test_a_limit_for_which_there_is_no_room_is_refused(value, path):
    room = StoreRoom(None, 1_000_000)
    with pytest.raises(SettingsError, match=r"store\.max-bytes") as raised:
        room.check(value)
    assert raised.value.path == path
    assert len(room.doubts(value, [])) == 1
    StoreRoom(None, 0).check(value)


@pytest.mark.parametrize("value", [spec(), spec(queue=500_000, dead=250_000)])
def test_a_default_and_what_there_is_room_for_is_not(value):
    room = StoreRoom(None, 1_000_000)
    room.check(value)
    assert room.doubts(value, [spec()]) == []


@pytest.mark.parametrize("size", [500_001, 1_000_000])
def test_a_queue_that_dead_letters_may_leave_no_room_for_is_warned_of(size):
    room = StoreRoom(None, 1_000_000)
    room.check(spec(queue=size))
    (doubt,) = room.doubts(spec(queue=size), [])
    assert "only 500000 is always there" in doubt


def test_dead_letters_that_have_room_each_but_not_together_are_warned_of():
    (doubt,) = StoreRoom(None, 1_000_000).doubts(spec(dead=200_000), [spec(dead=100_000), spec()])
    assert "300000 together" in doubt


def test_an_integration_that_was_saved_before_is_warned_of_at_the_start(small):
    world = small(out={"queue": {"max_bytes": 2 * SMALL}})
    (event,) = [each for each in world.events.emitted if each.type == "limits"]
    assert event.severity == "warning"
    assert world.stats("out")["warnings"] == [event.message]
