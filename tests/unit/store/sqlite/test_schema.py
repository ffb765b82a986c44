"""Databases of older versions are upgraded; those of newer ones are refused."""

import sqlite3

import pytest

from iotgw.core.model import Counters, DeliveryState, State
from iotgw.store.sqlite import database as sqlite
from iotgw.store.sqlite.damage import Damaged
from iotgw.store.sqlite.database import CannotOpen, SchemaError
from iotgw.store.sqlite.journal import Journal
from tests.unit.store.sqlite.world import World


def test_a_new_database_gets_every_step(tmp_path):
    connection = sqlite.connect(tmp_path / "a.db")
    assert sqlite.upgrade(connection, "journal") == 0
    assert connection.execute("PRAGMA user_version").fetchone() == (len(sqlite.upgrades("journal")),)
    assert sqlite.upgrade(connection, "journal") == len(sqlite.upgrades("journal"))
    connection.close()


def test_an_older_database_gets_the_steps_it_lacks_and_keeps_its_rows(tmp_path):
    connection = sqlite.connect(tmp_path / "a.db")
    first = "CREATE TABLE thing (id INTEGER PRIMARY KEY);"
    second = "ALTER TABLE thing ADD COLUMN name TEXT NOT NULL DEFAULT 'x';"
    sqlite.upgrade(connection, "thing", [first])
    connection.execute("INSERT INTO thing VALUES (7)")
    assert sqlite.upgrade(connection, "thing", [first, second]) == 1
    assert connection.execute("SELECT * FROM thing").fetchall() == [(7, "x")]
    connection.close()


def test_a_step_that_fails_leaves_the_old_version_whole(tmp_path):
    connection = sqlite.connect(tmp_path / "a.db")
    first = "CREATE TABLE thing (id INTEGER PRIMARY KEY);"
    broken = "CREATE TABLE other (id INTEGER); CREATE TABLE thing (id INTEGER);"
    sqlite.upgrade(connection, "thing", [first])
    with pytest.raises(sqlite3.OperationalError):
        sqlite.upgrade(connection, "thing", [first, broken])
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    assert tables == [("thing",)]
    connection.close()


def test_a_newer_database_is_refused(tmp_path):
    connection = sqlite.connect(tmp_path / "a.db")
    connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaError, match=r"schema version .* or older, got 99"):
        sqlite.upgrade(connection, "journal")
    connection.close()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "a.db").write_bytes(b"this is not a database, but a text that is long enough" * 100)
    with pytest.raises(Damaged, match="expected an iotgw database"):
        sqlite.connect(tmp_path / "a.db")


def test_a_place_that_takes_no_database_is_named(clock, tmp_path):
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(CannotOpen, match=r"journal\.db: can't be opened"):
        clock.wait(Journal(clock, tmp_path / "journal.db").start(None))


def test_a_journal_of_the_first_schema_is_upgraded_and_read(clock, tmp_path):
    """What a release wrote, in SQL of its time, so that no later change of the code can make it fit."""
    path = tmp_path / "journal.db"
    connection = sqlite.connect(path)
    sqlite.upgrade(connection, "journal", sqlite.upgrades("journal")[:1])
    connection.executescript("""
        INSERT INTO meta VALUES ('epoch', '0badcafe');
        INSERT INTO name VALUES (1, 'default'), (2, 'ds1'), (3, 'c/1'), (4, 'int1');
        INSERT INTO uplink VALUES (5, 1, 2, 1700000000000, '{"peer":"::1"}', x'00ff');
        INSERT INTO outcome VALUES (5, 1, 3, 9, NULL);
        INSERT INTO telemetry VALUES (9, 5, 1, 2, 1700000000000, 0, 'dev', 'default', '{"telemetry":[]}');
        INSERT INTO conversion VALUES (2, 5);
        INSERT INTO tally VALUES (2, 0, 1), (2, 1, 1);
        INSERT INTO integration VALUES (4, 9, '{"queued":1,"delivered":0}');
        INSERT INTO parked VALUES
            (4, 9, 4, 3, 0, '400', 5, 1, 2, 1700000000000, 0, 'dev', 'default', '{"telemetry":[]}');
        INSERT INTO mark VALUES (1699999999000, 0, 0);
    """)
    connection.close()
    world = World(clock, lambda clock: Journal(clock, path))
    journal = world.journal
    assert (journal.last_uplink, journal.head) == (5, 9)
    assert journal.epochs.message_id(5) == "0badcafe-5"
    assert journal.epochs.position("0badcafe-5") == 5
    assert journal.conversion_cursors() == {"ds1": 5}
    assert journal.integrations() == {"int1": (9, Counters(queued=1))}
    message = world.wait(journal.message(5))
    assert (message.state, message.converter, message.uplink.payload) == (State.CONVERTED, "c/1", b"\x00\xff")
    assert journal.epochs.key(message.records[0]) == "0badcafe-5.9"
    assert message.records[0].body == b'{"telemetry":[]}'
    (item,) = world.wait(journal.read_parked("int1", None, 0, 9))
    assert (item.state, item.attempts, item.record) == (DeliveryState.DEAD, 3, message.records[0])
    assert world.wait(journal.stats())["converted"] == 1
    assert world.wait(journal.time_to_seq(*[0] * 2)) == 9
    assert world.store(b"next") == [6]
    world.wait(journal.stop())
