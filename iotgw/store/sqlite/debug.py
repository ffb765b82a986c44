"""What debugging keeps of single messages: a ring in a file of its own, so that it neither slows nor fills the journal."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.ports.debug import DebugEntry, IDebugStore
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.tenants import IForgetsTenants
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.replaceable import ReplaceableDatabase

PENDING = 4 << 20
"""Bytes that may wait for the disk; what comes beyond is dropped."""
ENTRIES = 1_000
"""Entries of one answer."""
STEP = 1_000
"""Entries that are deleted at once where the file is too large."""
Row = tuple[str, str, bytes]


@implementer(IDebugStore, IForgetsTenants)
class DebugStore(ReplaceableDatabase):
    """Entries in ``{data_dir}/debug.db``, of at most about ``max_bytes``: beyond, the oldest go. ``dropped`` counts those that the disk was too slow for."""

    name = "debug"
    probe = "SELECT count(*) FROM entry WHERE message = ''"
    synchronous = "NORMAL"

    def __init__(self, data_dir: Path, reactor: IThreadedClock, max_bytes: int = 64 << 20) -> None:
        super().__init__(data_dir, reactor)
        self._max_bytes = max_bytes
        self._pending: list[Row] = []
        self._pending_bytes = 0
        self._writing: Deferred[None] | None = None
        self._is_open = False
        self._decode = msgspec.json.Decoder(DebugEntry).decode
        self._encode = msgspec.json.Encoder().encode
        self.dropped = 0

    def start(self) -> Deferred[None]:
        """See `IDebugStore.start`."""
        self._is_open = True
        return super().start()

    def stop(self) -> Deferred[None]:
        """See `IDebugStore.stop`."""
        self._is_open = False
        return self._flushed().addBoth(lambda _: self._worker.call(self._close))

    def add(self, tenant: str, message_id: str, entry: DebugEntry) -> None:
        """See `IDebugStore.add`."""
        body = self._encode(entry)
        if not self._is_open or self._pending_bytes + len(body) > PENDING:
            self.dropped += 1
            return
        self._pending.append((tenant, message_id, body))
        self._pending_bytes += len(body)
        if self._writing is None:
            self._write()

    def of(self, tenant: str, message_id: str) -> Deferred[list[DebugEntry]]:
        """See `IDebugStore.of`."""
        return self._flushed().addCallback(lambda _: self._worker.call(self._of, tenant, message_id))

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""
        return self._flushed().addCallback(lambda _: self._worker.call(self._forget_tenant, tenant))

    # --- in the reactor's thread ---

    def _flushed(self) -> Deferred[None]:
        """Fires when what was added so far is written."""
        if self._writing is None:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._writing.addCallback(done.callback)
        return done.addCallback(lambda _: self._flushed())

    def _write(self) -> None:
        rows, self._pending, self._pending_bytes = self._pending, [], 0
        written = self._writing = Deferred()

        def over(result: object) -> None:
            if isinstance(result, Failure):
                self.dropped += len(rows)
                self.log.warn("debugging can't be written: {why}", why=result.getErrorMessage())
            self._writing = None
            if self._pending:
                self._write()
            written.callback(None)

        self._worker.call(self._add, rows).addBoth(over)

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
