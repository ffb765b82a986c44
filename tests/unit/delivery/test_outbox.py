import pytest
from msgspec import structs
from twisted.internet.defer import Deferred

from iotgw.core.model import Kind, Message, State
from iotgw.core.specs import RetrySpec, RouteSpec
from iotgw.core.verdict import DELIVERED, Apart, Rejected, Retry, Unavailable
from tests.unit.delivery.worlds import SlowJournal, World, fired, queue, record


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
    in_memory = len(list(world.outbox.flight)) + len(world.outbox.backlog._tail)
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


def test_a_failed_record_waits_with_its_devices_later_ones_and_nobody_else():
    world = World(says=lambda records: Retry("no") if records[0].device_name == "bad" else DELIVERED)
    world.store("bad", "good", "bad", "good")
    world.clock.advance(0.3)
    assert world.target.got == [2, 4]
    assert {seq for _, seq in world.journal.parked} == {1, 3}
    assert world.journal.cursors["i1"][0] == 4
    world.target.says = delivered
    for _ in range(5):
        world.clock.advance(1)
    assert world.target.got == [2, 4, 1, 3]
    assert not world.journal.parked
    assert world.accounts()["delivered"] == 4


def test_a_batch_that_fails_as_a_whole_is_parked_in_order():
    world = World(batch=9, window=9, says=lambda records: Retry("no"))
    world.store(*"aabaab")
    world.clock.advance(0.3)
    world.target.says = delivered
    for _ in range(5):
        world.clock.advance(1)
    assert [n for n in world.target.got if n in (1, 2, 4, 5)] == [1, 2, 4, 5]
    assert sorted(world.target.got) == [1, 2, 3, 4, 5, 6]


def test_records_that_arrive_later_wait_behind_the_parked_ones():
    world = World(says=lambda records: Retry("no"))
    world.store("bad")
    world.clock.advance(0.3)
    world.target.says = delivered
    world.store("bad", "bad")
    assert world.target.got == []
    for _ in range(5):
        world.clock.advance(1)
    assert world.target.got == [1, 2, 3]


def test_a_record_that_fails_too_often_is_a_dead_letter_and_its_device_goes_on():
    world = World(says=lambda records: Retry("HTTP 400") if records[0].seq == 1 else DELIVERED)
    world.store("bad", "bad")
    for _ in range(100):
        world.clock.advance(1)
    assert world.target.sent.count([1]) == 3
    assert world.target.got == [2]
    (letter,) = fired(world.service.dead_letters("i1"))
    assert (letter.record.seq, letter.attempts, letter.error) == (1, 3, "HTTP 400")
    assert "delivery.dead" in world.events.types
    assert world.accounts()["dead"] == 1


def test_a_rejected_record_is_a_dead_letter_at_once():
    world = World(says=lambda records: Rejected("too large") if records[0].seq == 1 else DELIVERED)
    world.store("a", "a")
    world.clock.advance(1)
    assert world.target.got == [2]
    assert world.accounts()["dead"] == 1


def test_dead_letters_can_be_sent_again():
    world = World(says=lambda records: Rejected("no"))
    world.store("a", "b", "c")
    world.clock.advance(1)
    world.target.says = delivered
    fired(world.service.retry("i1", 2))
    assert world.target.got == [2]
    fired(world.service.retry("i1"))
    world.clock.advance(1)
    assert world.target.got == [2, 1, 3]
    assert not world.journal.parked
    assert world.accounts()["dead"] == 0
    assert world.accounts()["delivered"] == 3


def test_who_died_just_now_is_sent_again_too():
    world = World(says=lambda records: Rejected("never"))
    world.store("a", "b")
    world.target.says = delivered
    world.service.retry("i1")
    assert world.target.got == [1, 2]


def test_however_many_dead_letters_get_one_try_each_and_who_dies_meanwhile_none():
    world = World(says=lambda records: Rejected("never"))
    world.store(*[f"d{n}" for n in range(250)])
    world.clock.advance(1)
    world.target.says = None
    world.target.sent.clear()
    world.service.retry("i1")
    world.store("late")
    while world.target.open:
        world.target.answer(Rejected("never"))
    world.clock.advance(1)
    assert sorted(seq for (seq,) in world.target.sent) == list(range(1, 252))
    assert world.accounts()["dead"] == 251


def test_a_dead_letter_that_fails_again_stays_dead():
    world = World(says=lambda records: Rejected("no"))
    world.store("a")
    world.clock.advance(1)
    fired(world.service.retry("i1"))
    world.clock.advance(1)
    (letter,) = fired(world.service.dead_letters("i1"))
    assert letter.attempts == 2
    assert world.accounts()["dead"] == 1


