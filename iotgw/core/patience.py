"""Waits for something no longer than somebody who asked for it can; it goes on all the same."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from iotgw.core.errors import Unavailable

T = TypeVar("T")


def within(seconds: float, doing: Deferred[T], clock: IReactorTime, problem: str) -> Deferred[T]:
    """What ``doing`` fires with. Fails with Unavailable(``problem``) when that takes longer; ``doing`` isn't cancelled then."""
    asked: Deferred[T] = Deferred()
    call = clock.callLater(seconds, lambda: asked.errback(Unavailable(problem)))

    def done(result: T | Failure) -> None:
        if call.active():
            call.cancel()
            asked.callback(result)

    doing.addBoth(done)
    return asked
