"""A database in a file of its own that the gateway can do without: a damaged one is put aside, and a new one begun."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.database import connect, upgrade
from iotgw.store.worker import StoreThread


class ReplaceableDatabase:
    """``{data_dir}/{name}.db``, with a thread of its own. ``put_aside`` says what was wrong with the file before; empty if nothing was."""

    log = Logger()
    name: ClassVar[str]
    """Of the file, its schema and its thread."""
    probe: ClassVar[str]
    """A statement that fails where the tables can't be read."""
    synchronous: ClassVar[Literal["FULL", "NORMAL"]] = "FULL"

    def __init__(self, data_dir: Path, reactor: IThreadedClock) -> None:
        self._path = data_dir / f"{self.name}.db"
        self._reactor = reactor
        self._worker: StoreThread  # a thread does not outlast the fork of a daemon: made in `start`
        self._connection: sqlite3.Connection | None = None
        self.put_aside = ""

    def start(self) -> Deferred[None]:
        """Open it."""
        self._worker = StoreThread(self._reactor, self.name)
        return self._worker.call(self._open)

    def between_commits(self, function: Callable[[], None]) -> None:
        """Run a function in the thread when nothing is half written."""
        self._worker.run(function)

    # --- in the worker's thread ---

    def _open(self) -> None:
        self._connection, self.put_aside = damage.opened_anew(self._path, self._connect)
        if self.put_aside:
            self.log.warn("{problem}", problem=self.put_aside)

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path, synchronous=self.synchronous)
        try:
            upgrade(connection, self.name)
            connection.execute(self.probe).fetchone()
        except Exception:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._worker.stop()
