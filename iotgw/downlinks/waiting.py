"""The index of items that may be sent, by device and by the device's identity."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterator

from iotgw.core.downlink_item import Item, ItemState

Key = tuple[str, str]


def is_awaited(item: Item) -> bool:
    """Whether an item is to arrive within its time to live: QUEUED, or SENT and not confirmed although it must be."""
    return item.state is ItemState.QUEUED or (item.spec.confirmed and item.state is ItemState.SENT)


def may_leave(item: Item) -> bool:
    """Whether an item is still to be sent: it is awaited, and no network has it."""
    return is_awaited(item) and not item.is_with_network


class Waiting:
    """The items that may be sent, in order for each (tenant, device), and the identities of those devices."""

    def __init__(self) -> None:
        self._queues: dict[Key, list[Item]] = {}
        self._identity: dict[Key, str] = {}
        """A device's identity, where that is not its name."""
        self._behind: dict[Key, dict[str, None]] = {}
        """The devices behind an identity, the one that was resolved last at the end."""
        self._names: dict[str, dict[str, int]] = {}
        """For each tenant, the names and identities that items wait for. A name may also be another device's identity."""

    def __len__(self) -> int:
        """How many devices items wait for."""
        return len(self._queues)

    def names(self, tenant: str) -> Collection[str]:
        """A live view of the names and identities of a tenant's devices that items wait for."""
        return self._names.get(tenant, ())

    def _enter(self, tenant: str, name: str) -> None:
        names = self._names.setdefault(tenant, {})
        names[name] = names.get(name, 0) + 1

    def _leave(self, tenant: str, name: str) -> None:
        names = self._names[tenant]
        names[name] -= 1
        if not names[name]:
            del names[name]

    def put(self, item: Item) -> None:
        """Add or update an item; one that may not be sent any more is removed."""
        key = (item.tenant, item.device)
        queue = self._queues.get(key)
        if queue is not None:
            queue[:] = [other for other in queue if other.id != item.id]
        if may_leave(item):
            if queue is None:
                queue = self._queues[key] = []
                self._enter(*key)
            insort(queue, item, key=lambda each: each.order)
        elif queue is not None and not queue:
            self._remove(key)

    def _remove(self, key: Key) -> None:
        del self._queues[key]
        self._leave(*key)
        self._forget_identity(key)

    def _forget_identity(self, key: Key) -> None:
        tenant, device = key
        identity = self._identity.pop(key, None)
        if identity is None:
            return
        behind = self._behind[tenant, identity]
        del behind[device]
        if not behind:
            del self._behind[tenant, identity]
            self._leave(tenant, identity)

    def resolve(self, tenant: str, identity: str, device: str) -> None:
        """Learn by which identity a datasource knows a device that items wait for."""
        key = (tenant, device)
        if identity and key in self._queues:
            self._forget_identity(key)
            if identity != device:
                self._identity[key] = identity
                behind = self._behind.get((tenant, identity))
                if behind is None:
                    behind = self._behind[tenant, identity] = {}
                    self._enter(tenant, identity)
                behind[device] = None

    def identity(self, tenant: str, device: str) -> str:
        """By which identity a datasource knows a device that items wait for: its name, where nothing else was learnt."""
        return self._identity.get((tenant, device), device)

    def name(self, tenant: str, device: str) -> str:
        """A device's name, from its name or its identity; if several share the identity, the latest one's."""
        behind = self._behind.get((tenant, device))
        return next(reversed(behind)) if behind else device

    def behind(self, tenant: str, device: str) -> Iterator[str]:
        """The devices with items that a name or an identity may stand for, the latest one behind an identity first."""
        yield from reversed(tuple(self._behind.get((tenant, device), ())))
        if (tenant, device) in self._queues:
            yield device

    def queue(self, tenant: str, name: str) -> Iterator[Item]:
        """The items that wait for a device, given by its name, in order. They may change during the iteration."""
        return iter(tuple(self._queues.get((tenant, name), ())))

    def of(self, tenant: str, device: str) -> Iterator[Item]:
        """The items that wait for a device, given by name or identity, in order. They may change during the iteration."""
        return iter(tuple(self._queues.get((tenant, self.name(tenant, device)), ())))

    def count(self, tenant: str, device: str) -> int:
        """How many items wait for a device."""
        return len(self._queues.get((tenant, device), ()))
