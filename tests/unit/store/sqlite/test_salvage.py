"""A page that can't be read takes its own records with it, and nobody else's."""

import sqlite3
import time

import pytest

from iotgw.core.model import DeliveryState, Kind
from iotgw.core.stream import StreamReader
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.reader import JournalReader
from iotgw.testing.threads import PATIENCE, ThreadClock
from tests.unit.store.sqlite.world import World, parked

MANY = 400
LEAF = 0x0D


@pytest.fixture
def damaged(tmp_path):
    """``damaged(fill, table)``: a journal that ``fill(world)`` filled, one leaf page of whose table holds zeros."""
    clock = ThreadClock()
    path = tmp_path / "journal.db"
    worlds = []

    def make(fill, table, pages=1):
        world = World(clock, lambda clock: Journal(clock, path))
        worlds.append(world)
        fill(world)
        world.wait(world.journal.stop())
        zero(path, table, pages)
        world.reopen()
        return world

    yield make
    for world in worlds:
        world.wait(world.journal.stop())


def zero(path, table, pages):
    """Write zeros into leaf pages in the middle of a table."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    found = connection.execute(
        "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path", (table,)
    ).fetchall()
    connection.close()
    assert len(found) > 4
    middle = len(found) // 2
    with open(path, "r+b") as file:
        for (page,) in found[middle : middle + pages]:
            file.seek((page - 1) * size)
            assert file.read(1)[0] == LEAF
            file.seek((page - 1) * size)
            file.write(bytes(size))


def convert(world, count=MANY):
    seqs = world.store(*[b"%d" % n for n in range(count)])
    return world.convert(*seqs)


def until(world, happened):
    """Let time go by, and the threads work, until something happened."""
    give_up = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < give_up
        world.clock.advance(0.1)
        world.clock.turn()
        time.sleep(0.0005)


def patiently(world, deferred):
    """The result of a read that is tried again."""
    results = []
    deferred.addBoth(results.append)
    until(world, lambda: results)
    assert isinstance(results[0], list | dict), results[0]
    return results[0]


def test_of_a_damaged_page_of_telemetry_the_records_are_passed_by_and_all_others_come(damaged):
    world = damaged(convert, "telemetry")
    read = patiently(world, world.journal.read_telemetry(0, 10_000))
    assert [record.seq for record in read] == list(range(1, MANY + 1))
    lost = [record for record in read if record.kind is Kind.UNREADABLE]
    assert 5 < len(lost) < 100
    assert [record.seq for record in lost] == list(range(lost[0].seq, lost[-1].seq + 1))
    assert {record.tenant for record in lost} == {""}
    assert lost[0].body == b"database disk image is malformed"
    assert world.wait(world.journal.stats())["unreadable"] == {"telemetry": len(lost)}
    assert world.journal.faults == [f"{len(lost)} rows of telemetry can't be read"]


def test_a_page_of_a_damaged_stream_is_as_long_as_any(damaged):
    world = damaged(convert, "telemetry")
    seqs, after = [], 0
    while read := patiently(world, world.journal.read_telemetry(after, 70)):
        seqs += [record.seq for record in read]
        after = seqs[-1]
    assert seqs == list(range(1, MANY + 1))


def test_of_a_damaged_page_of_uplinks_each_datasource_is_told_its_own(damaged):
    def fill(world):
        for n in range(MANY):
            world.store(b"x" * 90, datasource=f"ds{n % 2}")

    world = damaged(fill, "uplink")
    for datasource, first in (("ds0", 1), ("ds1", 2)):
        read = patiently(world, world.journal.read_uplinks(datasource, 0, 10_000))
        assert [stored.seq for stored in read] == list(range(first, MANY + 1, 2))
        lost = [stored.uplink for stored in read if not stored.uplink.tenant]
        assert 2 < len(lost) < 50
        assert b"malformed" in lost[0].metadata


def test_of_a_damaged_page_of_parked_rows_the_others_are_read(damaged):
    def fill(world):
        records = convert(world)
        world.progress("int1", MANY, parked=[parked(record, DeliveryState.RETRYING) for record in records])

    world = damaged(fill, "parked")
    for read in (
        patiently(world, world.journal.read_parked("int1", None, 0, 10_000)),
        patiently(world, world.journal.parked_behind("int1", "dev", 0, 10_000)),
    ):
        assert [row.record.seq for row in read] == list(range(1, MANY + 1))
        lost = [row for row in read if row.state is DeliveryState.DROPPED]
        assert 2 < len(lost) < 100


def test_of_parked_deliveries_that_are_looked_up_the_damaged_ones_are_said_to_be_dropped(damaged):
    def fill(world):
        records = convert(world)
        world.progress("int1", MANY, parked=[parked(record, DeliveryState.RETRYING) for record in records])

    world = damaged(fill, "parked")
    found = patiently(world, world.journal.parked_among({"int1": list(range(1, MANY + 2)), "int2": [1]}))
    assert list(found) == [("int1", seq) for seq in range(1, MANY + 1)]
    lost = [each for each in found.values() if each.state is DeliveryState.DROPPED]
    assert 2 < len(lost) < 100
    assert "malformed" in lost[0].error


def test_a_read_for_which_there_was_no_memory_is_made_again(damaged, monkeypatch):
    world = damaged(convert, "telemetry", pages=0)
    fails = [MemoryError(), MemoryError()]
    one = JournalReader._one

    def scarce(self, *args):
        if fails:
            raise fails.pop()
        return one(self, *args)

    monkeypatch.setattr(JournalReader, "_one", scarce)
    read = world.journal.read_telemetry(0, 10_000)
    results = []
    read.addBoth(results.append)
    until(world, lambda: world.journal.faults)
    assert world.journal.faults == ["the journal can't be read: MemoryError"]
    until(world, lambda: results)
    assert len(results[0]) == MANY
    assert {record.kind for record in results[0]} == {Kind.TELEMETRY}
    assert world.journal.faults == []


def test_while_nothing_at_all_can_be_read_nothing_is_passed_by(damaged, monkeypatch):
    world = damaged(convert, "telemetry", pages=0)
    broken = [True]
    one = JournalReader._one

    tries = 0

    def away(self, *args):
        nonlocal tries
        if broken:
            tries += 1
            raise sqlite3.OperationalError("disk I/O error")
        return one(self, *args)

    monkeypatch.setattr(JournalReader, "_one", away)
    monkeypatch.setattr(JournalReader, "_works", lambda self: away(self, "SELECT '[]'"))
    results = []
    world.journal.read_telemetry(0, 10_000).addBoth(results.append)
    until(world, lambda: tries > 6)
    assert not results
    broken.clear()
    until(world, lambda: results)
    assert {record.kind for record in results[0]} == {Kind.TELEMETRY}


def test_who_waits_for_a_further_try_is_told_when_the_journal_closes(damaged, monkeypatch):
    world = damaged(convert, "telemetry")
    results = []
    world.journal.read_telemetry(0, 10_000).addErrback(lambda failure: results.append(failure.type.__name__))
    until(world, lambda: world.journal.faults)
    world.reopen()
    assert results == ["Unavailable"]


def test_a_tail_goes_on_behind_a_damaged_page(damaged):
    world = damaged(convert, "telemetry")
    got = []
    reader = StreamReader(
        world.journal.read_telemetry,
        0,
        50,
        lambda: None,
        lambda records: sum(len(each.body) for each in records),
    )
    reader.fill()

    def took_all():
        got.extend(record.seq for record in reader.take(50))
        return reader.caught_up

    until(world, took_all)
    assert got == list(range(1, MANY + 1))
