"""What the journal can't read any more is passed by, counted and said; nothing stands still for it."""

from msgspec.structs import replace
from twisted.internet.defer import fail, succeed

from iotgw.core.model import DeliveryState, Kind, TelemetryRecord
from iotgw.core.verdict import DELIVERED, Retry
from tests.unit.delivery.worlds import SlowJournal, World


def stand_in(seq):
    return TelemetryRecord(seq, 0, "", "", 0, "", "", b"database disk image is malformed", Kind.UNREADABLE)


class DamagedJournal(SlowJournal):
    """Its records at ``damaged`` positions can't be read; for ``failures`` no read succeeds."""

    failures = 0

    def __init__(self, clock, storage, damaged):
        super().__init__(clock, storage, epoch="E")
        self.damaged = set(damaged)

    def read_telemetry(self, after, limit):
        if self.failures:
            self.failures -= 1
            return fail(MemoryError())
        found = [record for record in self.records if record.seq > after][:limit]
        return succeed([stand_in(r.seq) if r.seq in self.damaged else r for r in found])


def restarted(world, *damaged):
    """A new process on a journal that was damaged meanwhile."""
    journal = DamagedJournal(world.clock, world.journal.storage.copy(), damaged)
    return World(journal, world.clock, says=lambda records: DELIVERED)


def waiting(devices):
    """An integration for which these wait, counted."""
    world = World(window=1)
    world.service.pause("i1")
    world.store(*devices)
    world.clock.advance(1)
    return world


def resumed(world, *damaged):
    world = restarted(world, *damaged)
    world.service.resume("i1")
    for _ in range(4):
        world.clock.advance(1)
    return world


def test_all_others_are_delivered_and_the_lost_are_counted():
    world = resumed(waiting("abcdefgh"), 3, 4, 5)
    assert world.target.got == [1, 2, 6, 7, 8]
    stats = world.stats()
    assert stats["dropped"] == {"unreadable": 3}
    assert (stats["queued"], stats["delivered"], stats["waiting"]) == (8, 5, 0)
    world.store("a")
    assert world.target.got[-1] == 9


def test_it_is_said_with_its_positions():
    world = resumed(waiting("abcdefgh"), 3, 4, 5)
    event = next(event for event in world.events.emitted if event.type == "delivery.unreadable")
    assert (event.severity, event.detail) == ("error", {"count": 3, "positions": [3, 4, 5]})
    assert "malformed" in event.message
    assert "positions 3 to 5" in world.stats()["lastError"]


def test_of_records_that_others_would_have_got_none_is_counted():
    world = World(window=1)
    world.service.pause("i1")
    world.store("a", "b")
    world.store("c", tenant="other")
    world.clock.advance(1)
    world = resumed(world, 2, 3)
    assert world.stats()["dropped"] == {"unreadable": 1}


def test_what_was_never_counted_counts_as_lost():
    world = waiting("ab")
    world.store("c", "d", "e", feed=False)
    world = resumed(world, 4)
    assert world.target.got == [1, 2, 3, 5]
    stats = world.stats()
    assert (stats["queued"], stats["dropped"]) == (5, {"unreadable": 1})


def test_a_purge_passes_them_by():
    world = restarted(waiting("abcdefgh"), 3, 4)
    world.service.purge("i1")
    for _ in range(4):
        world.clock.advance(1)
    assert world.stats()["dropped"] == {"purged": 6, "unreadable": 2}


def test_a_crash_counts_the_lost_once():
    world = resumed(waiting("abcdefgh"), 3, 4, 5)
    world = restarted(world, 3, 4, 5)
    for _ in range(4):
        world.clock.advance(1)
    assert world.stats()["dropped"] == {"unreadable": 3}


def test_reads_that_fail_are_made_again_though_nothing_new_comes():
    world = restarted(waiting("abc"))
    world.journal.failures = 3
    again = World(world.journal, world.clock, says=lambda records: DELIVERED)
    again.service.resume("i1")
    for _ in range(6):
        again.clock.advance(1)
    assert again.target.got == [1, 2, 3]
    assert again.stats()["waiting"] == 0


def test_a_backlog_that_could_not_be_counted_is_counted_later():
    world = waiting("a")
    world.store("b", "c", feed=False)
    world = restarted(world)
    world.journal.failures = 1
    again = World(world.journal, world.clock)
    again.clock.advance(1)
    assert again.stats()["queued"] == 3


def test_a_parked_line_goes_on_behind_a_row_that_can_not_be_read():
    world = World(window=1)
    world.target.says = lambda records: Retry("no")
    world.store("a", "a", "a")
    world.clock.advance(0.3)
    read = world.journal.parked_behind

    def damaged(*args):
        return read(*args).addCallback(
            lambda rows: [
                replace(row, state=DeliveryState.DROPPED, record=stand_in(2)) if row.record.seq == 2 else row
                for row in rows
            ]
        )

    world.journal.parked_behind = damaged
    world.target.says = lambda records: DELIVERED
    for _ in range(10):
        world.clock.advance(1)
    stats = world.stats()
    assert (stats["delivered"], stats["waiting"], stats["dropped"]) == (2, 0, {"unreadable": 1})
    assert world.target.got == [1, 3]
