"""What the suite of queues of downlinks works with."""

from __future__ import annotations

from typing import Any

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.model import Downlink
from iotgw.core.ports.downlinks import IDownlinkQueue, IDownlinks
from iotgw.core.specs import DownlinkSpec
from iotgw.testing.contracts.base import Contract


class IBothSides(IDownlinks, IDownlinkQueue):
    """A queue as the pipeline and as a person sees it."""


def text(content: str, **more: Any) -> DownlinkSpec:
    """An item that is a text as it is."""
    return DownlinkSpec(data=content, content_type="TEXT", **more)


class DownlinkWorld(Contract[IBothSides]):
    """What a suite does with a queue, over and over."""

    def know(self, device: str, identity: str) -> None:
        """From now on a datasource knows this device of the tenant ``default`` by an identity."""
        raise NotImplementedError

    def push(self, content: str, device: str = "dev", **more: Any) -> Item:
        """Queue a text."""
        return self.wait(self.part.push("default", device, text(content, **more)))

    def take(self, device: str = "dev", limit: int = 1) -> list[Downlink]:
        """What leaves now."""
        taken: list[tuple[Downlink, ...]] = []
        self.part.take("default", device, "ds", limit, taken.append)
        self.until(lambda: taken)
        return list(taken[0])

    def texts(self, limit: int = 9) -> list[bytes]:
        """The payloads of what leaves now."""
        return [downlink.payload for downlink in self.take(limit=limit)]

    def send(self, content: str = "x", **more: Any) -> Item:
        """Queue a text, and have it leave."""
        item = self.push(content, **more)
        self.take(item.device)
        self.part.outcome(item.id, "sent")
        return item

    def acknowledge(
        self, device: str = "dev", identity: str = "", tenant: str = "default", **ack: Any
    ) -> None:
        """Report a receipt, and wait until it has taken effect."""
        self.part.acknowledged(tenant, device, "ds", identity, ack)
        for name in dict.fromkeys((device, identity, "dev")):  # each is read after the receipt
            self.wait(self.part.list("default", name))

    def item(self, item: Item) -> Item:
        """An item as it is now."""
        return self.wait(self.part.get("default", item.id))

    def state(self, item: Item) -> ItemState:
        """The state of an item now."""
        return self.item(item).state
