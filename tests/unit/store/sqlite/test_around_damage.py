"""Writes beside damaged pages: what can't be written there takes neither the intake nor other writes with it."""

import pytest

from iotgw.core.model import DeliveryState, Outcome, State
from iotgw.store.sqlite.journal import Journal
from iotgw.testing.threads import ThreadClock
from tests.unit.store.sqlite.damaging import zero
from tests.unit.store.sqlite.world import World, output, parked

MANY = 1200
RETRYING = DeliveryState.RETRYING


@pytest.fixture
def damaged(tmp_path):
    """``damaged(name, …)``: a journal with parked deliveries of every message, with a leaf of a table or index zeroed."""
    clock = ThreadClock()
    path = tmp_path / "journal.db"
    worlds = []

    def make(name, pages=1, at=0.5):
        world = World(clock, lambda clock: Journal(clock, path))
        worlds.append(world)
        world.rows = world.convert(*world.store(*[b"x"] * MANY))
        waiting = [parked(record, RETRYING, next_try_ms=1) for record in world.rows]
        world.progress("int1", MANY, parked=waiting, queued=MANY)
        world.wait(world.journal.stop())
        zero(path, name, pages, at)
        world.reopen()
        return world

    yield make
    for world in worlds:
        world.wait(world.journal.stop())


def seqs(rows):
    return [row.record.seq for row in rows]


@pytest.mark.parametrize("name", ["parked", "sqlite_autoindex_parked_1", "parked_of_device", "parked_due"])
def test_progress_is_written_beside_a_damaged_page_of_parked_deliveries(damaged, name):
    world = damaged(name)
    released = range(1, MANY + 1, 3)
    world.progress("int1", MANY, released=released, delivered=len(released))
    world.store(b"new")
    world.wait(world.journal.committed())
    assert world.listener.reasons == []
    assert world.journal.room
    rows = world.wait(world.journal.read_parked("int1", None, 0, 10_000))
    assert seqs(rows) == [seq for seq in range(1, MANY + 1) if seq not in released]
    lost = [row for row in rows if row.state is DeliveryState.DROPPED]
    assert len(lost) == 0 if name != "parked" else 2 < len(lost) < 100
    assert {row.record.body for row in rows if row.state is RETRYING} == {world.rows[0].body}
    ((table, *_, what),) = world.listener.damages
    assert (table, "built anew" in what) == ("parked", True)
    behind = world.wait(world.journal.parked_behind("int1", "dev", 0, 10_000))
    assert [row.state for row in behind] == [row.state for row in rows]
    world.reopen()
    assert world.journal.integrations()["int1"][1].delivered == len(released)
    world.journal.forget("int1")
    world.wait(world.journal.durable())
    assert world.listener.damages == []
    assert world.wait(world.journal.read_parked("int1", None, 0, 10_000)) == []


def test_of_two_damaged_pages_what_lies_between_them_is_kept(damaged):
    world = damaged("parked", 1, 0.2)
    path = world.journal._path
    world.wait(world.journal.stop())
    zero(path, "parked", 1, 0.7)
    world.reopen()
    world.progress("int1", MANY, released=range(1, MANY, 2))
    world.wait(world.journal.committed())
    rows = world.wait(world.journal.read_parked("int1", None, 0, 10_000))
    assert seqs(rows) == list(range(2, MANY + 1, 2))
    assert sum(row.state is DeliveryState.DROPPED for row in rows) < 100


def test_an_integration_is_forgotten_beside_a_damaged_page(damaged):
    world = damaged("parked")
    world.journal.forget("int1")
    world.store(b"new")
    assert world.listener.reasons == []
    assert world.wait(world.journal.read_parked("int1", None, 0, 10)) == []


@pytest.mark.parametrize("name", ["outcome", "telemetry_of_uplink"])
def test_what_comes_of_a_message_again_is_written_or_said_and_the_accounts_balance(damaged, name):
    world = damaged(name)
    again = [Outcome(seq, State.CONVERTED, "c/2", (output(),)) for seq in range(500, 700)]
    new = world.append(b"new")
    world.journal.settle("ds1", MANY, again)
    world.wait(world.journal.durable())
    assert world.listener.reasons == []
    assert new[0] == MANY + 1
    (told, first, last, _what) = world.listener.damages[0]
    assert told == name.partition("_")[0]
    assert 500 <= first < last < 700
    world.reopen()
    counts = world.journal.counts()["ds1"]
    assert counts["received"] - 1 == counts["converted"] + counts.get("failed", 0) == MANY


def test_times_that_can_t_be_noted_stop_nothing(damaged):
    world = damaged("uplink", 0)
    for _ in range(1000):
        world.clock.advance(11)
        world.store(b"x")
    zero(world.journal._path, "mark", at=0.999)
    world.clock.advance(11)
    world.store(b"y")
    assert world.listener.reasons == []
    assert [table for table, *_ in world.listener.damages] == ["mark"]
    world.clock.advance(11)
    world.store(b"z")
    assert len(world.listener.damages) == 1
