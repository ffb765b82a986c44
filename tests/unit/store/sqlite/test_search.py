"""What users search for is found around damaged pages."""

import sqlite3

import pytest

from iotgw.core.errors import Unavailable
from iotgw.core.message_query import MessageQuery
from iotgw.core.model import Outcome, State
from iotgw.store import answers
from iotgw.store.sqlite import scans, search
from iotgw.store.sqlite.journal import Journal
from iotgw.testing.threads import ThreadClock
from tests.unit.store.sqlite.damaging import zero
from tests.unit.store.sqlite.world import World, output

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


# --- how far a search looks


def far(world, **conditions):
    """The pages of a search as long as it goes on: how many messages each has, and where the next begins."""
    pages, before = [], 0
    while True:
        page = world.wait(world.journal.search(MessageQuery(tenant="default", **conditions), before, 10))
        pages.append((len(page.messages), page.next))
        before = page.next
        if not before:
            return pages


@pytest.fixture
def short(monkeypatch):
    """Searches look at a hundred entries or so, twenty at a time."""
    monkeypatch.setattr(answers, "LOOK", 100)
    monkeypatch.setattr(search, "FIRST", 20)
    monkeypatch.setattr(search, "LARGEST", 20)


def test_what_is_rare_is_looked_for_a_piece_at_a_time(world, short):
    world.store(b"x", metadata=b'{"peer":"10.0.0.7"}')
    world.store(*[b"x"] * 100)
    pages = far(world, text="10.0.0.7")
    assert [count for count, _ in pages] == [0, 0, 0, 0, 0, 1]
    assert [before for _, before in pages] == [82, 62, 42, 22, 2, 0]
    assert far(world, text="nowhere")[-1] == (0, 0)


def test_a_search_for_nothing_special_ends_with_its_page(world, short):
    world.convert(*world.store(*[b"x"] * 40))
    assert [count for count, _ in far(world)] == [10, 10, 10, 10]
    assert sum(count for count, _ in far(world, device="dev")) == 40
    assert sum(count for count, _ in far(world, datasource="ds1")) == 40
    assert sum(count for count, _ in far(world, state=State.CONVERTED)) == 40


def test_what_waits_to_be_converted_is_not_looked_for_among_what_has_been(world, short):
    world.store(b"early", datasource="ds2")
    world.convert(*world.store(*[b"x"] * 500))
    assert sum(count for count, _ in far(world, state=State.RECEIVED)) == 1
    world.convert(1, datasource="ds2")
    assert far(world, state=State.RECEIVED) == [(0, 0)]
    world.store(b"late", b"later")
    assert far(world, state=State.RECEIVED) == [(2, 0)]


def test_many_outputs_of_one_message_are_one_message(world, short):
    (seq,) = world.store(b"x")
    outputs = tuple(output("dev") for _ in range(300))
    world.settle([Outcome(seq, State.CONVERTED, "c/1", outputs)])
    world.convert(*world.store(b"y"))
    assert sum(count for count, _ in far(world, device="dev")) == 2


def test_ranges_that_are_too_many_are_joined_where_they_are_closest():
    ranges = [(n * 100, n * 100 + 10) for n in range(20)] + [(2005, 2006)]
    joined = scans.coarse(ranges)
    assert len(joined) == scans.COARSE
    assert all(any(low <= first and last <= high for low, high in joined) for first, last in ranges)


def test_a_search_looks_at_no_more_than_its_window(world, monkeypatch):
    """Counted by the pages that SQLite reads of the table, which are few of many."""
    world.store(*[b"x" * 1000] * 300)
    world.clock.advance(20)
    world.store(b"y")
    world.clock.advance(20)
    (last,) = world.store(b"z")
    asked = []
    reader_query = scans.Walk.run

    def run(self, ask, low, high, cost, limit):
        asked.append((low, high))
        return reader_query(self, ask, low, high, cost, limit)

    monkeypatch.setattr(scans.Walk, "run", run)
    query = MessageQuery(tenant="default", since=world.instant(-5))
    found = world.wait(world.journal.search(query, 0, 10))
    assert [message.seq for message in found.messages] == [last]
    assert asked[0][0] > 300


def test_a_search_finds_all_where_the_times_are_on_a_damaged_page(world, monkeypatch):
    world.store(*[b"x"] * 99)

    def damaged(query, ask):
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    monkeypatch.setattr(search, "lowest", damaged)
    query = MessageQuery(tenant="default", since=world.instant(-100))
    assert len(world.wait(world.journal.search(query, 0, 99)).messages) == 99
