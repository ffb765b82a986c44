"""A thread that runs calls one after another and answers with Deferreds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from twisted.python.failure import Failure

P = ParamSpec("P")
T = TypeVar("T")


class StoreThread:
    """One thread for work that must neither run in the reactor's thread nor run twice at once.

    It is a daemon thread, so a process that never calls `stop` can still end.
    """

    def __init__(self, reactor: IReactorThreads, name: str) -> None:
        self._reactor = reactor
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run ``function(*args, **kwargs)`` in the thread. The Deferred fires with what it returns, or fails with what
        it raises."""
        done: Deferred[T] = Deferred()

        def call() -> None:
            try:
                result = function(*args, **kwargs)
            except Exception:  # handed to whoever asked
                self._reactor.callFromThread(done.errback, Failure())
            else:
                self._reactor.callFromThread(done.callback, result)

        self._calls.put(call)
        return done

    def run(self, function: Callable[[], None]) -> None:
        """Run a function in the thread, between two calls. It doesn't raise; nobody hears of its end."""
        self._calls.put(function)

    def stop(self) -> None:
        """End the thread after the calls that are queued. Their results may arrive later."""
        self._calls.put(None)

    def end(self, last: Callable[[], T]) -> Deferred[T]:
        """Run a last call after those that are queued, and end the thread."""
        done = self.call(last)
        self.stop()
        return done

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # nothing of the last call stays while the thread waits
