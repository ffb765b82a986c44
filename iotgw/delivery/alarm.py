"""One timer that rings at the earliest of the requested times."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

EARLIEST = 0.001
"""Shortest delay in seconds, so that the reactor can do other work in between."""


class Alarm:
    """Calls ``ring()`` at the earliest requested time. Times are seconds of ``clock``."""

    def __init__(self, clock: IReactorTime, ring: Callable[[], object]) -> None:
        self._clock = clock
        self._ring = ring
        self._call: IDelayedCall | None = None

    def at(self, when: float) -> None:
        """Ring at ``when``. An earlier request stays in force."""
        call = self._call
        if call is not None and call.active():
            if call.getTime() <= when + EARLIEST:
                return
            call.cancel()
        self._call = self._clock.callLater(max(EARLIEST, when - self._clock.seconds()), self._ring)

    def stop(self) -> None:
        """Cancel whatever was requested."""
        if self._call is not None and self._call.active():
            self._call.cancel()
