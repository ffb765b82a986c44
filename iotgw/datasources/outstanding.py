"""Requests that a broker hasn't answered, so that a datasource which stops can wait for them."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed


class Outstanding:
    """How many requests are under way."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: list[Deferred[None]] = []

    def begin(self) -> None:
        """A request leaves."""
        self.count += 1

    def end(self) -> None:
        """It is answered, or never will be."""
        self.count -= 1
        if not self.count:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                if not each.called:
                    each.callback(None)

    def none(self) -> Deferred[None]:
        """Fires when none is under way."""
        if not self.count:
            return succeed(None)
        self._waiting.append(Deferred())
        return self._waiting[-1]
