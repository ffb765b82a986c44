"""Builds the table of uplinks anew when a damaged page keeps further ones from being written, or the journal from being opened.

That page is the table's last one, where new uplinks go, or one of its index, where those of a datasource go. What can be read is
copied. An uplink of which only the index is left has a stand-in, so that it ends as a failed message and the accounts
balance (`iotgw.store.sqlite.salvage`). The pages of the damaged table stay in the file until the next start, which tidies up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from iotgw.store.sqlite.damage import Tell, is_damage
from iotgw.store.sqlite.database import connect_reader
from iotgw.store.sqlite.rebuild import replacing, until_damage
from iotgw.store.sqlite.salvage import unreadable_uplink

_COLUMNS = "seq, tenant, datasource, received_ms, metadata, payload"
_INSERT = f"INSERT OR IGNORE INTO uplink ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
_KEYS = "SELECT seq, datasource FROM uplink INDEXED BY uplink_of_datasource ORDER BY datasource {0}, seq {0}"
_UNTIDY = "untidy"
"""The key of the mark, among the facts about the journal, that pages lie about which nothing uses."""
_NEEDED = ("outcome", "telemetry", "tally", "conversion", "integration", "mark", "name", "epoch", "parked")


def rebuild_uplinks(connection: sqlite3.Connection, path: Path, tell: Tell) -> None:
    """Replace the table in one transaction, and tell which uplinks could not be read. It takes as long as copying what is
    there."""
    lost: list[int] = []
    with (
        closing(connect_reader(path)) as source,
        replacing(connection, source, "uplink") as make_indexes,
    ):
        is_whole = _copy(connection, source, "ASC")
        if not is_whole:
            _copy(connection, source, "DESC")
            lost = _stand_in(connection, source)
        make_indexes()
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (_UNTIDY,))
    what = f"uplink: it was damaged and has been built anew; {len(lost)} messages could not be read"
    between = f", between positions {lost[0]} and {lost[-1]}" if lost else ""
    tell("uplink", min(lost, default=0), max(lost, default=0), what + between)


def is_the_only_damage(connection: sqlite3.Connection) -> bool:
    """Whether the table of uplinks is what keeps a journal from being opened: everything else can be read at its ends."""
    try:
        for table in _NEEDED:
            for order in ("ASC", "DESC"):
                connection.execute(f"SELECT * FROM {table} ORDER BY 1 {order} LIMIT 1").fetchone()
    except sqlite3.Error:
        return False
    return True


def tidy_up(connection: sqlite3.Connection) -> None:
    """Give back the pages that a rebuilding left, once, if everything else can be read. Before anybody else reads."""
    with suppress(sqlite3.Error):
        if connection.execute("DELETE FROM meta WHERE key = ?", (_UNTIDY,)).rowcount:
            connection.execute("VACUUM")


def _copy(connection: sqlite3.Connection, source: sqlite3.Connection, order: str) -> bool:
    """Copy the rows up to the first damaged page; returns whether there was none."""
    query = f"SELECT {_COLUMNS} FROM uplink NOT INDEXED ORDER BY seq {order}"
    rows = Until(source.execute, query)
    connection.executemany(_INSERT, rows)
    return rows.is_whole


class Until:
    """The rows of a query up to the first damaged page. ``is_whole`` tells afterwards whether there was none."""

    def __init__(self, execute: Any, query: str) -> None:
        self._execute, self._query = execute, query
        self.is_whole = False

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._execute(self._query)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        else:
            self.is_whole = True


def _stand_in(connection: sqlite3.Connection, source: sqlite3.Connection) -> list[int]:
    """Give each uplink that only the index knows what can be read of it, or a stand-in; returns the positions of these."""
    there = {seq for (seq,) in connection.execute("SELECT seq FROM uplink")}
    tenants = dict(connection.execute("SELECT DISTINCT datasource, tenant FROM uplink"))
    keys: Iterable[tuple[int, int]] = chain.from_iterable(
        until_damage(source, _KEYS.format(order)) for order in ("ASC", "DESC")
    )
    missing = {seq: datasource for seq, datasource in keys if seq not in there}
    lost = []
    for seq, datasource in sorted(missing.items()):
        row = next(until_damage(source, f"SELECT {_COLUMNS} FROM uplink WHERE seq = ?", seq), None)
        if row is None:
            lost.append(seq)
            uplink = unreadable_uplink(seq, "", "its page is damaged").uplink
            time_ms = _near(connection, seq)
            row = (seq, tenants.get(datasource, datasource), datasource, time_ms, uplink.metadata, b"")
        connection.execute(_INSERT, row)
    return lost


def _near(connection: sqlite3.Connection, seq: int) -> int:
    """About when an uplink was received: when the one before it was."""
    row = connection.execute(
        "SELECT received_ms FROM uplink WHERE seq < ? ORDER BY seq DESC LIMIT 1", (seq,)
    ).fetchone()
    return int(row[0]) if row else 0
