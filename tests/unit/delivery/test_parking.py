"""Records that failed, and those that wait behind them."""

from iotgw.core.specs import RetrySpec
from iotgw.core.verdict import DELIVERED, Retry
from tests.unit.delivery.worlds import World


def delivered(records):
    return DELIVERED


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


def test_backoff_of_a_record_grows_to_its_cap():
    world = World(
        retry=RetrySpec(initial=1, multiplier=2, cap=4, max_attempts=50), says=lambda r: Retry("no")
    )
    world.store("a")
    for _ in range(100):
        world.clock.advance(1)
    assert 20 < len(world.target.sent) < 80
