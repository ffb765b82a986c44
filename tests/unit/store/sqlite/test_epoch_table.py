"""The journal's epochs as rows: written with what they name, gone with it."""

import sqlite3
from contextlib import closing
from shutil import copyfile

import pytest

from iotgw.core.epochs import Epoch, Epochs
from iotgw.core.model import Outcome, State
from iotgw.store.sqlite import database as sqlite
from iotgw.store.sqlite.epoch_table import EpochTable
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.positions import Positions
from tests.unit.store.sqlite.world import World


@pytest.fixture
def journal(tmp_path):
    connection = sqlite.connect(tmp_path / "journal.db")
    sqlite.upgrade(connection, "journal")
    yield connection
    connection.close()


def opened(connection):
    return EpochTable(connection, Positions(connection))


def uplink(connection, seq):
    connection.execute("INSERT INTO uplink VALUES (?, 1, 1, 0, '{}', '')", (seq,))


def record(connection, seq, uplink, table="telemetry"):
    head = "" if table == "telemetry" else "1,"
    state = "" if table == "telemetry" else "4, 1, 0, '',"
    tries = "" if table == "telemetry" else ", ''"
    connection.execute(
        f"INSERT INTO {table} VALUES ({head} ?, {state} ?, 1, 1, 0, 0, 'd', 't', '{{}}'{tries})",
        (seq, uplink),
    )


def begin(connection):
    """A start that stores something."""
    table = opened(connection)
    table.write()
    table.saved()
    return table.current


def test_a_start_that_stores_nothing_leaves_no_epoch(journal):
    assert opened(journal).earlier == []
    assert opened(journal).earlier == []


def test_an_epoch_is_written_once(journal):
    table = opened(journal)
    table.write()
    table.saved()
    table.write()
    uplink(journal, 1)
    assert opened(journal).earlier == [table.current]


def test_an_epoch_whose_first_commit_failed_is_written_with_the_next_one(journal):
    table = opened(journal)
    journal.execute("BEGIN")
    table.write()
    journal.execute("ROLLBACK")
    journal.execute("BEGIN")
    table.write()
    uplink(journal, 1)
    journal.execute("COMMIT")
    table.saved()
    assert opened(journal).earlier == [table.current]


def test_an_epoch_goes_when_all_that_it_names_is_gone(journal):
    first = begin(journal)
    uplink(journal, 1)
    record(journal, 1, 1)
    second = begin(journal)
    uplink(journal, 2)
    record(journal, 2, 2)
    assert opened(journal).earlier == [first, second]
    assert second == Epoch(second.name, 1, 1)
    journal.execute("DELETE FROM uplink WHERE seq = 1")
    assert opened(journal).earlier == [first, second], "its telemetry is still there"
    journal.execute("DELETE FROM telemetry WHERE seq = 1")
    assert opened(journal).earlier == [second]


def test_telemetry_keeps_the_epoch_of_an_uplink_that_was_trimmed(journal):
    first = begin(journal)
    uplink(journal, 1)
    second = begin(journal)
    uplink(journal, 2)
    record(journal, 1, 1)
    journal.execute("DELETE FROM uplink WHERE seq = 1")
    assert opened(journal).earlier == [first, second]


def test_a_parked_delivery_keeps_its_epochs(journal):
    first = begin(journal)
    uplink(journal, 1)
    record(journal, 1, 1)
    record(journal, 1, 1, "parked")
    second = begin(journal)
    uplink(journal, 2)
    record(journal, 2, 2)
    journal.execute("DELETE FROM uplink WHERE seq = 1")
    journal.execute("DELETE FROM telemetry WHERE seq = 1")
    assert opened(journal).earlier == [first, second]
    journal.execute("DELETE FROM parked")
    assert opened(journal).earlier == [second]


def test_an_epoch_between_two_that_are_needed_goes_too(journal):
    """One dead letter doesn't keep the epochs of all later starts."""
    first = begin(journal)
    uplink(journal, 1)
    record(journal, 1, 1, "parked")
    record(journal, 1, 1)
    for seq in range(2, 50):
        begin(journal)
        uplink(journal, seq)
        record(journal, seq, seq)
    journal.execute("DELETE FROM uplink WHERE seq < 49")
    journal.execute("DELETE FROM telemetry WHERE seq < 49")
    table = opened(journal)
    assert table.earlier[0].name == first.name
    assert len(table.earlier) == 2
    epochs = Epochs()
    epochs.begin(table.earlier, table.current)
    assert (epochs.of_uplink(1), epochs.of_uplink(49)) == (first.name, table.earlier[1].name)


def test_thousands_of_starts_leave_no_more_epochs_than_records(journal):
    journal.execute("BEGIN")
    for seq in range(1, 5001):
        begin(journal)
        uplink(journal, seq)
        journal.execute("DELETE FROM uplink WHERE seq <= ?", (seq - 20,))
    assert len(opened(journal).earlier) == 20
    assert journal.execute("SELECT count(*) FROM epoch").fetchone()[0] <= 22


def test_a_start_that_only_settles_leaves_no_epoch_that_ties_with_the_next(clock, tmp_path):
    """Two epochs that begin at the same positions could be told apart by nothing."""
    path = tmp_path / "journal.db"
    world = World(clock, lambda clock: Journal(clock, path))
    (seq,) = world.store(b"1")
    world.teardown_method()
    settles = World(clock, lambda clock: Journal(clock, path))
    settles.settle([Outcome(seq, State.FAILED, "c")])
    settled, name = settles.journal.epochs.current, settles.journal.epochs.message_id(seq)
    settles.teardown_method()
    with closing(sqlite3.connect(path)) as connection:
        assert settled not in {name for (name,) in connection.execute("SELECT name FROM epoch")}
    assert World(clock, lambda clock: Journal(clock, path)).journal.epochs.message_id(seq) == name


def test_the_row_of_a_gone_epoch_goes_with_the_next_thing_that_is_stored(journal):
    begin(journal)
    uplink(journal, 1)
    begin(journal)
    uplink(journal, 2)
    journal.execute("DELETE FROM uplink WHERE seq = 1")
    begin(journal)
    assert journal.execute("SELECT count(*) FROM epoch").fetchone() == (2,)


def test_two_journals_of_one_copy_never_give_a_name_twice(clock, tmp_path):
    """A copy that is put back by hand can't be told from the original."""
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    world = World(clock, lambda clock: Journal(clock, path))
    world.store(*[b"%d" % n for n in range(10)])
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)

    def goes_on(journal_world):
        positions = journal_world.store(*[b"later %d" % n for n in range(50)])
        records = journal_world.convert(*positions[:25])
        epochs = journal_world.journal.epochs
        return {epochs.message_id(seq) for seq in positions} | {epochs.key(each) for each in records}

    originals = goes_on(world)
    world.teardown_method()
    copyfile(copy, path)
    assert len(originals) == 75
    assert not originals & goes_on(World(clock, lambda clock: Journal(clock, path)))
