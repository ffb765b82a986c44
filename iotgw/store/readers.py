"""The threads that read the journal: one for its consumers, one for users' queries.

A search through millions of messages takes a second, and deliveries and conversions must not wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.interfaces import IReactorThreads, IReactorTime

from iotgw.core.errors import Unavailable
from iotgw.store.reading import JournalReads
from iotgw.store.retries import ReadRetries
from iotgw.store.worker import StoreThread

T = TypeVar("T")
SENTENCES = 20
"""How many are kept of what is known to be damaged."""
Query = Callable[[JournalReads], T]


class _Thread:
    """A reader with its thread."""

    def __init__(self, reactor: IReactorThreads, name: str) -> None:
        self._worker = StoreThread(reactor, name)
        self._reader: JournalReads

    def open(self, make: Callable[[], JournalReads]) -> Deferred[None]:
        def opened(reader: JournalReads) -> None:
            self._reader = reader

        return self._worker.call(make).addCallback(opened)

    def call(self, query: Query[T]) -> Deferred[T]:
        return self._worker.call(query, self._reader)

    def carefully(self, query: Query[T]) -> Deferred[T]:
        reader = self._reader
        return self._worker.call(reader.carefully, lambda: query(reader))

    @property
    def unreadable(self) -> dict[str, set[int]]:
        return self._reader.unreadable

    def close(self) -> Deferred[None]:
        done = self._worker.call(self._reader.close)
        self._worker.stop()
        return done


class Readers:
    """Runs queries in threads. Each answers with a Deferred."""

    def __init__(self, clock: IReactorTime) -> None:
        self._threads: tuple[_Thread, _Thread] | None = None
        self._retries = ReadRetries(clock)
        self._crowd: list[Callable[[], object]] = []
        self.damage: deque[str] = deque(maxlen=SENTENCES)
        """What else is known to be damaged, as sentences."""

    def open(self, reactor: IReactorThreads, make: Callable[[], JournalReads]) -> Deferred[None]:
        """Start, with what ``make`` opens in each thread. Fires when queries can be answered."""
        threads = _Thread(reactor, "journal-streams"), _Thread(reactor, "journal-queries")

        def opened(_: object) -> None:
            self._threads = threads

        return gatherResults([thread.open(make) for thread in threads], consumeErrors=True).addCallback(
            opened
        )

    def stream(self, query: Query[T]) -> Deferred[T]:
        """Run a consumer's query: short, and one of many. It is repeated until something can be read; records that
        still can't be read are replaced by stand-ins, as in `JournalReads.carefully`. Fails with Unavailable if
        closed, and only then."""

        def read() -> Deferred[T]:
            return _closed() if self._threads is None else self._threads[0].call(query)

        def carefully() -> Deferred[T]:
            return _closed() if self._threads is None else self._threads[0].carefully(query)

        return self._retries.run(read, carefully)

    def stream_later(self, query: Query[T]) -> Deferred[T]:
        """Like `stream`, but run when `let_go` is called."""
        done: Deferred[T] = Deferred()
        self._crowd.append(lambda: self.stream(query).chainDeferred(done))
        return done

    def let_go(self) -> None:
        """Run the queries that were put off."""
        if self._crowd:
            crowd, self._crowd = self._crowd, []
            for read in crowd:
                read()

    def ask(self, query: Query[T]) -> Deferred[T]:
        """Run a user's query, which may take long. Fails with Unavailable if closed."""
        if self._threads is None:
            return _closed()
        return self._threads[1].call(lambda reader: reader.asked(lambda: query(reader)))

    @property
    def unreadable(self) -> dict[str, int]:
        """How many rows of each table were found unreadable since the start."""
        positions: dict[str, set[int]] = {}
        for thread in self._threads or ():
            for table, found in thread.unreadable.copy().items():
                positions[table] = positions.get(table, set()) | found
        return {table: len(found) for table, found in positions.items()}

    @property
    def faults(self) -> list[str]:
        """What is wrong with the journal's data, as sentences for people."""
        problem = self._retries.problem
        lost = [f"{count} rows of {table} can't be read" for table, count in self.unreadable.items()]
        return [*([f"the journal can't be read: {problem}"] if problem else []), *lost, *self.damage]

    def stats(self) -> Deferred[dict[str, Any]]:
        """As `JournalReads.stats`, plus what is known of damage."""
        figures = self.ask(lambda reader: reader.stats())
        return figures.addCallback(lambda found: {**found, "unreadable": self.unreadable})

    def close(self) -> Deferred[None]:
        """Answer what was asked, then close."""
        threads, self._threads = self._threads or (), None
        self._retries.close()
        return gatherResults([thread.close() for thread in threads], consumeErrors=True).addCallback(
            lambda _: None
        )


def _closed() -> Deferred[T]:
    return fail(Unavailable("the journal is closed"))
