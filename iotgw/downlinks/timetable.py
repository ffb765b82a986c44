"""Says when to check an open item again: when its time to live is over, or when no report is expected any more."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from iotgw.core.downlink_item import Item
from iotgw.downlinks.waiting import may_leave

REMEMBERED_MS = 600_000
"""How long a sent item that needs no receipt is kept in memory for its transport's report."""
STALE = 1_000
"""How many outdated entries there may be, besides one entry for each open item."""


class Timetable:
    """A heap of times (ms since 1970) with the ids of ``items``, the open ones. A changed item gets a new
    entry; outdated entries are removed when there are too many."""

    def __init__(self, items: Mapping[str, Item]) -> None:
        self._items = items
        self._due: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """How many entries there are, including outdated ones."""
        return len(self._due)

    def put(self, item: Item) -> None:
        """Schedule the check of an open item."""
        heappush(self._due, (_due(item), item.id))
        if len(self._due) > 2 * len(self._items) + STALE:
            self._due = [(_due(item), item.id) for item in self._items.values()]
            heapify(self._due)

    def again(self, item: Item, at_ms: int) -> None:
        """Schedule the check of an item for ``at_ms``."""
        heappush(self._due, (at_ms, item.id))

    def due(self, now_ms: int) -> list[Item]:
        """The open items that are due now, each once."""
        ids: dict[str, None] = {}
        while self._due and self._due[0][0] <= now_ms:
            ids[heappop(self._due)[1]] = None
        return [self._items[id] for id in ids if id in self._items]


def _due(item: Item) -> int:
    return item.expires_ms if may_leave(item) else item.updated_ms + REMEMBERED_MS
