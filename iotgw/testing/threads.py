"""A clock for parts that work in threads."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.ports.reactor import IThreadedClock
from iotgw.testing.reactor import START

T = TypeVar("T")
PATIENCE = 120
"""Seconds after which a thread that never answers fails the test."""


@implementer(IThreadedClock)
class ThreadClock(Clock):
    """A `Clock` that takes calls from real threads: they run when a test waits for something.

    It stands for the reactor of a part that needs time and ``callFromThread``, and has its own threads.
    """

    def __init__(self, now: float = START) -> None:
        super().__init__()
        self.rightNow = now
        self._calls: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]] = (
            SimpleQueue()
        )

    def callFromThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Run it in the test's thread, when that waits."""
        self._calls.put((callable, args, kwargs))

    def callInThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Not here: a part has its own threads."""
        raise NotImplementedError("expected a part with threads of its own")

    def getThreadPool(self) -> Any:
        """Not here."""
        raise NotImplementedError("expected a part with threads of its own")

    def suggestThreadPoolSize(self, size: int) -> None:
        """There is none."""

    def turn(self) -> None:
        """Run what is due now."""
        self.advance(0)
        while True:
            try:
                function, args, kwargs = self._calls.get_nowait()
            except Empty:
                return
            function(*args, **kwargs)

    def until(self, happened: Callable[[], object]) -> None:
        """Run until ``happened()``, sleeping while only threads work."""
        while True:
            self.advance(0)
            if happened():
                return
            function, args, kwargs = self._calls.get(timeout=PATIENCE)
            function(*args, **kwargs)

    def wait(self, result: Deferred[T] | Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a Deferred or a coroutine; raises its failure."""
        deferred = result if isinstance(result, Deferred) else Deferred.fromCoroutine(result)
        found: list[T | Failure] = []
        deferred.addBoth(found.append)
        self.until(lambda: found)
        if isinstance(found[0], Failure):
            found[0].raiseException()
        return found[0]
