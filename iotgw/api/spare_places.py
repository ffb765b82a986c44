"""The last places of a listener that API and devices share. Devices don't get them, so that a person still gets in.

A connection says what it is for only with its first request. So one that has no request under way gives its place up when
the next one comes; what was there longest goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.interfaces import ITCPTransport


class SparePlaces:
    """``places`` connections at most, each by its transport."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._taken: dict[ITCPTransport, bool] = {}
        """Whether a request is under way, for each, in the order in which they came."""
        self._leaving: set[ITCPTransport] = set()
        """Those that were cut off, and hold their descriptors until the reactor's next turn."""

    def __contains__(self, transport: object) -> bool:
        """Whether a connection has one of these places."""
        return transport in self._taken

    @property
    def is_full(self) -> bool:
        """Whether a new connection can't even have a place that another one gives up: too many came at once."""
        return len(self._taken) + len(self._leaving) >= 2 * self.places

    def take(self, transport: ITCPTransport) -> Callable[[], None]:
        """Give a new connection a place, until the function that this returns is called because it is gone. When there is
        no place left, another connection is cut off."""
        self._taken[transport] = False
        if len(self._taken) > self.places:
            idle = (each for each, is_busy in self._taken.items() if not is_busy and each is not transport)
            longest = next(idle, next(iter(self._taken)))
            del self._taken[longest]
            self._leaving.add(longest)
            longest.abortConnection()

        def gone() -> None:
            self._taken.pop(transport, None)
            self._leaving.discard(transport)

        return gone

    def begin(self, transport: ITCPTransport) -> Callable[[], None]:
        """Note that a connection's request is under way, until the function that this returns is called."""

        def note(is_busy: bool) -> None:
            if transport in self._taken:
                self._taken[transport] = is_busy

        note(True)
        return partial(note, False)