def test_a_target_that_is_down_stops_the_cursor_and_costs_no_tries():
    world = World(says=lambda records: Unavailable("refused"))
    world.store(*"abcdef")
    for _ in range(200):
        world.clock.advance(1)
    assert world.journal.cursors["i1"][0] == 0
    assert not world.journal.parked
    assert len(world.target.sent) < 40
    assert world.stats()["state"] == "unavailable"
    assert world.stats()["lastError"] == "refused"
    world.target.says = delivered
    for _ in range(70):
        world.clock.advance(1)
    assert sorted(world.target.got) == [1, 2, 3, 4, 5, 6]
    assert world.events.types.count("delivery.unavailable") == 1
    assert world.events.types.count("delivery.available") == 1


def test_order_per_device_survives_an_outage():
    world = World(window=3)
    world.store("a", "b", "a", "b", "c", "a")
    world.target.answer_all(Unavailable("reset"))
    for _ in range(100):
        world.clock.advance(1)
        world.target.answer_all(DELIVERED)
    got = world.target.got
    for device in ([1, 3, 6], [2, 4]):
        assert [seq for seq in got if seq in device] == device
    assert sorted(got) == [1, 2, 3, 4, 5, 6]


def test_a_half_open_breaker_sends_one_probe():
    world = World(says=lambda records: Unavailable("down"))
    world.store(*"abcdef")
    world.target.says = None
    sent = len(world.target.sent)
    for _ in range(70):
        world.clock.advance(1)
    assert len(world.target.sent) == sent + 1


def test_retry_after_is_honoured():
    world = World(says=lambda records: Unavailable("503", after=120))
    world.store("a")
    assert len(world.target.sent) == 1
    world.clock.advance(119)
    assert len(world.target.sent) == 1
    world.clock.advance(62)
    assert len(world.target.sent) == 2


def test_a_wait_that_is_absurd_is_a_day_at_the_most():
    for after in (1e12, float("inf"), float("nan"), -1.0):
        world = World(says=lambda records, after=after: Unavailable("503", after=after))
        world.store("a")
        world.clock.advance(86400 + 61)
        assert len(world.target.sent) >= 2, after


def raises(records):
    raise ZeroDivisionError("of the target's own")


def test_what_a_target_raises_is_a_try_of_each_record_that_it_was_sent():
    world = World(says=raises, window=7)
    world.store(*"abcdefghij")
    for _ in range(3):
        world.clock.advance(1)
    world.target.says = delivered
    world.store(*"klm")
    for _ in range(200):
        world.clock.advance(1)
    stats = world.service.stats("i1")
    assert (stats["delivered"] + stats["dead"], stats["inflight"], stats["waiting"]) == (13, 0, 0)
    assert {11, 12, 13} <= set(world.target.got)


def test_records_that_a_target_always_raises_for_are_dead_letters_with_the_reason():
    world = World(says=raises)
    world.store("a")
    for _ in range(200):
        world.clock.advance(1)
    dead = fired(world.service.dead_letters("i1"))
    assert [row.error for row in dead] == ["sending: ZeroDivisionError: of the target's own"]


def test_a_dead_letter_that_the_target_raises_for_is_as_dead_as_before():
    world = World(says=lambda records: Rejected("no"))
    world.store("a")
    world.target.says = raises
    fired(world.service.retry("i1", 1))
    (row,) = fired(world.service.dead_letters("i1"))
    assert (row.attempts, row.error) == (2, "sending: ZeroDivisionError: of the target's own")
    world.target.says = delivered
    fired(world.service.retry("i1", 1))
    assert world.accounts()["delivered"] == 1


def test_a_test_message_that_the_target_raises_for_has_failed():
    world = World(says=raises)
    assert fired(world.service.test("i1")) == {
        "ok": False,
        "detail": "sending: ZeroDivisionError: of the target's own",
    }


def test_a_target_that_says_it_is_back_is_tried_at_once():
    world = World(says=lambda records: Unavailable("down", after=3600))
    world.store("a")
    world.target.says = delivered
    world.target.context.available()
    assert world.target.got == [1]


def test_a_record_that_alone_breaks_the_target_is_found_and_parked():
    def says(records):
        return Unavailable("reset") if any(r.seq == 2 for r in records) else DELIVERED

    world = World(says=says)
    world.store(*"abcd")
    for _ in range(300):
        world.store("e")
        world.clock.advance(1)
    assert world.accounts()["dead"] == 1
    assert world.accounts()["waiting"] == 0
    assert fired(world.service.dead_letters("i1"))[0].record.seq == 2


def test_a_batch_with_a_bad_record_is_sent_one_by_one():
    def says(records):
        if len(records) > 1:
            return Apart("400") if any(r.seq == 2 for r in records) else DELIVERED
        return Retry("400") if records[0].seq == 2 else DELIVERED

    world = World(batch=4, window=8, says=says)
    world.store(*"abcd")
    assert sorted(world.target.got) == [1, 3, 4]
    world.store("e", "f")
    assert world.target.sent[-1] == [5, 6]


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


