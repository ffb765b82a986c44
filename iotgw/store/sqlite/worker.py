"""A thread that runs calls one after another and answers with Deferreds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Worker:
    """One thread for work that must not run in the reactor's thread, nor twice at once.

    ``reactor`` offers ``callFromThread``. It is a daemon thread, so that a process that never calls `stop` can end.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        self._reactor = reactor
        self._calls: SimpleQueue[tuple[Callable[[], Any], Deferred[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """Run ``function(*args)`` in the thread; Deferred of what it returns or raises."""
        done: Deferred[T] = Deferred()
        self._calls.put((lambda: function(*args), done))
        return done

    def stop(self) -> None:
        """End the thread after the calls that are queued. Their results may still arrive."""
        self._calls.put(None)

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            call, done = item
            try:
                result = call()
            except Exception:  # handed to whoever asked
                self._reactor.callFromThread(done.errback, Failure())
            else:
                self._reactor.callFromThread(done.callback, result)
            del item, call, done  # nothing of the last call stays while the thread waits
