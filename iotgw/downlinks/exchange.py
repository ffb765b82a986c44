"""How items enter the queue and replace others, atomically in memory and on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.logger import Logger

from iotgw.core.downlink_item import Item, ItemState, id_in_job, new_id, payload
from iotgw.core.errors import Full, SettingsError
from iotgw.core.names import unfit
from iotgw.core.ports.downlinks import IDownlinkStore
from iotgw.core.specs import DownlinkSpec
from iotgw.downlinks.in_transit import InTransit
from iotgw.downlinks.open_items import OpenItems
from iotgw.downlinks.waiting import is_awaited

MAX_OPEN = 200_000
"""How many items may be open in all. Each costs about half a kilobyte of memory."""
MAX_PER_DEVICE = 1_000


class ItemExchange:
    """Queues items. ``queued(item)`` is called for each item once it is durable; what it raises is logged."""

    _log = Logger()

    def __init__(
        self,
        store: IDownlinkStore,
        open_items: OpenItems,
        way: InTransit,
        queued: Callable[[Item], Awaitable[None]],
    ) -> None:
        self._store = store
        self._open = open_items
        self._way = way
        self._queued = queued

    async def push(self, tenant: str, device: str, spec: DownlinkSpec, job: str = "") -> Item:
        """See `IDownlinkQueue.push`."""
        if job:
            id = id_in_job(job, tenant, device)
            if (known := self._open.items.get(id) or await self._store.get(id)) is not None:
                return known
        replaced: list[Item] = []
        if spec.policy == "last":
            waiting = self._open.of(tenant, device)
            replaced = [item for item in waiting if not self._way.is_offered(item.id)]
        items, _ = await self._exchange(tenant, device, [spec], replaced, "replaced by a later item", job)
        return items[0]

    async def replace(self, tenant: str, device: str, specs: list[DownlinkSpec]) -> list[Item]:
        """See `IDownlinkQueue.replace`."""
        replaced = list(self._open.of(tenant, device))
        items, _ = await self._exchange(tenant, device, specs, replaced, "replaced")
        return items

    async def clear(self, tenant: str, device: str) -> int:
        """See `IDownlinkQueue.clear`."""
        _, gone = await self._exchange(tenant, device, [], list(self._open.of(tenant, device)), "cleared")
        return gone

    async def _exchange(
        self,
        tenant: str,
        device: str,
        specs: list[DownlinkSpec],
        replaced: list[Item],
        reason: str,
        job: str = "",
    ) -> tuple[list[Item], int]:
        """Queue items and replace others; returns the queued items, and how many were replaced.

        This is one transaction: after a crash there are either the new items or the old ones. In memory, both
        count towards the limits while it is written, and neither may be sent meanwhile.
        """
        if specs and (character := unfit(device)):
            raise SettingsError("device", f"expected a name without control characters, got {character}")
        for spec in specs:
            payload(spec)
        freed = sum(not self._way.is_held(item.id) for item in replaced)
        self._expect_room(tenant, device, len(specs) - freed)
        now_ms = self._open.now_ms()
        items = [self._new(tenant, device, spec, now_ms, job) for spec in specs]
        gone = [item.change(ItemState.DELETED, now_ms, reason) for item in replaced]
        held = [item.id for item in (*items, *gone)]
        for item in items:
            self._open.keep(item)
        self._way.hold(held)
        try:
            await self._store.save([*gone, *items])
        except Exception:
            for item in items:  # the caller is told that they were not queued
                self._open.keep(item.change(ItemState.DELETED, self._open.now_ms()))
            for id in held:
                self._store.forget(id)
            raise
        finally:
            self._way.let_go(held)
        deleted = [new for old, new in zip(replaced, gone, strict=True) if self._gone(old, new)]
        open_ = self._open.items
        queued = [item for item in items if item.id in open_]
        for item in queued:
            self._open.tell(item)
        for item in queued:
            try:
                await self._queued(item)
            except Exception:  # it is durable, and leaves later
                self._log.failure("a downlink that was queued could not be sent at once")
        return [open_.get(item.id, item) for item in items], len(deleted)

    def _gone(self, old: Item, new: Item) -> bool:
        """An item was replaced on disk; returns False if it was sent or ended meanwhile."""
        current = self._open.items.get(old.id)
        if current is None or not is_awaited(current):
            return False
        if current is old:
            self._open.keep(new)
            self._open.tell(new)
        else:  # its later value was written after it
            self._open.update(new)
        return True

    def _expect_room(self, tenant: str, device: str, more: int) -> None:
        """Raise Unavailable if so many more items would be too many."""
        if more > 0 and len(self._open.items) + more > MAX_OPEN:
            raise Full(f"expected at most {MAX_OPEN} open items in all")
        if more > 0 and self._open.count(tenant, device) + more > MAX_PER_DEVICE:
            raise Full(f"expected at most {MAX_PER_DEVICE} open items for a device")

    def _new(self, tenant: str, device: str, spec: DownlinkSpec, now_ms: int, job: str) -> Item:
        id = id_in_job(job, tenant, device) if job else new_id()
        return Item(
            id, self._open.next_seq(), tenant, device, spec, ItemState.QUEUED,
            now_ms, now_ms, now_ms + int(spec.ttl * 1000), job=job,
        )  # fmt: skip
