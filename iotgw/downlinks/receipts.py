"""Which item a receipt is for: a device's receipt (``downlinkAck``), or that of a network to which the item was
offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.ports.downlinks import IDownlinkStore

RECENT = 100
"""How many of a device's latest items are considered."""


async def acknowledged(
    store: IDownlinkStore,
    open_items: Mapping[str, Item],
    tenant: str,
    names: Sequence[str],
    ack: dict[str, Any],
    is_over: Callable[[Item], bool],
) -> Item | None:
    """The item that a device's receipt is for; None if there is none.

    It is the item with the receipt's id, if it belongs to this device. Without an id, it is the oldest sent item of the
    receipt's message type that may still be answered. ``names`` are the device's names. ``open_items`` take precedence
    over the store's copies."""
    if "id" in ack:
        id = str(ack["id"])
        item = open_items.get(id) or await store.get(id)
        return item if item is not None and item.tenant == tenant and item.device in names else None
    for name in names:
        for stored in reversed(await store.of_device(tenant, name, RECENT)):
            item = open_items.get(stored.id, stored)
            is_sent = item.state in (ItemState.SENT, ItemState.DELIVERED)
            if is_sent and item.spec.msg_type == ack.get("msgType") and not is_over(item):
                return item
    return None


async def named(store: IDownlinkStore, open_items: Mapping[str, Item], tenant: str, id: str) -> Item | None:
    """The item with this id, if it belongs to this tenant."""
    item = open_items.get(id) or await store.get(id)
    return item if item is not None and item.tenant == tenant else None


async def offered(
    store: IDownlinkStore, open_items: Mapping[str, Item], tenant: str, device: str
) -> Item | None:
    """The item that was sent last and has no outcome yet; None if there is none."""
    items = [open_items.get(item.id, item) for item in await store.of_device(tenant, device, RECENT)]
    sent = [item for item in items if item.state is ItemState.SENT]
    return max(sent, key=lambda item: item.updated_ms, default=None)
