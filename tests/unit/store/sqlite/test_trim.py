import pytest

from iotgw.core.model import Outcome, State
from iotgw.store.space import JournalLimits
from iotgw.store.sqlite import database as sqlite
from iotgw.store.sqlite.commit import MARK_MS
from iotgw.store.sqlite.trim import GRACE_MS
from tests.unit.store.sqlite.world import World, output

DAY = 86_400.0
SMALL = 400_000
"""Bytes that a journal of these tests may take."""


@pytest.fixture
def limits():
    return JournalLimits(max_age_ms=int(2.5 * DAY * 1000), max_bytes=1 << 40)


@pytest.fixture
def world(clock, backend, limits):
    world = World(clock, lambda clock: backend(clock, limits=limits))
    yield world
    clock.wait(world.journal.stop())


def stats(world):
    return world.wait(world.journal.stats())


def tend(world):
    """Let the journal trim until there is nothing more to do."""
    before = None
    while (now := [stats(world)[stream]["first"] for stream in ("uplink", "telemetry")]) != before:
        before = now
        for _ in range(2):  # after each commit it trims a step; the second says that the first's is done
            world.clock.advance(1.5)
            world.journal.forget("nobody")
            world.wait(world.journal.read_parked("nobody", None, 0, 1))


def days(world, count, *, convert=True, messages=5, size=100):
    """Some messages a day; returns the records of each day."""
    records = []
    for _ in range(count):
        seqs = world.store(*[bytes(size)] * messages)
        records.append(world.convert(*seqs) if convert else [])
        world.clock.advance(60)
        world.clock.advance(DAY - 60)
    return records


def first(world, stream="telemetry"):
    tend(world)
    return stats(world)[stream]["first"]


def test_what_is_old_goes(world):
    records = days(world, 5)
    assert first(world) == records[3][0].seq
    assert first(world, "uplink") == records[3][0].uplink
    assert world.wait(world.journal.message(records[2][0].uplink)) is None
    assert world.wait(world.journal.message(records[3][0].uplink)).state is State.CONVERTED
    assert stats(world)["received"] == 25  # accounts go on


def test_of_both_streams_the_older_goes_first_whatever_the_clock_said_meanwhile(world, limits):
    limits.max_bytes = SMALL
    for number in range(12):  # the date goes back each time, while time goes on
        seqs = world.append(*[bytes(2000)] * 20)
        world.until(lambda last=seqs[-1]: any(stored.seq == last for stored, _ in world.listener.entries))
        world.convert(*seqs, received_ms=1_000_000_000_000 - number * 86_400_000)
        tend(world)
    uplinks, telemetry = stats(world)["uplink"]["first"], stats(world)["telemetry"]["first"]
    assert uplinks > 1
    (record,) = world.wait(world.journal.read_telemetry(telemetry - 1, 1))
    assert abs(record.uplink - uplinks) <= 20


def test_the_newest_stays_so_that_positions_go_on(world):
    records = days(world, 2)
    world.clock.advance(30 * DAY)
    tend(world)
    world.reopen()
    assert world.journal.head == records[-1][-1].seq
    assert world.store(b"next")[0] > records[-1][-1].uplink


def test_what_an_integration_waits_for_stays_until_it_is_too_old_for_it(world):
    records = days(world, 2)
    world.progress("int1", records[0][1].seq)
    world.journal.hold("int1", 5 * DAY)
    world.clock.advance(1.5 * DAY)
    world.progress("int2", records[1][-1].seq)
    days(world, 1)
    assert first(world) == records[0][2].seq
    world.clock.advance(DAY + GRACE_MS / 1000)
    assert first(world) == records[1][0].seq


def test_without_a_hold_an_integration_waits_as_long_as_the_journal_keeps(world):
    records = days(world, 2)
    world.progress("int1", records[0][1].seq)
    world.clock.advance(DAY / 2 + 600)
    assert first(world) == records[0][2].seq  # an hour more, to be counted
    world.clock.advance(DAY / 24)
    assert first(world) == records[1][0].seq


def test_what_is_not_converted_stays(world):
    days(world, 1)
    (lagging,) = world.store(b"lag", datasource="ds2")
    records = days(world, 5)
    assert first(world, "uplink") == lagging
    assert first(world) == records[3][0].seq
    world.settle([Outcome(lagging, State.FILTERED, "c/1")], "ds2")
    assert first(world, "uplink") == records[3][0].uplink


def test_a_silent_datasource_holds_nothing(world):
    world.convert(*world.store(b"a", datasource="silent"), datasource="silent")
    records = days(world, 5)
    assert first(world, "uplink") == records[3][0].uplink


def test_beyond_its_size_the_oldest_goes_and_the_file_stays_within(clock, backend, limits, tmp_path):
    limits.max_bytes = SMALL
    world = World(clock, lambda clock: backend(clock, limits=limits))
    for _ in range(60):
        world.convert(*world.store(*[bytes(1000)] * 20))
        tend(world)
    found = stats(world)
    assert found["bytes"] <= SMALL
    assert found["fileBytes"] <= SMALL * 1.2
    assert found["telemetry"]["first"] > 1
    assert 100 < found["uplink"]["last"] - found["uplink"]["first"] < 400
    clock.wait(world.journal.stop())


def test_its_size_gives_way_to_what_is_waited_for_up_to_the_ceiling(clock, backend, limits):
    limits.max_bytes, limits.slack = SMALL, 0
    world = World(clock, lambda clock: backend(clock, limits=limits))
    world.progress("int1", 0)
    for _ in range(200):
        seqs = world.store(b"x")
        world.settle([Outcome(seqs[0], State.CONVERTED, "c/1", (output(body=b'"%s"' % (b"y" * 9000)),))])
        tend(world)
        if not world.journal.room:
            break
    found = stats(world)
    assert found["problem"].startswith("full: ")
    assert found["telemetry"]["first"] == 1  # nothing of what waits is gone
    assert SMALL * limits.ceiling < found["bytes"] < SMALL * limits.ceiling * 1.2
    assert world.listener.rooms == 0
    world.progress("int1", world.journal.head)
    tend(world)
    assert world.journal.room
    assert world.listener.rooms == 1
    assert stats(world)["bytes"] <= SMALL
    clock.wait(world.journal.stop())


def test_a_small_journal_has_room_until_what_is_too_much_can_be_given_up():
    assert JournalLimits(max_bytes=SMALL).most == SMALL + (8 << 20)
    assert JournalLimits(max_bytes=1 << 30).most == 2 << 30


def test_marks_go_with_what_they_mark(world, clock, tmp_path):
    for _ in range(20):
        world.convert(*world.store(b"x"))
        clock.advance(MARK_MS / 1000)
    clock.advance(3 * DAY)
    world.store(b"y")
    tend(world)
    database = sqlite.connect_reader(tmp_path / "journal.db")
    ((marks,),) = database.execute("SELECT count(*) FROM mark").fetchall()
    database.close()
    assert marks <= 3


def test_time_to_seq_is_exact_after_trimming(world):
    records = days(world, 5)
    tend(world)
    assert world.wait(world.journal.time_to_seq(*[0] * 2)) == records[3][0].seq
    assert world.wait(world.journal.time_to_seq(*[records[4][0].received_ms] * 2)) == records[4][0].seq
