"""The downlink queue: as the pipeline uses it, and as a person does."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection
from typing import Any, Literal

from twisted.internet.defer import Deferred
from zope.interface import Interface

from iotgw.core.downlink_item import Item
from iotgw.core.model import Downlink
from iotgw.core.ports.intake import Send
from iotgw.core.specs import DownlinkSpec

Report = Literal["sent", "offered", "delivered", "answered", "lost", "returned"]
"""What a datasource says of an item: ``answered`` is as good as delivered, unless the item must be confirmed;
``returned`` is an item that was taken and did not leave, which is no attempt."""


class IDownlinks(Interface):
    """What waits for devices, and what became of it."""

    def waited_for(tenant: str) -> Collection[str]:
        """The names and identities of a tenant's devices that have items which could leave, as of now; to be looked
        at, not to be kept."""

    def take(
        tenant: str, device: str, datasource: str, limit: int, done: Callable[[tuple[Downlink, ...]], None]
    ) -> None:
        """Call ``done(downlinks)`` with items that leave now; each is marked offered."""

    def outcome(downlink_id: str, state: Report, reason: str = "") -> None:
        """A datasource's report."""

    def confirmed(
        tenant: str, device: str, state: Literal["delivered", "lost"], reason: str = "", item: str = ""
    ) -> Deferred[bool]:
        """What became of the item with the id ``item``, and of no other; without an id, of the latest of a device (by
        name or identity) that is SENT. Fires with whether there is such an item; a receipt that comes twice, or too
        late, changes nothing."""

    def acknowledged(tenant: str, device: str, identity: str, ack: dict[str, Any]) -> None:
        """A device's receipt: ``{id | msgType, success, response}`` of a converter's output. ``identity`` is what
        its datasource knows it by; an item may be queued for either."""

    def reachable(tenant: str, device: str, datasource: str, send: Send) -> Callable[[], None]:
        """See `iotgw.core.ports.intake.IIntake.reachable`."""

    def listen(tenant: str, device: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` whenever an item was queued for a device (by name or identity), until the function
        that this returns is called."""


class IDownlinkQueue(Interface):
    """The queue as users see it. What these return is durable."""

    async def push(tenant: str, device: str, spec: DownlinkSpec) -> Item:
        """Queue an item; raises Unavailable when the queue is full, SettingsError when the item is wrong."""

    async def replace(tenant: str, device: str, specs: builtins.list[DownlinkSpec]) -> builtins.list[Item]:
        """Take the place of everything that waits for a device; nothing of it goes if an item is refused."""

    async def clear(tenant: str, device: str) -> int:
        """Cancel everything that waits for a device; returns how many."""

    async def cancel(tenant: str, id: str) -> Item:
        """Cancel one item; raises NotFound, or Conflict when it is final."""

    async def get(tenant: str, id: str) -> Item:
        """One item; raises NotFound."""

    async def list(tenant: str, device: str, limit: int = 100) -> builtins.list[Item]:
        """A device's items, newest first."""

    def depth() -> int:
        """How many items are open."""


class IDownlinkStore(Interface):
    """Where items are kept. Changes that come while one is being written are written together next."""

    def start() -> Deferred[None]:
        """Open, and forget what was over long ago."""

    def stop() -> Deferred[None]:
        """Write what is pending, and close."""

    def save(items: list[Item]) -> Deferred[None]:
        """Write items in one transaction; fires when they are durable."""

    def forget(id: str) -> None:
        """Do not write an item whose `save` failed with a later one."""

    def flushed() -> Deferred[None]:
        """Fires when everything that was saved so far is durable."""

    def open_items() -> Deferred[list[Item]]:
        """What is not over: all that is QUEUED, SENT or DELIVERED; oldest first."""

    def last_seq() -> Deferred[int]:
        """The highest ``seq`` of all items, open or over; 0 without any."""

    def get(id: str) -> Deferred[Item | None]:
        """An item, or None."""

    def of_device(tenant: str, device: str, limit: int) -> Deferred[list[Item]]:
        """A device's items, newest first."""
