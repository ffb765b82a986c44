"""Says when to check an open item again: when its time to live is over, or when no report is expected any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush

from iotgw.core.downlink_item import Item
from iotgw.core.times import DateMs, SteadyMs
from iotgw.downlinks.waiting import is_awaited

REMEMBERED_MS = 600_000
"""How long a sent item that needs no receipt is kept in memory for its transport's report."""
STALE = 1_000
"""How many outdated entries there may be, besides one entry for each open item."""


class Timetable:
    """A heap of gateway times with the ids of ``items``, the open ones. A changed item gets a new entry; outdated
    entries are removed when there are too many. ``moment_ms`` is as in `iotgw.core.ports.clock.ICalendar`."""

    def __init__(self, items: Mapping[str, Item], moment_ms: Callable[[DateMs], SteadyMs]) -> None:
        self._items = items
        self._moment_ms = moment_ms
        self._due: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """How many entries there are, including outdated ones."""
        return len(self._due)

    def put(self, item: Item) -> None:
        """Schedule the check of an open item."""
        heappush(self._due, (self._due_ms(item), item.id))
        if len(self._due) > 2 * len(self._items) + STALE:
            self._due = [(self._due_ms(item), item.id) for item in self._items.values()]
            heapify(self._due)

    def again(self, item: Item, at_ms: SteadyMs) -> None:
        """Schedule the check of an item for ``at_ms``."""
        heappush(self._due, (at_ms, item.id))

    def due(self, now_ms: SteadyMs) -> list[Item]:
        """The open items that are due now, each once."""
        ids: dict[str, None] = {}
        while self._due and self._due[0][0] <= now_ms:
            ids[heappop(self._due)[1]] = None
        return [self._items[id] for id in ids if id in self._items]

    def is_due(self, item: Item, now_ms: SteadyMs) -> bool:
        """Whether it is time to look at an open item."""
        return self._due_ms(item) <= now_ms

    def ends_ms(self, item: Item) -> int:
        """When the time to live of an item is over, in gateway time."""
        return self._moment_ms(DateMs(item.created_ms)) + item.expires_ms - item.created_ms

    def _due_ms(self, item: Item) -> int:
        if is_awaited(item):
            return self.ends_ms(item)
        return self._moment_ms(DateMs(item.updated_ms)) + REMEMBERED_MS
