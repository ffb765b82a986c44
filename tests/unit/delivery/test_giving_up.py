"""Records that become dead letters, and what becomes of these."""

from iotgw.core.verdict import DELIVERED, Rejected, Retry
from tests.unit.delivery.worlds import World, fired


def delivered(records):
    return DELIVERED


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
