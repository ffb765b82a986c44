"""When to stop running a script that keeps killing its worker: per converter version, and never for ever."""

from __future__ import annotations

STRIKES = 5
PAUSE = 30.0
PAUSE_CAP = 600.0
GOOD_RUN = 16
"""Calls in a row that a suspect must survive before it runs among the others again."""


class ScriptBreaker:
    """Counts deaths in a row. Times are seconds of the reactor's clock.

    A converter is *trusted* until it dies once; then it is a *suspect* and runs alone, in a worker that only
    suspects use. At the fifth death in a row it is *suspended* for a while, twice as long each time; after
    that one more death is enough.
    """

    def __init__(self) -> None:
        self.is_suspect = False
        self.last_cause = ""
        self._strikes = 0
        self._survived = 0
        self._until = 0.0
        self._pause = PAUSE

    def suspect(self) -> None:
        """It has died among others: from now on it runs alone."""
        self.is_suspect = True
        self._survived = 0

    def strike(self, now: float, cause: str) -> bool:
        """It has died; whether that suspends it."""
        self.suspect()
        self.last_cause = cause
        self._strikes += 1
        if self._strikes < STRIKES:
            return False
        self._strikes = STRIKES - 1
        self._until = now + self._pause
        self._pause = min(self._pause * 2, PAUSE_CAP)
        return True

    def survived(self) -> bool:
        """It has come to an end; whether that makes it trusted again."""
        self._strikes = 0
        self._survived += 1
        if not self.is_suspect or self._survived < GOOD_RUN:
            return False
        self.is_suspect = False
        self._pause = PAUSE
        return True

    def suspended_for(self, now: float) -> float:
        """Seconds until it may run again; 0 when it may."""
        return max(self._until - now, 0.0)
