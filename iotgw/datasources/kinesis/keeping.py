"""Writes the places in a stream, not more often than once in a while, and one write at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from iotgw.core.ports.checkpoints import ICheckpoints

KEEP_EVERY = 1.0
"""Seconds between two writes of the places: what is at most read twice after a crash, besides what is under way."""


class Keeping:
    """``positions()`` are the places to write. What can't be written is read again after a restart, and is recognised then."""

    def __init__(
        self,
        checkpoints: ICheckpoints,
        stream: str,
        positions: Callable[[], Mapping[str, str]],
        clock: IReactorTime,
        counts: Counter[str],
    ) -> None:
        self._checkpoints = checkpoints
        self._stream = stream
        self._positions = positions
        self._clock = clock
        self._counts = counts
        self._timer: IDelayedCall | None = None
        self._is_writing = self._has_changed = False
        self._is_open = True

    def changed(self) -> None:
        """A place moved on."""
        self._has_changed = True
        if self._timer is None and self._is_open:
            self._timer = self._clock.callLater(KEEP_EVERY, self._time_is_up)

    def stop(self) -> None:
        """Write nothing more by itself."""
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def last(self) -> Deferred[None]:
        """Write what has changed; fires when it is durable."""
        return self._write() if self._has_changed else succeed(None)

    def _time_is_up(self) -> None:
        self._timer = None
        if self._is_writing:
            self.changed()
        else:
            self._write()

    def _write(self) -> Deferred[None]:
        self._is_writing, self._has_changed = True, False
        return self._checkpoints.write(self._stream, self._positions()).addBoth(self._written)

    def _written(self, result: Any) -> None:
        self._is_writing = False
        if result is not None:
            self._counts["failedCheckpoints"] += 1
