"""SIGHUP, which ends a process that doesn't handle it. It is caught from the start, and remembered until there
is a handler."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


class Hangups:
    """Catches every SIGHUP of the process. Create it in the main thread."""

    def __init__(self) -> None:
        self._call: Callable[[], None] | None = None
        self._missed = False
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._call is None:
            self._missed = True
        else:
            self._call()

    def listen(self, call: Callable[[], None]) -> None:
        """Call ``call()`` in the signal handler from now on; at once if a signal came before."""
        self._call = call
        missed, self._missed = self._missed, False
        if missed:
            call()

    def ignore(self) -> None:
        """Ignore further signals."""
        self._call = _nothing


def _nothing() -> None:
    """Ignores signals while stopping, when new settings are of no use."""
