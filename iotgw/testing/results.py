"""The results of Deferreds in a test that runs no reactor."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def fired(result: Deferred[T] | Coroutine[Deferred[Any], Any, T]) -> T:
    """The result of a Deferred (or a coroutine) that needs nothing more to happen; raises its failure."""
    deferred = result if isinstance(result, Deferred) else Deferred.fromCoroutine(result)
    found: list[T | Failure] = []
    deferred.addBoth(found.append)
    if not found:
        raise AssertionError("expected a Deferred that has fired")
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]
