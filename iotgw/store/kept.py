"""What datasources keep over restarts, in a database. Changes that arrive during a write are written together in the next one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.ports.kept import IKept, Rows
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.worker import StoreThread

Place = tuple[str, str]
"""Owner and key."""


@implementer(IKept)
class KeptStore:
    """What the stores of all databases have in common. A subclass does what runs in the thread."""

    put_aside = ""
    """What happened to a damaged file at the start; empty for nothing."""

    def __init__(self, reactor: IThreadedClock) -> None:
        self._reactor = reactor
        self._worker: StoreThread  # a thread does not outlast the fork of a daemon: made in `start`
        self._pending: dict[Place, bytes | None] = {}
        self._waiting: list[Deferred[None]] = []
        self._writing = False

    def start(self) -> Deferred[None]:
        """See `IKept.start`."""
        self._worker = StoreThread(self._reactor, "kept")
        return self._worker.call(self._open)

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

    def drop_others(self, owners: Collection[str]) -> Deferred[list[str]]:
        """See `IKept.drop_others`."""
        return self._flushed().addBoth(lambda _: self._worker.call(self._drop_others, sorted(owners)))

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

    @abstractmethod
    def _open(self) -> None:
        """Open the database."""

    @abstractmethod
    def _close(self) -> None:
        """Close it, and stop the thread."""

    @abstractmethod
    def _commit(self, rows: dict[Place, bytes | None]) -> None:
        """Change these rows, durably; None removes one."""

    @abstractmethod
    def _drop(self, owner: str) -> None:
        """Remove all rows of an owner."""

    @abstractmethod
    def _drop_others(self, owners: list[str]) -> list[str]:
        """Remove all rows but those of these owners; returns whose rows went."""

    @abstractmethod
    def _read(self, owner: str) -> dict[str, bytes]:
        """All rows of an owner."""
