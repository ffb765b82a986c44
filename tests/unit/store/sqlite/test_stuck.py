"""Trimming beside damaged pages: what can't be deleted stays, is told, and holds up nothing else."""

import sqlite3
from contextlib import closing

import pytest

from iotgw.store.space import JournalLimits
from iotgw.store.sqlite.journal import Journal
from iotgw.testing.threads import ThreadClock
from tests.unit.store.sqlite.damaging import zero
from tests.unit.store.sqlite.world import World

MANY = 3000
DAY = 86_400
COMMITS = 500


@pytest.fixture
def damaged(tmp_path):
    """``damaged(name, …)``: a journal of old messages that nobody waits for, with leaves of a table or index zeroed."""
    clock = ThreadClock()
    path = tmp_path / "journal.db"
    worlds = []

    def make(name, pages=1, limits=None):
        world = World(clock, lambda clock: Journal(clock, path, limits or JournalLimits()))
        world.path = path
        worlds.append(world)
        for _ in range(MANY // 500):
            world.convert(*world.store(*[b"x" * 20] * 500))
            clock.advance(300)
        world.progress("int1", world.journal.head)
        world.wait(world.journal.stop())
        zero(path, name, pages)
        world.reopen()
        return world

    yield make
    for world in worlds:
        world.wait(world.journal.stop())


def until(world, happened):
    """Let commits go by, and the writer trim after each, until something happened."""
    for _ in range(COMMITS):
        if happened():
            return
        world.clock.advance(1.1)
        world.journal.forget("nobody")
        world.wait(world.journal.committed())
    raise AssertionError("it never happened")


def later(world):
    """A month later. The time at which the last messages came is noted before."""
    world.wait(world.journal.committed())
    world.clock.advance(60)
    world.clock.advance(30 * DAY)


def count(world, table, condition="1"):
    with closing(sqlite3.connect(world.path)) as connection:
        return connection.execute(
            f"SELECT count(*) FROM (SELECT seq FROM {table} WHERE {condition})"
        ).fetchone()[0]


def left(world, table):
    """How many rows are left beside those that were told of."""
    told = sorted(told[1:3] for told in world.listener.damages if told[0] == table)
    ends = [0, *[last for _, last in told]]
    begins = [*[first for first, _ in told], 1 << 40]
    gaps = zip(ends, begins, strict=True)
    return sum(count(world, table, f"seq > {after} AND seq < {before}") for after, before in gaps)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("uplink", "uplink"),
        ("uplink_of_datasource", "uplink"),
        ("outcome", "uplink"),
        ("telemetry", "telemetry"),
        ("telemetry_of_uplink", "telemetry"),
    ],
)
def test_what_is_old_goes_before_and_behind_a_damaged_page(damaged, name, table):
    world = damaged(name)
    later(world)
    until(world, lambda: world.listener.damages and left(world, "uplink") + left(world, "telemetry") <= 2)
    assert {told for told, *_ in world.listener.damages} == {table}
    assert world.listener.damages[0][1] > 500
    assert sum(last - first for _, first, last, _ in world.listener.damages) < MANY / 2
    assert "malformed" in world.journal.faults[0]
    assert world.journal.faults == [what for *_, what in world.listener.damages]
    assert world.wait(world.journal.stats())["received"] == MANY
    world.store(b"new")
    assert world.journal.room


@pytest.mark.parametrize("table", ["uplink", "telemetry"])
def test_a_journal_at_its_size_limit_takes_messages_on_in_spite_of_a_damaged_page(damaged, table):
    limits = JournalLimits()
    world = damaged(table, 2, limits)
    limits.max_bytes = 300_000
    for _ in range(40):
        world.convert(*world.store(*[b"y" * 500] * 50))
        world.progress("int1", world.journal.head)
    until(world, lambda: world.listener.damages)
    for _ in range(40):
        world.convert(*world.store(*[b"y" * 500] * 50))
        world.progress("int1", world.journal.head)
    until(world, lambda: world.wait(world.journal.stats())["bytes"] < limits.max_bytes)
    assert world.journal.room
    assert world.listener.reasons == []


def test_the_next_start_passes_by_the_same_rows_and_trims_on(damaged):
    world = damaged("uplink")
    later(world)
    until(world, lambda: world.listener.damages and left(world, "uplink") <= 1)
    before = world.listener.damages
    world.reopen()
    world.convert(*world.store(*[b"later"] * 100))
    world.progress("int1", world.journal.head)
    later(world)
    until(world, lambda: world.listener.damages and left(world, "uplink") <= 1)
    assert world.listener.damages[0][:2] == before[0][:2]
    assert world.wait(world.journal.message(world.journal.last_uplink)).uplink.payload == b"later"


def test_damage_among_the_time_marks_holds_up_no_trimming(damaged):
    world = damaged("uplink", 0)
    for _ in range(2000):
        world.clock.advance(11)
        world.convert(*world.store(b"x"))
    world.progress("int1", world.journal.head)
    world.wait(world.journal.stop())
    zero(world.path, "mark")
    world.reopen()
    later(world)
    until(world, lambda: count(world, "uplink") == count(world, "telemetry") == 1)
    world.store(b"new")
    assert world.listener.reasons == []


def test_what_a_datasource_waits_for_behind_damage_in_its_index_is_not_trimmed(damaged):
    world = damaged("uplink", 0)
    waiting = world.store(*[b"w"] * MANY, datasource="ds2")
    world.wait(world.journal.stop())
    zero(world.path, "uplink_of_datasource", 3, at=0.6)
    world.reopen()
    later(world)
    until(world, lambda: count(world, "uplink", f"seq < {MANY - 600}") == 0)
    assert count(world, "uplink NOT INDEXED", f"seq >= {waiting[0]}") == MANY
