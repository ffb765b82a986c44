"""The state of the clock stands in the journal, and is read before the journal is opened."""

import shutil
import sqlite3

import msgspec
import pytest

from iotgw.core.clock import KeptClock, Stretch
from iotgw.store.sqlite.clock import kept_clock
from iotgw.store.sqlite.damage import OpenMark
from iotgw.store.sqlite.journal import Journal
from iotgw.testing.threads import ThreadClock
from tests.unit.jumps import DAY
from tests.unit.store.sqlite.world import World

STATE = KeptClock("boot", 12.5, 1_795_262_400_000, [Stretch(0, 0), Stretch(5, -7, unsure=True)])


@pytest.fixture
def world(tmp_path):
    clock = ThreadClock()
    return World(clock, lambda clock: Journal(clock, tmp_path / "journal.db"))


def keep(world, state=STATE):
    world.journal.keep_clock(msgspec.json.encode(state).decode())
    world.store(b"a")  # in the same queue of the writer


@pytest.mark.parametrize("closed", [True, False])
def test_what_was_kept_is_read_with_the_journal_closed_or_as_a_kill_leaves_it(world, tmp_path, closed):
    keep(world)
    copy = tmp_path / "copy"
    if closed:
        world.close(world.journal)
    copy.mkdir()
    for file in tmp_path.glob("journal.db*"):
        shutil.copy(file, copy)
    found = kept_clock(copy / "journal.db")
    assert (found.boot, found.base, found.stretches) == (STATE.boot, STATE.base, STATE.stretches)
    if not closed:
        world.close(world.journal)


def test_the_time_of_the_last_mark_counts_when_it_is_later_than_the_state(world, tmp_path):
    keep(world, msgspec.structs.replace(STATE, seen_ms=5))
    now_ms = world.now_ms
    world.close(world.journal)
    assert kept_clock(tmp_path / "journal.db").seen_ms == now_ms


def test_a_journal_of_an_older_version_gives_the_date_of_its_last_mark(world, tmp_path):
    world.store(b"a")
    now_ms = world.now_ms
    world.close(world.journal)
    assert kept_clock(tmp_path / "journal.db") == KeptClock.of_dates(now_ms)


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 1000])
def test_where_nothing_can_be_read_nothing_is_known_and_nothing_is_changed(tmp_path, content):
    path = tmp_path / "journal.db"
    if content is not None:
        path.write_bytes(content)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert kept_clock(path) is None
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_state_that_can_t_be_read_is_as_none(world, tmp_path):
    world.journal.keep_clock("garbage")
    world.store(b"a")
    now_ms = world.now_ms
    world.close(world.journal)
    assert kept_clock(tmp_path / "journal.db") == KeptClock.of_dates(now_ms)


def test_reading_it_leaves_a_missing_write_ahead_log_missing(world, tmp_path):
    """SQLite would make a new one, and nobody could tell that it was taken away."""
    keep(world)
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("journal.db*"):
        shutil.copy(file, copy)
    world.close(world.journal)
    (copy / "journal.db-wal").unlink()
    kept_clock(copy / "journal.db")
    assert "is missing" in OpenMark(copy / "journal.db").lost()


def test_a_seek_finds_by_the_date_what_was_received_before_and_after_a_jump(tmp_path):
    """Marks hold gateway time, records dates."""
    path = tmp_path / "journal.db"
    clock = ThreadClock()
    world = World(clock, lambda clock: Journal(clock, path))
    first = world.convert(*world.store(b"a"))[0]
    for _ in range(3):
        world.clock.advance(20)
        world.convert(*world.store(b"a"))
    at_ms = world.now_ms
    ahead_ms = 8 * DAY * 1000
    record = world.convert(*world.store(b"b"), received_ms=at_ms + ahead_ms)[0]
    world.clock.advance(20)
    world.convert(*world.store(b"c"))
    assert world.wait(world.journal.time_to_seq(at_ms + ahead_ms, at_ms)) == record.seq
    assert world.wait(world.journal.time_to_seq(first.received_ms, first.received_ms)) == first.seq
    world.close(world.journal)


def test_a_disk_that_refuses_it_harms_nothing(world, tmp_path):
    world.store(b"a")
    other = sqlite3.connect(tmp_path / "journal.db")
    other.execute("CREATE TRIGGER refuse BEFORE INSERT ON meta BEGIN SELECT RAISE(FAIL, 'full'); END")
    other.commit()
    other.close()
    world.journal.keep_clock("{}")
    assert world.store(b"b")
    world.close(world.journal)
