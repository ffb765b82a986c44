"""What datasources keep over restarts, in a file of its own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.kept import KeptStore, Place
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.replaceable import ReplaceableDatabase


class KeptRows(ReplaceableDatabase, KeptStore):
    """Rows in ``{data_dir}/kept.db``. A damaged file is put aside, and ``put_aside`` says so."""

    name = "kept"
    probe = "SELECT count(*) FROM row"

    def __init__(self, data_dir: Path, reactor: IThreadedClock) -> None:
        ReplaceableDatabase.__init__(self, data_dir, reactor)
        KeptStore.__init__(self, reactor)

    # --- in the worker's thread ---

    def _commit(self, rows: dict[Place, bytes | None]) -> None:
        assert self._connection is not None
        gone = [place for place, value in rows.items() if value is None]
        new = [(*place, value) for place, value in rows.items() if value is not None]
        with damage.changing(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany("DELETE FROM row WHERE owner = ? AND key = ?", gone)
                self._connection.executemany("INSERT OR REPLACE INTO row VALUES (?, ?, ?)", new)
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _drop(self, owner: str) -> None:
        assert self._connection is not None
        with damage.changing(self._path):
            self._connection.execute("DELETE FROM row WHERE owner = ?", (owner,))

    def _drop_others(self, owners: list[str]) -> list[str]:
        assert self._connection is not None
        there = self._connection.execute("SELECT DISTINCT owner FROM row ORDER BY owner")
        gone = sorted({owner for (owner,) in there} - {*owners})
        for owner in gone:
            self._drop(owner)
        return gone

    def _read(self, owner: str) -> dict[str, bytes]:
        assert self._connection is not None
        return dict(self._connection.execute("SELECT key, value FROM row WHERE owner = ?", (owner,)))
