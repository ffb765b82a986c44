"""Targets that are down, that raise, or that one record brings down."""

from iotgw.core.verdict import DELIVERED, Apart, Rejected, Retry, Unavailable
from tests.unit.delivery.worlds import World, fired


def delivered(records):
    return DELIVERED


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


def test_batches_stay_batches_where_the_target_is_surely_to_blame():
    """As with a disk that is nearly full, on which each record alone would fit."""
    full = [True]

    def says(records):
        return Unavailable("full", is_certain=True) if full and len(records) > 2 else DELIVERED

    world = World(says=says, batch=5, window=10)
    world.service.pause("i1")
    world.store(*"abcdefghij")
    world.service.resume("i1")
    for _ in range(600):
        world.clock.advance(1)
    assert world.target.got == [] and {len(sent) for sent in world.target.sent} == {5}
    assert world.stats()["retrying"] == world.stats()["dead"] == 0
    full.clear()
    for _ in range(70):
        world.clock.advance(1)
    assert sorted(world.target.got) == list(range(1, 11)) and len(world.target.sent[-1]) == 5


def test_the_next_outage_that_may_be_a_record_s_fault_is_probed_by_one_again():
    world = World(says=lambda records: Unavailable("full", is_certain=True), batch=5, window=10)
    world.store(*"abcdefghij")
    world.target.says = lambda records: Unavailable("reset")
    sent = len(world.target.sent)
    for _ in range(300):
        world.clock.advance(1)
    assert {len(each) for each in world.target.sent[sent + 1 :]} == {1}


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
        "exchanges": [],
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


def test_one_integration_that_is_down_does_not_hold_another():
    world = World(says=lambda records: Unavailable("down"))
    world.service.apply("i2", "two", "default", world.spec)
    world.target.says = delivered
    world.store(*"abc")
    assert world.target.got == [1, 2, 3]
