"""Repeats reads that fail: the disk, or memory, may be better in a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.errors import Unavailable

T = TypeVar("T")

WAITS = (0.1, 0.5, 2.0)
"""Seconds before each further attempt at a read. After the last, it is read record by record."""
LONGEST = 30.0
"""Longest wait in seconds between attempts while nothing at all can be read."""


class ReadRetries:
    """Repeats reads until they succeed or nobody waits any more. ``problem`` says why some fail; empty if none
    does."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: dict[Deferred[None], IDelayedCall] = {}
        self._failing = 0
        self.problem = ""

    def run(self, read: Callable[[], Deferred[T]], carefully: Callable[[], Deferred[T]]) -> Deferred[T]:
        """The result of ``read()``, or of ``carefully()`` once it has failed too often."""
        return read().addErrback(self._failed, 0, read, carefully)

    def close(self) -> None:
        """Stop. Reads that wait for another attempt fail with Unavailable."""
        calls, self._calls = self._calls, {}
        for waiting, call in calls.items():
            call.cancel()
            waiting.errback(Unavailable("the journal is closed"))

    def _failed(
        self,
        failure: Failure,
        tries: int,
        read: Callable[[], Deferred[T]],
        carefully: Callable[[], Deferred[T]],
    ) -> Deferred[T]:
        if failure.check(Unavailable) is not None:
            return fail(failure)
        if tries == 0:
            self._failing += 1
        if not self.problem:
            self._log.failure("the journal can't be read; tried again", failure)
        self.problem = failure.getErrorMessage() or type(failure.value).__name__
        is_worth_it = tries < len(WAITS)
        wait = WAITS[tries] if is_worth_it else min(LONGEST, WAITS[-1] * 2.0 ** (tries - len(WAITS)))
        again = read if tries + 1 < len(WAITS) else carefully
        waiting: Deferred[None] = Deferred()

        def go_on() -> None:
            del self._calls[waiting]
            waiting.callback(None)

        self._calls[waiting] = self._clock.callLater(wait, go_on)
        tried = waiting.addCallback(lambda _: again())
        if tries == 0:
            return tried.addErrback(self._failed, 1, read, carefully).addBoth(self._over)
        return tried.addErrback(self._failed, tries + 1, read, carefully)

    def _over(self, result: T) -> T:
        self._failing -= 1
        if not self._failing:
            self.problem = ""
        return result
