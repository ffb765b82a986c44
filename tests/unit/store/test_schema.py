"""Databases of older versions are upgraded; those of newer ones are refused."""

import sqlite3

import pytest

from iotgw.store import sqlite
from iotgw.store.sqlite import SchemaError


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
    with pytest.raises(SchemaError, match="expected an iotgw database"):
        sqlite.connect(tmp_path / "a.db")
