"""Sends what waits once it can be sent: after a pause, at a datasource's start, when a platform answers again.

One pass goes through the devices, one after another, however many ask for one; who asks meanwhile has another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.downlink_item import Item
from iotgw.downlinks.open_items import OpenItems
from iotgw.downlinks.waiting import may_leave

EVERY = ""
"""Stands for every datasource, as no id does."""


class Waking:
    """The passes over ``open_items``. ``try_now(item, datasources)`` sends an item if its device was last seen at one of
    these datasources; with `EVERY` among them, at any."""

    _log = Logger()

    def __init__(
        self, open_items: OpenItems, try_now: Callable[[Item, Collection[str]], Awaitable[None]]
    ) -> None:
        self._open = open_items
        self._try = try_now
        self._wanted: set[str] = set()
        self._pass: Deferred[None] | None = None

    def wake(self, datasource: str) -> None:
        """Have what waits sent by a datasource, or by `EVERY`."""
        self._wanted.add(datasource)
        if self._pass is None:
            self._pass = ensureDeferred(self._run())
            self._pass.addErrback(self._failed).addCallback(self._over)

    def stop(self) -> None:
        """End."""
        self._wanted.clear()

    async def _run(self) -> None:
        while self._wanted:
            datasources, self._wanted = self._wanted, set()
            waiting = reversed([item for item in self._open.items.values() if may_leave(item)])
            # one item for each device; those behind it follow by themselves
            for item in list({(item.tenant, item.device): item for item in waiting}.values()):
                if item.id in self._open.items:
                    await self._try(item, datasources)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("items that could be sent wait for an uplink", failure)

    def _over(self, _: None) -> None:
        self._pass = None
        if self._wanted:
            self.wake(self._wanted.pop())
