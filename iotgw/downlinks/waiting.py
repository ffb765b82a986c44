"""Who waits for what: the index of items that may leave, by device and by the device's identity."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator

from iotgw.downlinks.item import Item, ItemState

Key = tuple[str, str]


def may_leave(item: Item) -> bool:
    """Whether an item is still to be sent: QUEUED, or SENT and not confirmed although it must be."""
    return item.state is ItemState.QUEUED or (item.spec.confirmed and item.state is ItemState.SENT)


class Waiting:
    """The items that may leave, per (tenant, device) in their order; and the identities of those devices."""

    def __init__(self) -> None:
        self._queues: dict[Key, list[Item]] = {}
        self._device: dict[Key, str] = {}
        self._identity: dict[Key, str] = {}

    def __contains__(self, key: Key) -> bool:
        """Whether something waits for a (tenant, device name or identity)."""
        return key in self._queues or key in self._device

    def __len__(self) -> int:
        """Devices that something waits for."""
        return len(self._queues)

    @property
    def unresolved(self) -> bool:
        """Whether something waits for a device whose identity is not known."""
        return len(self._identity) < len(self._queues)

    def put(self, item: Item) -> None:
        """Add an item, or put its new value in its place; one that may not leave any more goes."""
        key = (item.tenant, item.device)
        queue = self._queues.setdefault(key, [])
        queue[:] = [other for other in queue if other.id != item.id]
        if may_leave(item):
            insort(queue, item, key=lambda each: each.order)
        elif not queue:
            del self._queues[key]
            identity = self._identity.pop(key, None)
            if identity is not None:
                self._device.pop((item.tenant, identity), None)

    def resolve(self, tenant: str, identity: str, device: str) -> None:
        """Learn by which identity a datasource knows a device that something waits for."""
        key = (tenant, device)
        if identity and key in self._queues:
            before = self._identity.get(key)
            if before is not None:
                self._device.pop((tenant, before), None)
            self._identity[key] = identity
            if identity != device:
                self._device[tenant, identity] = device

    def name(self, tenant: str, device: str) -> str:
        """A device's name, from its name or its identity."""
        return self._device.get((tenant, device), device)

    def of(self, tenant: str, device: str) -> Iterator[Item]:
        """What waits for a device (by name or identity), in order; safe against changes meanwhile."""
        return iter(tuple(self._queues.get((tenant, self.name(tenant, device)), ())))

    def count(self, tenant: str, device: str) -> int:
        """How many items wait for a device."""
        return len(self._queues.get((tenant, device), ()))
