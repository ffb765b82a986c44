"""Records on their way: order, windows, limits, counts, and changes of settings."""

import pytest

from iotgw.core.model import Kind
from iotgw.core.specs import RouteSpec
from iotgw.core.verdict import DELIVERED, Unavailable
from tests.unit.delivery.worlds import World, fired, queue, record


def delivered(records):
    return DELIVERED


def test_records_are_delivered_and_the_cursor_follows():
    world = World(says=delivered)
    world.store("a", "b", "a")
    world.clock.advance(1)
    assert world.target.got == [1, 2, 3]
    cursor, counters = world.journal.cursors["i1"]
    assert (cursor, counters.queued, counters.delivered) == (3, 3, 3)


def test_one_record_of_a_device_is_in_flight_at_a_time():
    world = World()
    world.store("a", "a", "b", "a")
    assert world.target.sent == [[1], [3]]
    world.target.answer()
    assert world.target.sent == [[1], [3], [2]]
    world.target.answer_all()
    assert world.target.got == [1, 3, 2, 4]


def test_without_order_a_device_may_have_many_in_flight():
    world = World(order="none")
    world.store("a", "a", "a")
    assert world.target.sent == [[1], [2], [3]]


def test_a_batch_may_carry_several_records_of_a_device_but_only_one_batch_may():
    world = World(batch=3, window=9)
    world.store("a", "a", "b", "a", "c")
    assert world.target.sent == [[1, 2, 3], [5]]
    world.target.answer()
    assert world.target.sent[2:] == [[4]]


def test_no_more_than_the_capacity_is_in_flight():
    world = World(window=2)
    world.store(*"abcdef")
    assert world.target.sent == [[1], [2]]
    world.target.answer_all()
    assert world.target.got == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("order", ["device", "none"])
def test_large_records_that_wait_or_fly_are_bounded_by_their_weight(order):
    world = World(window=1000, order=order)
    large = b'{"x":"%b"}' % (b"x" * (1 << 20))
    for n in range(50):
        world.store(f"d{n}", "a", "a", "a", body=large)
    in_memory = len(list(world.outbox.flight)) + len(world.outbox.backlog._reader)
    assert 40 < in_memory < 60
    world.target.says = delivered
    world.target.answer_all()
    assert world.accounts()["delivered"] == 200


def test_the_cursor_stays_before_the_oldest_in_flight():
    world = World()
    world.store("a", "b", "c")
    world.target.answer(which=2)
    world.target.answer(which=1)
    world.clock.advance(1)
    cursor, counters = world.journal.cursors["i1"]
    assert (cursor, counters.queued, counters.delivered) == (0, 3, 2)
    assert (counters.done, counters.open) == (3, [1])  # what came to an end beyond the cursor
    assert world.accounts()["delivered"] == 2


def test_after_a_crash_what_was_not_noted_comes_again_and_counts_once():
    world = World()
    world.store("a", "b", "c")
    world.clock.advance(1)
    world.target.answer(which=2)
    after = world.crash()
    assert after.target.sent == [[1], [2], [3]]
    after.target.answer_all()
    assert after.accounts() == {
        "queued": 3, "delivered": 3, "inflight": 0, "waiting": 0, "dead": 0, "expired": 0
    }  # fmt: skip


def test_records_older_than_the_limit_expire():
    world = World(says=lambda records: Unavailable("down", after=86400), queue=queue(max_age=60))
    world.store("a", "b")
    world.clock.advance(59)
    world.store("c")
    for _ in range(5):
        world.clock.advance(1)
    # the probe that was in flight waits in memory, the other expired in the stream
    world.target.says = delivered
    world.target.context.available()
    world.clock.advance(1)
    assert 2 not in world.target.got
    assert 3 in world.target.got
    assert world.accounts()["expired"] >= 1
    assert "delivery.expired" in world.events.types


def test_records_that_wait_in_memory_expire_too():
    world = World(queue=queue(max_age=60))
    world.store("a", "a", "a")
    world.clock.advance(61)
    world.target.answer()
    assert world.target.sent == [[1]]
    assert world.accounts()["expired"] == 2


def test_the_oldest_are_dropped_when_the_queue_is_full():
    size = len(record(1, received_ms=1_000_000_000).body)
    world = World(says=lambda records: Unavailable("down", after=9999), queue=queue(max_bytes=size * 3 + 50))
    world.store(*"abcdefghij")
    world.clock.advance(1)
    stats = world.stats()
    assert stats["waiting"] == 3
    assert stats["dropped"] == {"queue full": 7}
    assert stats["waitingBytes"] <= size * 3 + 50
    assert "delivery.dropped" in world.events.types
    assert world.service.room()


