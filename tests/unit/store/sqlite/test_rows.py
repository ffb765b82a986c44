"""Many rows by few statements, whatever their number."""

import sqlite3

import pytest

from iotgw.store.sqlite.database import ManyRows


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, text TEXT)")
    yield connection
    connection.close()


def stored(connection):
    return connection.execute("SELECT id, text FROM thing ORDER BY id").fetchall()


@pytest.mark.parametrize("count", [*range(34), 63, 64, 65, 191, 192, 193, 255, 256, 257, 600])
def test_every_number_of_rows_goes_in_whole_and_in_order(connection, count):
    rows = [(n, None if n % 7 == 0 else f"t{n}") for n in range(1, count + 1)]
    statements = []
    connection.set_trace_callback(statements.append)
    ManyRows("thing", "id, text").write(connection, [value for row in rows for value in row])
    connection.set_trace_callback(None)
    assert stored(connection) == rows
    assert len(statements) <= 2 + count // 256 + 2


def test_rows_replace_or_change_what_is_there(connection):
    ManyRows("thing", "id, text").write(connection, [1, "a", 2, "b", 3, "c"])
    ManyRows("thing", "id, text", "INSERT OR REPLACE").write(connection, [2, "B", 4, "d", 5, "e"])
    tail = "ON CONFLICT DO UPDATE SET text = text || excluded.text"
    ManyRows("thing", "id, text", tail=tail).write(connection, [1, "+", 5, "+", 6, "f"])
    assert stored(connection) == [(1, "a+"), (2, "B"), (3, "c"), (4, "d"), (5, "e+"), (6, "f")]
