"""Damage where the next uplinks would be written stops neither the intake nor a start."""

import sqlite3

import pytest

from iotgw.core.model import State
from iotgw.store.sqlite.damage import Damaged
from iotgw.store.sqlite.journal import Journal
from iotgw.testing.threads import ThreadClock
from tests.unit.store.sqlite.damaging import zero, zero_all
from tests.unit.store.sqlite.world import World

MANY = 2000
CONVERTED = 1900
PAYLOAD = b"x" * 40


@pytest.fixture
def damaged(tmp_path):
    """``damaged(name, …)``: a journal with uplinks of two datasources, some not converted, and with zeroed leaves of its table
    or index of uplinks; ``running``: they are zeroed while it is open."""
    clock = ThreadClock()
    path = tmp_path / "journal.db"
    worlds = []

    def make(name, pages=1, at=0.999, running=True, everything=False):
        world = World(clock, lambda clock: Journal(clock, path))
        worlds.append(world)
        world.store(*[PAYLOAD] * (MANY // 2), datasource="ds2")
        world.store(*[PAYLOAD] * (MANY // 2))
        world.convert(*range(1, MANY // 2 + 1), datasource="ds2")
        world.convert(*range(MANY // 2 + 1, CONVERTED + 1))
        world.wait(world.journal.durable())
        if not running:
            world.wait(world.journal.stop())
        (zero_all if everything else zero)(path, name, *(() if everything else (pages, at)))
        if running:
            forget_pages(path)
        else:
            world.reopen()
        return world

    yield make
    for world in worlds:
        world.wait(world.journal.stop())


def forget_pages(path):
    """Have all connections read their pages from the disk again, as they do after another one's change."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('of another', '')")
    connection.close()


def payloads(world, after=0, datasource="ds1"):
    return [each.uplink.payload for each in world.wait(world.journal.read_uplinks(datasource, after, 10_000))]


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(("name", "at"), [
    ("uplink", 0.999), ("uplink_of_datasource", 0.999), ("uplink_of_datasource", 0.2),
])  # fmt: skip
def test_uplinks_are_stored_beside_a_damaged_page_where_they_go(damaged, name, at, running):
    world = damaged(name, at=at, running=running)
    assert world.store(b"new") == [MANY + 1]
    assert world.listener.reasons == []
    assert world.journal.room
    waiting = world.wait(world.journal.read_uplinks("ds1", CONVERTED, 10_000))
    assert [each.seq for each in waiting] == list(range(CONVERTED + 1, MANY + 2))
    lost = [each.seq for each in waiting if each.uplink.payload == b""]
    told = [damage for damage in world.listener.damages if "built anew" in damage[3]]
    if name == "uplink":
        ((_, first, last, what),) = told
        assert (first, last) == (lost[0], lost[-1])
        assert f"{len(lost)} messages could not be read, between positions {first} and {last}" in what
        assert b"unreadable" in waiting[-2].uplink.metadata
    else:
        assert lost == []
    assert world.store(b"newer", datasource="ds2") == [MANY + 2]
    assert payloads(world, CONVERTED)[-1] == b"new"


def test_the_next_start_finds_all_of_it_and_has_given_back_what_the_damage_took(damaged):
    world = damaged("uplink")
    world.store(b"new")
    grown = world.wait(world.journal.stats())["bytes"]
    world.reopen()
    assert world.listener.damages == []
    assert world.journal.last_uplink == MANY + 1
    assert payloads(world, MANY) == [b"new"]
    assert world.wait(world.journal.stats())["bytes"] < grown * 0.8
    assert world.store(b"newer") == [MANY + 2]


def test_a_table_of_which_only_the_index_is_left_has_a_stand_in_for_each_message_that_waits(damaged):
    world = damaged("uplink", everything=True, running=False)
    assert world.store(b"new") == [MANY + 1]
    found = world.wait(world.journal.read_uplinks("ds1", CONVERTED, 10_000))
    assert [each.seq for each in found] == list(range(CONVERTED + 1, MANY + 2))


def test_a_message_that_was_converted_before_it_was_lost_keeps_its_result(damaged):
    world = damaged("uplink", pages=10, at=0.9)
    world.store(b"new")
    message = world.wait(world.journal.message(CONVERTED))
    assert message.state is State.CONVERTED
    assert len(message.records) == 1


def test_where_more_is_damaged_the_journal_is_not_opened(damaged, tmp_path):
    world = damaged("uplink")
    world.wait(world.journal.stop())
    path = tmp_path / "journal.db"
    zero(path, "telemetry", at=0.999)
    whole = path.read_bytes()
    with pytest.raises(Damaged):
        world.wait(Journal(world.clock, path).start(world.listener))
    assert path.read_bytes() == whole
