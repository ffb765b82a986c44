"""Which items are on their way: taken and not spoken of yet, left without an uplink, or being written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

OFFER = 300.0
"""Seconds after which an item that a datasource took, and never spoke of again, may leave once more."""


class InTransit:
    """What keeps an item from leaving now, by item id. Times are the clock's seconds."""

    def __init__(self) -> None:
        self._offered: dict[str, float] = {}
        self._held: Counter[str] = Counter()
        self._pushed: set[str] = set()

    def offer(self, id: str, now: float) -> None:
        """A datasource takes it."""
        self._offered[id] = now

    def back(self, id: str) -> None:
        """The datasource spoke of it, or didn't get it after all."""
        self._offered.pop(id, None)

    def is_offered(self, id: str) -> bool:
        """Whether a datasource has it."""
        return id in self._offered

    def hold(self, ids: Iterable[str]) -> None:
        """These are being written, or replaced by such: none leaves before it is known which of them stay."""
        self._held.update(ids)

    def let_go(self, ids: Iterable[str]) -> None:
        """That is known, once for each `hold`."""
        self._held -= Counter(ids)

    def is_held(self, id: str) -> bool:
        """Whether it is being written or replaced."""
        return id in self._held

    def is_free(self, id: str) -> bool:
        """Whether it may leave."""
        return id not in self._offered and id not in self._held

    def push(self, ids: Iterable[str]) -> None:
        """These leave without an uplink."""
        self._pushed.update(ids)

    def was_pushed(self, id: str) -> bool:
        """Whether it left without an uplink, and its transport has not spoken yet."""
        return id in self._pushed

    def arrived(self, id: str) -> None:
        """Its transport has spoken."""
        self._pushed.discard(id)

    def forget(self, id: str) -> None:
        """It is over."""
        self._offered.pop(id, None)
        self._pushed.discard(id)

    def tidy(self, now: float) -> None:
        """Give up on offers that nobody spoke of."""
        for id, since in list(self._offered.items()):
            if now - since > OFFER:
                del self._offered[id]
