"""Which item a receipt is for: a device's receipt (``downlinkAck``), or that of a network to which the item was
offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from iotgw.core.downlink_item import OFFERED, Item, ItemState, attempt_of
from iotgw.core.model import Became
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


async def named(
    store: IDownlinkStore, open_items: Mapping[str, Item], tenant: str, name: str
) -> tuple[Item | None, int]:
    """The item of the attempt with this name, if it belongs to this tenant, and which attempt it is."""
    id, attempt = attempt_of(name)
    item = open_items.get(id) or await store.get(id)
    if item is None and attempt > 1 and id.endswith("0"):  # an id of a former release, in 64 bits
        id, attempt = f"{id[:-1]}{attempt - 1 & 15:x}", 1
        item = open_items.get(id) or await store.get(id)
    return (item if item is not None and item.tenant == tenant else None), attempt


def named_by_device(identity: str) -> str:
    """What a network calls an item where it names the device alone. No name of a network's own begins so."""
    return f"/{identity}"


async def offered(
    store: IDownlinkStore, open_items: Mapping[str, Item], tenant: str, device: str, identity: str
) -> list[Item]:
    """The items that a network has of a device, given by its name and by what the network calls it, in the order in which it got
    them."""
    stored = [
        *await store.sent_as(tenant, named_by_device(identity), RECENT),
        *await store.of_device(tenant, device, RECENT),
    ]
    items = {item.id: open_items.get(item.id, item) for item in stored}
    sent = [item for item in items.values() if item.state is ItemState.SENT]
    return sorted(sent, key=lambda item: (item.updated_ms, item.seq))


async def told(store: IDownlinkStore, tenant: str, device: str, reason: str) -> Item | None:
    """The item of which a network has said just this, in words that tell it from all others."""
    recent = await store.of_device(tenant, device, RECENT)
    return next(
        (item for item in recent if item.state is ItemState.DELIVERED and item.reason == reason), None
    )


def meant(items: Sequence[Item], became: Became, is_queue: bool) -> Item | None:
    """The one that a receipt means which names only the device. ``is_queue``: the network sends them in the order in which it got
    them; otherwise it has one at a time, which is the latest. Only one that must be confirmed is acknowledged, if there is one, and
    none is sent twice."""
    if became == "acknowledged":
        items = [item for item in items if item.spec.confirmed]
        items = [item for item in items if item.reason != OFFERED] or items
    elif became == "delivered":
        items = [item for item in items if item.spec.confirmed] or items
    elif became == "sent":
        items = [item for item in items if not item.spec.confirmed or item.reason == OFFERED]
    return (items[0] if is_queue else items[-1]) if items else None