def test_pause_and_resume():
    world = World(says=delivered)
    world.service.pause("i1")
    world.store("a")
    assert world.target.got == []
    assert world.stats()["state"] == "paused"
    world.service.resume("i1")
    assert world.target.got == [1]


def test_while_it_is_held_no_target_starts_and_a_change_of_settings_does_not_let_go():
    world = World(says=delivered)
    again = world.crash(hold=True)
    again.store("a")
    fired(again.service.apply("i1", "one", "default", structs.replace(world.spec, order="none")))
    again.target.says = delivered
    again.clock.advance(10)
    assert again.stats()["state"] == "held"
    assert again.target.got == []
    again.service.release()
    assert again.target.got == [1]
    assert again.stats()["state"] == "running"


def test_pause_survives_a_crash_and_a_change_of_settings():
    world = World(says=delivered)
    fired(world.service.pause("i1"))
    world.store("a")
    again = world.crash()
    again.target.says = delivered
    assert again.stats()["state"] == "paused"
    fired(again.service.apply("i1", "one", "default", structs.replace(world.spec, order="none")))
    assert again.stats()["state"] == "paused"
    assert again.target.got == []
    fired(again.service.resume("i1"))
    last = again.crash()
    last.target.says = delivered
    last.store("b")
    assert last.stats()["state"] == "running"


def test_what_an_operator_did_is_durable_when_it_is_answered():
    world = World(says=delivered)
    world.journal.lazy = True
    world.store("a", "b")
    world.clock.advance(100)
    later = world.now_ms
    world.store("a", "c")
    world.clock.advance(1)
    fired(world.service.pause("i1"))
    fired(world.service.seek("i1", later))
    again = world.crash()
    assert (again.stats()["waiting"], again.stats()["state"]) == (2, "paused")
    fired(again.service.purge("i1"))
    assert again.crash().stats()["dropped"] == {"purged": 2}


def test_who_pauses_while_the_journal_can_not_be_written_is_told_so():
    world = World(says=delivered)
    never = Deferred()
    world.journal.committed = lambda: never
    answers = []
    world.service.pause("i1").addErrback(lambda failure: answers.append(failure.value))
    world.store("a")
    assert (world.target.got, answers) == ([], [])
    world.clock.advance(6)
    assert "a restart would forget it" in str(answers[0])


def test_purge_drops_what_waits():
    world = World(says=lambda records: Unavailable("down", after=9999))
    world.store(*"abcabc")
    assert fired(world.service.purge("i1")) == 6
    world.clock.advance(1)
    stats = world.stats()
    assert stats["waiting"] == 0
    assert stats["dropped"] == {"purged": 6}


def test_purge_drops_parked_records_too():
    world = World(says=lambda records: Retry("no", after=1000))
    world.store("a", "a", "b")
    world.clock.advance(1)
    assert len(world.journal.parked) == 3
    assert fired(world.service.purge("i1")) == 3
    world.clock.advance(1)
    assert not world.journal.parked
    assert world.stats()["dropped"] == {"purged": 3}
    assert world.stats()["waitingBytes"] == 0


def test_seek_sends_history_again():
    world = World(says=delivered)
    world.store("a", "b")
    world.clock.advance(100)
    later = world.now_ms
    world.store("a", "b", "c")
    world.clock.advance(1)
    fired(world.service.seek("i1", later))
    assert world.target.got == [1, 2, 3, 4, 5, 3, 4, 5]
    assert world.accounts()["queued"] == 8
    world.clock.advance(1)
    assert world.journal.cursors["i1"][0] == 5


def test_a_new_integration_begins_with_new_records_and_can_be_given_history():
    journal = SlowJournal()
    journal.put([record(n, received_ms=1_000_000_000 + n) for n in range(1, 6)])
    world = World(journal, says=delivered)
    world.store("z", received_ms=1_000_000_006)
    assert world.target.got == [6]
    fired(world.service.seek("i1", 1_000_000_003))
    assert world.target.got == [6, 3, 4, 5, 6]


def test_seek_forward_skips_and_says_so():
    world = World()
    world.service.pause("i1")
    world.store("a", "b")
    world.clock.advance(10)
    later = world.now_ms
    world.store("c")
    fired(world.service.seek("i1", later))
    assert world.stats()["dropped"] == {"skipped": 2}
    world.target.says = delivered
    world.service.resume("i1")
    assert world.target.got == [3]


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


def test_parked_records_survive_a_restart_in_order():
    world = World(says=lambda records: Retry("no", after=50) if records[0].device_name == "a" else DELIVERED)
    world.store("a", "b", "a", "a")
    world.clock.advance(1)
    after = world.crash()
    after.target.says = delivered
    after.store("a")
    for _ in range(60):
        after.clock.advance(1)
    assert after.target.got == [1, 3, 4, 5]
    assert after.accounts()["delivered"] == 5