def test_a_full_queue_that_rejects_new_says_there_is_no_room():
    world = World(
        says=lambda records: Unavailable("down", after=9999), queue=queue(max_bytes=300, overflow="rejectNew")
    )
    assert world.service.room()
    world.store(*"abcdefghij")
    assert not world.service.room()
    world.target.says = delivered
    world.target.context.available()
    assert world.service.room()


def test_a_rate_limits_how_fast_a_backlog_drains():
    world = World(says=delivered, window=100, queue=queue(rate=10))
    world.store(*(f"d{n}" for n in range(50)))
    assert len(world.target.got) <= 11
    for _ in range(20):
        world.clock.advance(0.1)
    assert 15 <= len(world.target.got) <= 35
    for _ in range(50):
        world.clock.advance(0.1)
    assert len(world.target.got) == 50


def test_the_backlog_is_counted_after_a_restart():
    world = World()
    world.service.pause("i1")
    world.store(*"abc")
    world.clock.advance(1)
    world.store(*"de", feed=False)  # durable, but the gateway died before it counted them
    after = world.crash()
    assert after.accounts()["queued"] == 5


def test_records_that_come_while_parked_ones_are_still_being_found_count_once():
    world = World()
    world.service.pause("i1")
    world.store(*"abc")
    world.clock.advance(1)
    world.store(*"de", feed=False)
    world.journal.slow = []
    after = world.crash()
    after.store(*"fg")
    for found, rows in world.journal.slow:
        found.callback(rows)
    world.journal.slow = None
    assert after.accounts()["queued"] == 7
    after.service.resume("i1")
    after.target.answer_all()
    assert after.accounts()["delivered"] == 7


def test_a_change_of_settings_loses_nothing():
    world = World()
    world.store("a", "b", "a")
    old = world.target
    changed = world.spec.__class__(name="one", type="fake", configuration={"batch": 1, "window": 8})
    done = world.service.apply("i1", "one", "default", changed)
    world.clock.advance(6)  # what is in flight gets five seconds
    fired(done)
    assert old.stopped
    assert world.target is not old
    world.target.answer_all()
    old.answer_all()  # too late, and heard by nobody
    assert sorted(world.target.got) == [1, 2, 3]
    assert world.accounts()["delivered"] == 3


def test_a_changed_route_counts_anew():
    world = World()
    world.service.pause("i1")
    world.store("a1", "b1", "a2")
    spec = world.spec.__class__(
        name="one", type="fake", configuration={"window": 4}, route=RouteSpec(device_names=["a*"])
    )
    fired(world.service.apply("i1", "one", "default", spec))
    assert world.accounts()["queued"] == 2
    assert world.stats()["state"] == "paused"
    world.service.resume("i1")
    assert world.target.sent == [[1], [3]]


def test_what_the_journal_trimmed_is_said():
    world = World()
    world.service.pause("i1")
    world.store(*"abcd")
    world.clock.advance(1)
    for gone in world.journal.records[:2]:
        del world.journal.storage.records[gone.seq]
    after = world.crash()
    after.target.says = delivered
    after.service.resume("i1")
    after.target.answer_all()
    for _ in range(3):
        after.clock.advance(1)
    assert after.stats()["dropped"] == {"trimmed": 2}


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"device_names": ["sn-*"]}, [1, 2]),
        ({"device_types": ["meter"]}, [3]),
        ({"datasources": ["name-of-ds1"]}, [1, 2, 3]),
        ({"datasources": ["other"]}, []),
        ({"wants": ["telemetry"]}, [1, 2, 3]),
        ({"wants": ["attributes"]}, []),
        ({"wants": ["events"]}, [4]),
    ],
)
def test_a_route_chooses(route, expected):
    world = World(says=delivered, route=RouteSpec(**route))
    world.store("sn-1", "sn-2")
    world.store("m", device_type="meter")
    world.store("x", kind=Kind.EVENT)
    world.store("sn-1", tenant="other")
    assert world.target.got == expected


def test_stop_lets_what_is_in_flight_end_and_keeps_the_cursor():
    world = World()
    world.store("a", "b")
    done = world.service.stop()
    world.target.answer_all()
    fired(done)
    assert world.journal.cursors["i1"][0] == 2
    assert world.target.stopped


def test_stop_waits_seconds_not_minutes():
    world = World()
    world.store("a")
    done = world.service.stop()
    world.clock.advance(5)
    fired(done)
    assert world.journal.cursors["i1"][0] == 0


def test_a_test_message_is_outside_of_all_accounts():
    world = World(says=delivered)
    result = fired(world.service.test("i1"))
    assert result["ok"]
    assert world.accounts()["queued"] == 0
