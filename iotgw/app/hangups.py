"""SIGHUP, which ends a process that doesn't care for it: taken from the first moment on, and kept until somebody
listens."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


class Hangups:
    """Takes every SIGHUP of the process. Made in the main thread."""

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
        """Have ``call()`` called in a signal handler from now on; at once if one came while nobody listened."""
        self._call = call
        missed, self._missed = self._missed, False
        if missed:
            call()

    def ignore(self) -> None:
        """Do nothing about further ones."""
        self._call = _nothing


def _nothing() -> None:
    """A gateway that stops has no use for new settings."""