def test_rows_parked_beyond_the_cursor_are_passed_over_after_a_restart():
    world = World()
    world.store("slow", "a", "a")
    world.target.answer(Retry("no", after=50), which=1)  # 2 is parked, 3 behind it; 1 holds the cursor
    world.clock.advance(1)
    assert world.journal.cursors["i1"][0] == 0
    after = world.crash()
    assert after.target.sent == [[1]]
    after.target.answer()
    assert after.accounts()["waiting"] == 2
    assert after.accounts()["queued"] == 3


def test_parked_rows_that_are_not_readable_yet_are_read_later():
    world = World(says=lambda records: Retry("no"))
    world.journal.lag = True
    world.store("a", "a")
    world.clock.advance(0.3)
    world.target.says = delivered
    for _ in range(10):
        world.clock.advance(1)
    assert world.target.got == []
    world.journal.commit()
    for _ in range(4):
        world.clock.advance(1)
        world.journal.commit()
    assert world.target.got == [1, 2]


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


def test_one_integration_that_is_down_does_not_hold_another():
    world = World(says=lambda records: Unavailable("down"))
    world.service.apply("i2", "two", "default", world.spec)
    world.target.says = delivered
    world.store(*"abc")
    assert world.target.got == [1, 2, 3]


def test_backoff_of_a_record_grows_to_its_cap():
    world = World(
        retry=RetrySpec(initial=1, multiplier=2, cap=4, max_attempts=50), says=lambda r: Retry("no")
    )
    world.store("a")
    for _ in range(100):
        world.clock.advance(1)
    assert 20 < len(world.target.sent) < 80


def test_the_state_of_a_delivery():
    def states(seq):
        message = Message(seq, None, State.CONVERTED, "", None, (world.journal.records[seq - 1],))
        return [
            (d.integration, d.state, d.attempts, d.error) for d in fired(world.service.deliveries(message))
        ]

    world = World(
        says=lambda r: {"x": Rejected("never"), "y": Retry("later", after=99)}.get(r[0].device_name)
    )
    world.store("a", "a", "x", "y", "y")
    world.clock.advance(0.3)
    assert states(1) == [("one", "inflight", 0, None)]
    assert states(2) == [("one", "queued", 0, None)]
    assert states(3) == [("one", "dead", 1, "never")]
    assert states(4) == [("one", "retrying", 1, "later")]
    assert states(5) == [("one", "queued", 0, None)]
    world.target.answer()
    assert states(1) == [("one", "delivered", 1, None)]


def state(world, seq):
    """The state of the delivery of a record that is the only one of its message."""
    message = Message(seq, None, State.CONVERTED, "", None, (world.journal.records[seq - 1],))
    return fired(world.service.deliveries(message))[0].state


def test_a_message_that_was_dropped_or_expired_is_not_called_delivered():
    world = World(says=delivered, queue=queue(max_age=60))
    world.store("a")
    world.service.pause("i1")
    world.store("b", "c")
    fired(world.service.purge("i1"))
    world.store("d")
    world.clock.advance(70)
    world.service.resume("i1")
    world.store("e")
    world.clock.advance(1)
    assert [state(world, seq) for seq in range(1, 6)] == [
        "delivered",
        "dropped",
        "dropped",
        "expired",
        "delivered",
    ]
    assert [state(world.crash(), seq) for seq in range(1, 6)][1:4] == ["dropped", "dropped", "expired"]


def test_what_was_lost_long_ago_is_not_called_delivered():
    world = World(says=delivered, queue=queue(max_age=60))
    for _ in range(300):
        world.store("a")
        world.service.pause("i1")
        world.store("b")
        fired(world.service.purge("i1"))
        world.service.resume("i1")
    world.clock.advance(1)
    assert {state(world, seq) for seq in range(2, 200, 2)} == {"unknown"}
    for now in (world, world.crash()):
        assert [state(now, seq) for seq in range(581, 601)] == ["delivered", "dropped"] * 10
    assert world.stats()["dropped"] == {"purged": 300}


def test_what_an_older_route_may_have_left_out_is_not_called_delivered():
    world = World(says=delivered, route=RouteSpec(device_names=["a"]))
    world.store("a", "b")
    world.clock.advance(1)
    fired(world.service.apply("i1", "one", "default", structs.replace(world.spec, route=RouteSpec())))
    world.target.says = delivered
    world.store("b")
    assert [state(world, seq) for seq in (1, 2, 3)] == ["unknown", "unknown", "delivered"]


def test_a_test_message_is_outside_of_all_accounts():
    world = World(says=delivered)
    result = fired(world.service.test("i1"))
    assert result["ok"]
    assert world.accounts()["queued"] == 0
