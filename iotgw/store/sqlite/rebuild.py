"""Builds the table of parked deliveries anew when a damaged page keeps it from being written.

What can be read is copied. A row that can't be read has a stand-in, so that the integration learns which deliveries it has
lost: `DeliveryState.DROPPED`, as if it had been read (`iotgw.store.sqlite.salvage`). The pages of the damaged table stay in
the file and aren't used again, because freeing them would mean reading them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from iotgw.core.model import DeliveryState, Kind
from iotgw.store.sqlite.damage import is_damage
from iotgw.store.sqlite.database import connect_reader

_COLUMNS = """integration, seq, state, attempts, next_try_ms, error, uplink, tenant, datasource, received_ms, kind,
    device_name, device_type, body, tries"""
_KEYS = (
    "SELECT integration, seq, device_name FROM parked INDEXED BY parked_of_device ORDER BY integration {0}, device_name {0}, seq {0}",
    "SELECT integration, seq, '' FROM parked INDEXED BY sqlite_autoindex_parked_1 ORDER BY integration {0}, seq {0}",
)
Key = tuple[int, int]
"""An integration's number, and a position."""


def rebuild_parked(connection: sqlite3.Connection, path: Path) -> list[Key]:
    """Replace the table in one transaction. Returns what could not be read."""
    insert = f"INSERT OR IGNORE INTO parked ({_COLUMNS}) VALUES ({', '.join('?' * 15)})"
    # Damage that is met within a writing transaction keeps it from being committed. So another connection reads.
    with closing(connect_reader(path)) as source, replacing(connection, source, "parked") as make_indexes:
        make_indexes()
        done: set[Key] = set()
        for row in _rows(source):
            connection.execute(insert, row)
            done.add((row[0], row[1]))
        lost = {key: device for key, device in _keys(source).items() if key not in done}
        for key, device in list(lost.items()):
            found = _row(source, key)
            connection.execute(insert, found or _stand_in(key, device))
            if found:
                del lost[key]
    return sorted(lost)


@contextmanager
def replacing(
    connection: sqlite3.Connection, source: sqlite3.Connection, table: str
) -> Iterator[Callable[[], None]]:
    """A transaction that takes a table out of the schema, without looking at its pages, and makes it anew, empty. It gives
    the function that makes the table's indexes."""
    schema = source.execute(
        "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type DESC", (table,)
    ).fetchall()

    def make_indexes() -> None:
        for (statement,) in schema[1:]:
            connection.execute(statement)

    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE tbl_name = ?", (table,))
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute(schema[0][0])
        yield make_indexes
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("PRAGMA writable_schema = RESET")
        raise


def until_damage(source: sqlite3.Connection, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
    """The rows of a query up to the first damaged page."""
    try:
        yield from source.execute(query, values)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise


def _rows(source: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """The rows before and behind the damage."""
    for order in ("ASC", "DESC"):
        yield from until_damage(source, f"SELECT {_COLUMNS} FROM parked NOT INDEXED ORDER BY rowid {order}")


def _keys(source: sqlite3.Connection) -> dict[Key, str]:
    """The keys that the indexes name, with the devices where known."""
    found: dict[Key, str] = {}
    for query in _KEYS:
        for order in ("ASC", "DESC"):
            for integration, seq, device in until_damage(source, query.format(order)):
                found.setdefault((integration, seq), device)
    return found


def _row(source: sqlite3.Connection, key: Key) -> tuple[Any, ...] | None:
    query = f"SELECT {_COLUMNS} FROM parked WHERE integration = ? AND seq = ?"
    return next(until_damage(source, query, *key), None)


def _stand_in(key: Key, device: str) -> tuple[Any, ...]:
    """A row for a delivery that can't be read. It has no tenant; a number of some name stands in its place."""
    integration, seq = key
    return (
        integration, seq, DeliveryState.DROPPED.value, 0, 0, "unreadable", 0, integration, integration, 0,
        Kind.UNREADABLE.value, device, "", b"", "",
    )  # fmt: skip
