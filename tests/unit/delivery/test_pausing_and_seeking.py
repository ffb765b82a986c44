"""What users do to a queue: pause, purge and seek."""

from msgspec import structs
from twisted.internet.defer import Deferred

from iotgw.core.verdict import DELIVERED, Retry, Unavailable
from tests.unit.delivery.worlds import SlowJournal, World, fired, record


def delivered(records):
    return DELIVERED


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


def test_who_purges_or_seeks_while_nothing_can_be_written_or_read_is_told_so():
    world = World(says=lambda records: Unavailable("down", after=9999))
    world.store("a")
    world.journal.committed = Deferred
    answers = []
    world.service.purge("i1").addErrback(lambda failure: answers.append(failure.value))
    world.service.seek("i1", 0).addErrback(lambda failure: answers.append(failure.value))
    world.clock.advance(6)
    assert ["journal can" in str(each) for each in answers] == [True, True]


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
