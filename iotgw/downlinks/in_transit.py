"""Which items are in transit: taken and not reported on yet, sent without an uplink, or being written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

OFFER = 300.0
"""Seconds after which an item may be sent again if the datasource that took it never reports on it."""


class InTransit:
    """What keeps an item from being sent now, by item id. Times are the clock's seconds."""

    def __init__(self) -> None:
        self._offered: dict[str, float] = {}
        self._held: Counter[str] = Counter()
        self._pushed: set[str] = set()

    def offer(self, id: str, now: float) -> None:
        """A datasource has taken an item."""
        self._offered[id] = now

    def back(self, id: str) -> None:
        """The datasource reported on the item, or didn't get it after all."""
        self._offered.pop(id, None)

    def is_offered(self, id: str) -> bool:
        """Whether a datasource has it."""
        return id in self._offered

    def hold(self, ids: Iterable[str]) -> None:
        """These items are being written or replaced; none may be sent before the write is done."""
        self._held.update(ids)

    def let_go(self, ids: Iterable[str]) -> None:
        """The write is done; called once for each `hold`."""
        self._held -= Counter(ids)

    def is_held(self, id: str) -> bool:
        """Whether it is being written or replaced."""
        return id in self._held

    def is_free(self, id: str) -> bool:
        """Whether an item may be sent."""
        return id not in self._offered and id not in self._held

    def push(self, ids: Iterable[str]) -> None:
        """These items are sent without an uplink."""
        self._pushed.update(ids)

    def was_pushed(self, id: str) -> bool:
        """Whether it was sent without an uplink, and its transport has not reported yet."""
        return id in self._pushed

    def arrived(self, id: str) -> None:
        """The transport reported on the item, or gave it back."""
        self._pushed.discard(id)

    def forget(self, id: str) -> None:
        """Nobody has the item any more."""
        self._offered.pop(id, None)
        self._pushed.discard(id)

    def tidy(self, now: float) -> None:
        """Drop offers that were never reported on."""
        for id, since in list(self._offered.items()):
            if now - since > OFFER:
                self.forget(id)
