"""After a restart only that comes again which the last write of the progress missed."""

import random

import pytest

from iotgw.core.specs import QueueSpec, RetrySpec, RouteSpec
from iotgw.core.verdict import DELIVERED, Rejected, Retry
from iotgw.delivery import outbox
from tests.unit.delivery.worlds import World


def settle_all_but_the_first(world):
    while len(world.target.open) > 1:
        world.target.answer(which=1)


def test_one_hanging_request_does_not_bring_again_what_the_others_got():
    world = World(window=64)
    first, *others = world.store("hangs", *[f"d{n}" for n in range(2000)])
    settle_all_but_the_first(world)
    world.clock.advance(1)
    world = world.crash()
    world.clock.advance(1)
    assert world.target.sent == [[first]]
    world.target.answer_all()
    world.clock.advance(1)
    assert world.accounts() == {
        "queued": 2001, "delivered": 2001, "inflight": 0, "waiting": 0, "dead": 0, "expired": 0
    }  # fmt: skip
    assert world.journal.cursors["i1"][0] == others[-1]


def test_what_the_last_write_missed_comes_again():
    world = World(window=8)
    world.store("hangs", "a", "b", "c")
    world.target.answer(which=1)
    world.clock.advance(1)
    world.target.answer(which=1)
    world = world.crash()
    assert world.target.sent == [[1], [3], [4]]


def test_the_cursor_that_the_journal_trims_by_stays_before_the_oldest_in_flight():
    world = World(window=8)
    world.store("hangs", "a", "b", "c")
    settle_all_but_the_first(world)
    world.clock.advance(1)
    assert world.journal.cursors["i1"][0] == 0
    again = world.crash()
    again.clock.advance(1)
    assert again.journal.cursors["i1"][0] == 0


def test_a_restart_before_all_was_read_again_forgets_nothing():
    world = World(window=2)
    world.store("hangs", *"abcdef")
    settle_all_but_the_first(world)
    world.clock.advance(1)
    for _ in range(3):
        world = world.crash()
        world.clock.advance(1)
        assert world.target.sent == [[1]]
        assert world.accounts()["delivered"] == 6


def test_more_open_ones_than_are_kept_bring_again_only_what_lies_behind_them(monkeypatch):
    monkeypatch.setattr(outbox, "OPEN", 3)
    world = World(window=16)
    world.store(*"abcdefgh")
    for which in (1, 2, 3):  # 2, 4 and 6
        world.target.answer(which=which)
    world.clock.advance(1)
    cursor, counters = world.journal.cursors["i1"]
    assert (cursor, counters.done, counters.open) == (0, 6, [1, 3, 5])
    assert counters.delivered == 3
    world = world.crash()
    assert sorted(seq for (seq,) in world.target.sent) == [1, 3, 5, 7, 8]
    world.target.answer_all()
    assert world.accounts()["delivered"] == 8


def test_what_expired_or_died_ahead_of_the_mark_is_not_met_again():
    world = World(window=8, queue=QueueSpec(max_age=60))
    world.store("hangs", "a")
    world.target.answer(Rejected("never"), which=1)
    world.clock.advance(1)
    world.store("b", received_ms=world.now_ms - 61_000)
    world.clock.advance(1)
    world = world.crash()
    world.clock.advance(1)
    assert world.target.sent == [[1]]
    stats = world.stats()
    assert (stats["dead"], stats["expired"], stats["inflight"]) == (1, 1, 1)


def test_a_record_known_to_be_open_joins_its_devices_parked_line_instead_of_counting_as_settled():
    """Two of one batch: the later one is parked while the target still has the earlier."""
    world = World(batch=2, window=2)
    world.store("a", "a")
    records, settle = world.target.open[0]
    settle([records[1].seq], Retry("no"))
    world.clock.advance(0.5)
    world = world.crash()
    world.target.says = lambda records: DELIVERED
    world.target.answer_all()
    for _ in range(20):
        world.clock.advance(1)
    assert sorted(world.target.got) == [1, 2]
    assert world.accounts()["delivered"] == 2


def test_seeking_back_after_a_restart_sends_all_of_it_again():
    world = World(window=8)
    world.store("hangs", "a", "b")
    settle_all_but_the_first(world)
    world.clock.advance(1)
    world = world.crash()
    world.target.says = lambda records: DELIVERED
    world.target.answer_all()
    world.service.seek("i1", 0)
    world.clock.advance(1)
    assert world.target.got == [1, 1, 2, 3]
    world.stats()


@pytest.mark.parametrize("seed", range(40))
def test_a_crash_after_the_progress_was_written_repeats_nothing(seed):
    chance = random.Random(seed)
    world = World(window=5, retry=RetrySpec(initial=0.5, cap=2.0, max_attempts=3))
    got = []
    for _ in range(60):
        what = chance.random()
        if what < 0.3:
            world.store(*chance.choices("abcde", k=3))
        elif what < 0.85 and world.target.open:
            which = chance.randrange(len(world.target.open))
            seqs = [record.seq for record in world.target.open[which][0]]
            verdict = chance.choice([DELIVERED, DELIVERED, DELIVERED, Retry("no"), Rejected("never")])
            world.target.answer(verdict, which)
            got += seqs if verdict is DELIVERED else []
        elif what < 0.93:
            world.clock.advance(0.3)
        else:
            world.clock.advance(0.3)
            world = world.crash()
        world.stats()
    assert len(got) == len(set(got))


def test_what_concerns_an_integration_not_moves_it_on_at_leisure():
    world = World(route=RouteSpec(device_names=["mine"]), says=lambda records: DELIVERED)
    world.clock.advance(1)
    before = world.journal.cursors["i1"][0]
    for _ in range(3):
        world.store("other", "another")
        world.clock.advance(1)
    assert world.journal.cursors["i1"][0] == before
    world.clock.pump([1] * 5)
    assert world.journal.cursors["i1"][0] == 6
    world.store("mine", "other")
    world.clock.advance(1)
    assert (world.accounts()["delivered"], world.journal.cursors["i1"][0]) == (1, 8)
    assert world.crash().accounts()["delivered"] == 1
