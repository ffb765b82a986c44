"""Receipts that name a downlink before the network's answer has said that it calls it so: the answer to a call may come after
the receipt of what it queued."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.core.model import Became

KEEP_MS = 60_000
"""How long one is kept; an answer that comes later comes never."""
MOST = 10_000
PER_NAME = 4
Name = tuple[str, str]
"""Tenant, and what the network calls the downlink."""
Word = tuple[Became, str]
"""What became of it, and why."""


class EarlyReceipts:
    """The latest `MOST` names. ``now_ms`` tells the date; one that jumps makes receipts stay or go, which does no harm."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._words: dict[Name, tuple[int, list[Word]]] = {}

    def keep(self, name: Name, word: Word) -> None:
        """Keep a receipt."""
        now_ms = self._now_ms()
        _, words = self._words.setdefault(name, (now_ms, []))
        if word not in words and len(words) < PER_NAME:
            words.append(word)
        while self._words:
            oldest = next(iter(self._words))
            if len(self._words) <= MOST and now_ms - self._words[oldest][0] <= KEEP_MS:
                break
            del self._words[oldest]

    def pop(self, name: Name) -> list[Word]:
        """The receipts for a name, in their order; each is given once."""
        kept_ms, words = self._words.pop(name, (0, []))
        return words if self._now_ms() - kept_ms <= KEEP_MS else []
