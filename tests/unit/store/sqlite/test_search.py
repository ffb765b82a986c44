"""What users search for is found around damaged pages."""

import pytest

from iotgw.core.errors import Unavailable
from iotgw.core.model import State
from iotgw.store.sqlite import search
from iotgw.store.sqlite.journal import Journal
from iotgw.testing.threads import ThreadClock
from tests.unit.store.sqlite.damaging import zero
from tests.unit.store.sqlite.world import World

MANY = 1500


@pytest.fixture
def damaged(tmp_path):
    """``damaged(name, pages=1)``: a journal with `MANY` converted messages, and zeros in leaves of a table or index."""
    clock = ThreadClock()
    path = tmp_path / "journal.db"
    worlds = []

    def make(name, pages=1):
        world = World(clock, lambda clock: Journal(clock, path))
        worlds.append(world)
        world.convert(*world.store(*[b"%d" % n * 20 for n in range(MANY)]))
        world.wait(world.journal.stop())
        zero(path, name, pages)
        world.reopen()
        return world

    yield make
    for world in worlds:
        world.wait(world.journal.stop())


def pages(world, limit=50, **conditions):
    """The positions of all messages, page by page."""
    seqs, before = [], 0
    while found := world.wait(world.journal.messages("default", before, limit, **conditions)):
        assert len(found) <= limit
        seqs += [message.seq for message in found]
        before = seqs[-1]
    return seqs


@pytest.mark.parametrize("table", ["uplink", "telemetry", "telemetry_of_uplink"])
def test_all_messages_but_those_of_a_damaged_page_are_listed_newest_first(damaged, table):
    world = damaged(table)
    seqs = pages(world)
    lost = sorted(set(range(1, MANY + 1)) - set(seqs))
    assert seqs == sorted(seqs, reverse=True)
    assert len(seqs) == len(set(seqs))
    assert 2 < len(lost) < 350
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert world.wait(world.journal.stats())["unreadable"] == {"uplink": len(lost)}
    assert world.journal.faults == [f"{len(lost)} rows of uplink can't be read"]


def test_a_search_by_device_and_state_finds_what_can_be_read(damaged):
    world = damaged("uplink")
    assert pages(world, device="dev") == pages(world)
    assert pages(world, state=State.CONVERTED) == pages(world)


def test_a_damaged_message_that_is_asked_for_by_id_is_said_to_be_damaged(damaged):
    world = damaged("uplink")
    (lost, *_) = set(range(1, MANY + 1)) - set(pages(world))
    with pytest.raises(Unavailable, match="the journal is damaged where this message is"):
        world.wait(world.journal.message(lost))
    assert world.wait(world.journal.message(MANY)).seq == MANY


def test_a_search_in_which_too_much_is_damaged_ends_with_a_sentence(damaged, monkeypatch):
    monkeypatch.setattr(search, "MOST_LOST", 30)
    world = damaged("uplink", pages=4)
    with pytest.raises(Unavailable, match="the journal is damaged"):
        pages(world)
