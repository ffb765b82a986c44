"""The threads that read the journal: one for its consumers, one for queries that people make.

A search through millions of messages takes a second; deliveries and conversions don't wait for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults

from iotgw.core.errors import Unavailable
from iotgw.store.sqlite.names import Names
from iotgw.store.sqlite.reader import Reader
from iotgw.store.sqlite.worker import Worker


class _Thread:
    """A `Reader` with its thread."""

    def __init__(self, reactor: Any, name: str) -> None:
        self._worker = Worker(reactor, name)
        self._reader: Reader

    def open(self, path: Path, names: Names) -> Deferred[None]:
        def opened(reader: Reader) -> None:
            self._reader = reader

        return self._worker.call(Reader, path, names).addCallback(opened)

    def call(self, query: str, *arguments: Any) -> Deferred[Any]:
        return self._worker.call(getattr(self._reader, query), *arguments)

    def close(self) -> Deferred[None]:
        done = self._worker.call(self._reader.close)
        self._worker.stop()
        return done


class Readers:
    """Queries of `Reader` by name; each answers with a Deferred."""

    def __init__(self) -> None:
        self._threads: tuple[_Thread, _Thread] | None = None

    def open(self, reactor: Any, path: Path, names: Names) -> Deferred[Any]:
        """Begin; Deferred that fires when queries are answered."""
        threads = _Thread(reactor, "journal-streams"), _Thread(reactor, "journal-queries")

        def opened(_: Any) -> None:
            self._threads = threads

        return gatherResults([thread.open(path, names) for thread in threads]).addCallback(opened)

    def stream(self, query: str, *arguments: Any) -> Deferred[Any]:
        """A query of a consumer: short, and one of many. Fails with Unavailable when closed."""
        return _closed() if self._threads is None else self._threads[0].call(query, *arguments)

    def ask(self, query: str, *arguments: Any) -> Deferred[Any]:
        """A query of a person, which may take long. Fails with Unavailable when closed."""
        return _closed() if self._threads is None else self._threads[1].call(query, *arguments)

    def close(self) -> Deferred[Any]:
        """Answer what was asked, then let go; Deferred."""
        threads, self._threads = self._threads or (), None
        return gatherResults([thread.close() for thread in threads])


def _closed() -> Deferred[Any]:
    return fail(Unavailable("the journal is closed"))
