"""What debugging keeps of single messages: a ring in a file of its own, so that it neither slows nor fills the journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core.ports.debug import DebugEntry, IDebugStore
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.tenants import IForgetsTenants
from iotgw.store.debug import ENTRIES, STEP, DebugRing, Row
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.replaceable import ReplaceableDatabase


@implementer(IDebugStore, IForgetsTenants)
class DebugStore(DebugRing, ReplaceableDatabase):
    """Entries in ``{data_dir}/debug.db``, of at most about ``max_bytes``: beyond, the oldest go."""

    name = "debug"
    probe = "SELECT count(*) FROM entry WHERE message = ''"
    synchronous = "NORMAL"

    def __init__(self, data_dir: Path, reactor: IThreadedClock, max_bytes: int = 64 << 20) -> None:
        DebugRing.__init__(self)
        ReplaceableDatabase.__init__(self, data_dir, reactor)
        self._max_bytes = max_bytes

    def _opened(self) -> Deferred[None]:
        return ReplaceableDatabase.start(self)

    def _ended(self) -> Deferred[None]:
        return self._worker.call(self._close)

    def _work(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        return self._worker.call(function, *args)

    # --- in the worker's thread ---

    def _add(self, rows: list[Row]) -> None:
        db = self._connection
        assert db is not None
        with damage.changing(self._path):
            db.execute("BEGIN IMMEDIATE")
            try:
                db.executemany("INSERT INTO entry (tenant, message, body) VALUES (?, ?, ?)", rows)
                self._shrink(db)
                db.execute("COMMIT")
            except sqlite3.Error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _shrink(self, db: sqlite3.Connection) -> None:
        while True:
            pages, free, size = (
                db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            if (pages - free) * size <= self._max_bytes:
                return
            oldest = "SELECT id FROM entry ORDER BY id LIMIT ?"
            if not db.execute(f"DELETE FROM entry WHERE id IN ({oldest})", (STEP,)).rowcount:
                return

    def _forget_tenant(self, tenant: str) -> int:
        assert self._connection is not None
        with damage.changing(self._path):
            return self._connection.execute("DELETE FROM entry WHERE tenant = ?", (tenant,)).rowcount

    def _of(self, tenant: str, message_id: str) -> list[DebugEntry]:
        assert self._connection is not None
        rows = self._connection.execute(
            "SELECT body FROM entry WHERE message = ? AND tenant = ? ORDER BY id LIMIT ?",
            (message_id, tenant, ENTRIES),
        )
        return [self._decode(body) for (body,) in rows]
