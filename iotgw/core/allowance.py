"""Limits what a hostile peer could cause by the thousand to a few times per peer and minute, and counts the
rest."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime

from iotgw.core.windows import Windows

WINDOW = 60.0
"""Seconds."""


class Allowance:
    """Allows each key ``count`` a minute, and all keys together ``total`` new ones, if that is given.

    ``keys`` bounds the table; the key that was allowed longest ago is forgotten first.
    """

    def __init__(
        self, clock: IReactorTime, count: int = 1, keys: int = 1024, total: int | None = None
    ) -> None:
        self._clock = clock
        self._count = count
        self._total = total
        self._seen = Windows(WINDOW, keys)
        self._since = float("-inf")
        self._taken = 0

    def take(self, key: Hashable) -> int | None:
        """None if the key has used up its share; otherwise how many times it was refused in its previous
        minute."""
        now = self._clock.seconds()
        window = self._seen.current(key, now)
        if window is not None:
            window.used += 1
            return 0 if window.used <= self._count else None
        if self._total is not None and not self._has_room(self._total, now):
            return None
        window, before = self._seen.begin(key, now)
        window.used = 1
        return max(0, before - self._count)

    def _has_room(self, total: int, now: float) -> bool:
        if now - self._since >= WINDOW:
            self._since, self._taken = now, 0
        if self._taken >= total:
            return False
        self._taken += 1
        return True
