"""What is acknowledged from a file while the database is away, as the reactor sees it. Groups form as in the journal: while one is written, the
next one gathers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.epochs import Epoch
from iotgw.core.model import Answer, StoredUplink
from iotgw.core.ports.journal import Entries, Waiter
from iotgw.store.group import weigh
from iotgw.store.sqlite.spill import SpillFile
from iotgw.store.worker import StoreThread

MOST_PENDING = 20_000
"""Uplinks that may wait for the disk."""


def _nobody(answer: Answer) -> None:
    """The reply to what has its answer."""


ANSWERED: Waiter = (_nobody, None)
"""Waits for an uplink that is in the file: nobody does."""


class SpillHears(Struct, frozen=True):
    """Who hears, in the reactor's thread, that uplinks are in the file, or that they could not be put there, and why."""

    kept: Callable[[Entries], None]
    refused: Callable[[Entries, str], None]


class Spill:
    """The file ``path``, in a thread of its own, which may hold about ``max_bytes``."""

    _log = Logger()

    def __init__(self, reactor: IReactorThreads, path: Path, max_bytes: int) -> None:
        self.path = path
        self._reactor = reactor
        self._max_bytes = max_bytes
        self._hears: SpillHears
        self._epoch: Callable[[], Epoch]
        self._worker: StoreThread | None = None
        self._file: SpillFile
        self._pending: Entries = []
        self._weight = 0
        self._writing = self._is_stopping = False
        self._when_written: list[Deferred[None]] = []
        self._in_flight = 0
        self.count = self.bytes = 0
        """What is in the file."""
        self.total = 0
        """How many uplinks were put into it since the process started."""
        self.problem = ""
        """Why nothing can be put into it; empty while all is well."""

    def start(self, hears: SpillHears, epoch: Callable[[], Epoch]) -> Deferred[None]:
        """Open the file. ``epoch()`` is that of the positions that are spilled."""
        self._hears, self._epoch = hears, epoch
        self._worker = StoreThread(self._reactor, "spill")
        return self._worker.call(self._open)

    def stop(self) -> Deferred[None]:
        """Write what waits, and close."""
        worker = self._worker
        if worker is None:
            return succeed(None)
        self._is_stopping = True

        def close(_: object) -> Deferred[None]:
            self._worker = None
            return worker.call(self._close)

        return self._written().addCallback(close).addBoth(lambda _: worker.stop())

    @property
    def room(self) -> bool:
        """Whether more may be put into it."""
        return (
            self._worker is not None
            and not self._is_stopping
            and len(self._pending) < MOST_PENDING
            and self.bytes + self._weight < self._max_bytes
        )

    @property
    def size(self) -> int:
        """How many uplinks are in the file, or on their way into it."""
        return self.count + len(self._pending) + self._in_flight

    def add(self, entries: Entries) -> None:
        """Put uplinks into the file, in the order of their positions."""
        self._pending += entries
        self._weight += weigh([stored for stored, _ in entries])
        if not self._writing:
            self._write()

    def _write(self) -> None:
        worker = self._worker
        if worker is None or not self._pending:
            return
        entries, self._pending = self._pending, []
        self._weight = 0
        self._in_flight = len(entries)
        self._writing = True

        def written(result: object) -> None:
            self._writing, self._in_flight = False, 0
            if isinstance(result, Failure):
                self._failed(result, entries)
            else:
                self.problem = ""
                self.total += len(entries)
                self._hears.kept(entries)
            self._write()
            if not self._writing:
                waiting, self._when_written = self._when_written, []
                for each in waiting:
                    each.callback(None)

        worker.call(self._add, [stored for stored, _ in entries], self._epoch()).addCallback(
            self._sized
        ).addBoth(written)

    def _written(self) -> Deferred[None]:
        """Fires when nothing waits for the disk."""
        written: Deferred[None] = Deferred()
        if self._writing:
            self._when_written.append(written)
        else:
            written.callback(None)
        return written

    def _failed(self, failure: Failure, entries: Entries) -> None:
        problem = failure.getErrorMessage()
        if not self.problem:
            self._log.error("nothing can be spilled: {problem}", problem=problem)
        self.problem = problem
        self._hears.refused(entries, problem)

    def next(self, after: int, limit: int) -> Deferred[list[StoredUplink]]:
        """The next uplinks in the file after a position."""
        worker = self._worker
        if worker is None:
            return succeed([])
        return worker.call(lambda: self._file.after(after, limit))

    def rest(self, after: int) -> Deferred[list[StoredUplink]]:
        """All that are after a position, once nothing waits for the disk: for when nothing is added any more."""
        return self._written().addCallback(lambda _: self.next(after, -1))

    def drop(self, seq: int) -> None:
        """Everything up to a position is in the journal."""
        if self._worker is not None:
            self._worker.call(self._drop, seq).addCallback(self._sized).addErrback(self._not_dropped)

    def _not_dropped(self, failure: Failure) -> None:
        """It is dropped with the next ones, or at the next start."""
        self._log.warn(
            "what is in the journal still is in the spill: {problem}", problem=failure.getErrorMessage()
        )

    def _sized(self, size: tuple[int, int]) -> None:
        self.count, self.bytes = size

    # --- in the thread

    def _open(self) -> None:
        self._file = SpillFile(self.path)

    def _add(self, uplinks: list[StoredUplink], epoch: Epoch) -> tuple[int, int]:
        self._file.add(uplinks, epoch)
        return self._file.size.count, self._file.size.bytes

    def _drop(self, seq: int) -> tuple[int, int]:
        self._file.drop(seq)
        return self._file.size.count, self._file.size.bytes

    def _close(self) -> None:
        self._file.close()
