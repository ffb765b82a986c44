"""What datasources keep over restarts, in a file of its own. Changes that arrive during a write are written together in the
next one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.ports.kept import IKept, Rows
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.replaceable import ReplaceableDatabase

Place = tuple[str, str]
"""Owner and key."""


@implementer(IKept)
class KeptRows(ReplaceableDatabase):
    """Rows in ``{data_dir}/kept.db``. A damaged file is put aside, and ``put_aside`` says so."""

    name = "kept"
    probe = "SELECT count(*) FROM row"

    def __init__(self, data_dir: Path, reactor: IThreadedClock) -> None:
        super().__init__(data_dir, reactor)
        self._pending: dict[Place, bytes | None] = {}
        self._waiting: list[Deferred[None]] = []
        self._writing = False

    def stop(self) -> Deferred[None]:
        """See `IKept.stop`."""
        return self._flushed().addBoth(lambda _: self._worker.call(self._close))

    def rows(self, owner: str) -> Deferred[dict[str, bytes]]:
        """See `IKept.rows`."""
        return self._flushed().addBoth(lambda _: self._worker.call(self._read, owner))

    def save(self, owner: str, rows: Rows) -> Deferred[None]:
        """See `IKept.save`."""
        for key, value in rows.items():
            self._pending[owner, key] = value
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        if not self._writing:
            self._write()
        return done

    def drop(self, owner: str) -> Deferred[None]:
        """See `IKept.drop`."""
        for place in [place for place in self._pending if place[0] == owner]:
            del self._pending[place]
        return self._flushed().addBoth(lambda _: self._worker.call(self._drop, owner))

    # --- in the reactor's thread ---

    def _flushed(self) -> Deferred[None]:
        return self.save("", {}) if self._writing or self._pending else succeed(None)

    def _write(self) -> None:
        self._writing = True
        rows, self._pending = self._pending, {}
        waiting, self._waiting = self._waiting, []
        self._worker.call(self._commit, rows).addCallbacks(
            self._written, self._not_written, callbackArgs=(waiting,), errbackArgs=(waiting, rows)
        )

    def _written(self, _: None, waiting: list[Deferred[None]]) -> None:
        self._writing = False
        if self._pending or self._waiting:
            self._write()
        for done in waiting:
            done.callback(None)

    def _not_written(
        self, failure: Failure, waiting: list[Deferred[None]], rows: dict[Place, bytes | None]
    ) -> None:
        self._writing = False
        self._pending = {**rows, **self._pending}
        for done in waiting:
            done.errback(failure)
        if self._waiting and not self._writing:
            self._write()

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

    def _read(self, owner: str) -> dict[str, bytes]:
        assert self._connection is not None
        return dict(self._connection.execute("SELECT key, value FROM row WHERE owner = ?", (owner,)))
