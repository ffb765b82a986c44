"""Events in a SQLite file of their own, so that they never hold up the journal. Losing the last moments of it in a power cut is acceptable
(``synchronous=NORMAL``); messages are not kept here."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from zope.interface import implementer

from iotgw.core import private
from iotgw.core.ports.events import EventRow, IEventRows

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, tenant TEXT NOT NULL, source TEXT NOT NULL,
    name TEXT NOT NULL, type TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS event_by_name ON event (source, name, id);
CREATE INDEX IF NOT EXISTS event_by_type ON event (type, id);
CREATE INDEX IF NOT EXISTS event_by_tenant ON event (tenant, id);
"""


@implementer(IEventRows)
class EventFile:
    """Events in the file ``path``. A damaged one is put aside."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.database: sqlite3.Connection
        """Open from `open` to `close`."""

    def open(self) -> Mapping[str, int]:
        """See `IEventRows.open`."""
        private.make_directory(self._path.parent)
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            self._path.replace(self._path.with_suffix(".damaged"))
            for suffix in ("-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> Mapping[str, int]:
        private.make_file(self._path)
        self.database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        self.database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)
        return dict(self.database.execute("SELECT tenant, count(*) FROM event GROUP BY tenant"))

    def close(self) -> None:
        """See `IEventRows.close`."""
        self.database.close()

    def write(self, rows: Sequence[EventRow], surplus: Sequence[tuple[str, int]]) -> None:
        """See `IEventRows.write`."""
        with self.database:
            self.database.execute("BEGIN")
            self.database.executemany(
                "INSERT INTO event (ts, tenant, source, name, type, body) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            self.database.executemany(
                "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE tenant = ? ORDER BY id LIMIT ?)",
                surplus,
            )

    def forget_tenant(self, tenant: str) -> int:
        """See `IEventRows.forget_tenant`."""
        with self.database:
            return self.database.execute("DELETE FROM event WHERE tenant = ?", (tenant,)).rowcount

    def select(
        self, tenant: str, before: int, limit: int, source: str | None, name: str | None, type: str | None
    ) -> list[tuple[int, bytes]]:
        """See `IEventRows.select`."""
        where: list[str] = ["tenant = ?"]
        values: list[str | int] = [tenant]
        for column, value in (("source", source), ("name", name), ("type", type)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        if before:
            where.append("id < ?")
            values.append(before)
        return self.database.execute(
            f"SELECT id, body FROM event WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",
            (*values, limit),
        ).fetchall()
