"""The downlink queue: as the pipeline uses it, and as users see it."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection
from typing import Any, Literal

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Interface

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.model import Became, Downlink
from iotgw.core.ports.intake import Send
from iotgw.core.proof import Proved
from iotgw.core.specs import DownlinkSpec

Report = Literal["sent", "offered", "delivered", "answered", "lost", "returned", "refused", "carried out"]
"""What a datasource reports on an item. ``answered`` counts as delivered, unless the item must be confirmed.
``returned`` is an item that was taken but not sent, which is not an attempt.
``refused`` is final: the device would refuse it again. ``carried out`` is final too: the device has done it, and said so."""


class IDownlinks(Interface):
    """The queued downlinks, and their outcomes."""

    def waited_for(tenant: str) -> Collection[str]:
        """The names and identities of a tenant's devices with items that could be sent now. Don't keep the
        collection: it changes."""

    def waits(tenant: str, device: str, datasource: str, proved: Proved = "") -> bool:
        """Whether an item waits that `take` could give this sender, for a device by name or identity."""

    def take(
        tenant: str,
        device: str,
        datasource: str,
        limit: int,
        done: Callable[[tuple[Downlink, ...]], None],
        proved: Proved = "",
    ) -> None:
        """Call ``done(downlinks)`` with items to send now; each is marked as offered. There are none of devices
        that the sender, which has ``proved`` what it is, may not speak for (`ISpeakers`)."""

    def outcome(
        downlink_id: str,
        state: Report,
        reason: str = "",
        result: dict[str, Any] | None = None,
        network: str = "",
    ) -> None:
        """A datasource's report, with the device's answer if there is one, and what a network calls the item that was
        ``offered`` to it (`Item.network`)."""

    def is_waiting(downlink_id: str) -> bool:
        """Whether an item that was taken is still to be sent: it wasn't cancelled, replaced or too late meanwhile."""

    def wake(datasource: str) -> None:
        """Send what waits for devices that were last seen at this datasource, which can send now: at its start, and when
        what it sends to answers again."""

    def confirmed(
        tenant: str,
        device: str,
        datasource: str,
        became: Became,
        reason: str = "",
        item: str = "",
        network: str = "",
        proved: Proved = "",
    ) -> Deferred[bool]:
        """A network's receipt, from a datasource that may speak for the device, for the item with the id ``item``, and no
        other, or for the one that the network calls ``network``; without either, for a SENT item of a device (by
        name or identity): the one that a network which keeps a queue was given first, or else the latest. Fires with whether there is such an item, once what it says of it is durable; fails if that can't be
        written. A duplicate or late receipt changes nothing. One that names what no answer of the network has named yet is kept for a minute: answers may be slower than receipts."""

    def acknowledged(
        tenant: str, device: str, datasource: str, identity: str, ack: dict[str, Any], proved: Proved = ""
    ) -> None:
        """A device's receipt: ``{id | msgType, success, response}`` of a converter's output. ``identity`` is
        the device's identity at its datasource; an item may be queued under the name or the identity. It counts
        for no device that the sender may not speak for."""

    def reachable(
        tenant: str, device: str, datasource: str, send: Send, proved: Proved = ""
    ) -> Callable[[], None]:
        """See `iotgw.core.ports.intake.IIntake.reachable`."""

    def listen(tenant: str, device: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` whenever an item is queued for a device (by name or identity); returns a function
        that ends that."""


class JobItems(Struct, frozen=True):
    """What a job queued: how many items are in which state, and some of them, in the order in which they were queued."""

    states: dict[str, int]
    items: list[Item]


class ItemQuery(Struct, frozen=True):
    """Which items of a tenant are looked for: those in one of ``states`` (none: in any), and of a ``device`` (empty: of all), as it was named
    when they were queued. They come newest first; ``before`` is the ``seq`` behind which a list goes on, 0 for its beginning."""

    states: tuple[ItemState, ...] = ()
    device: str = ""
    before: int = 0
    limit: int = 100


class IDownlinkQueue(Interface):
    """The queue as users see it. All returned values are durable."""

    async def push(tenant: str, device: str, spec: DownlinkSpec, job: str = "") -> Item:
        """Queue an item; raises Full when the queue is full, SettingsError when the item is wrong. A ``job`` gets one
        item for each device: where it asks again, the item is the one of before."""

    async def replace(tenant: str, device: str, specs: builtins.list[DownlinkSpec]) -> builtins.list[Item]:
        """Replace everything that is queued for a device; nothing is replaced if an item is refused."""

    async def clear(tenant: str, device: str) -> int:
        """Cancel everything that is queued for a device; returns how many items."""

    async def cancel(tenant: str, id: str) -> Item:
        """Cancel one item; raises NotFound, or Conflict when it is final."""

    async def of_job(
        tenant: str, job: str, state: ItemState | None = None, after: int = 0, limit: int = 100
    ) -> JobItems:
        """What a job queued; the items are those in this state, with a ``seq`` above ``after``. An item is forgotten a month after its
        end."""

    async def clear_job(tenant: str, job: str) -> int:
        """Cancel what a job queued and is still QUEUED; returns how many items."""

    async def get(tenant: str, id: str) -> Item:
        """One item; raises NotFound."""

    async def list(tenant: str, device: str, limit: int = 100) -> builtins.list[Item]:
        """A device's items, newest first."""

    async def find(tenant: str, query: ItemQuery) -> builtins.list[Item]:
        """Items of a tenant's devices, newest first."""

    def depth() -> int:
        """How many items are open."""


class IDownlinkStore(Interface):
    """Where items are stored. Changes that come while one is being written are written together next."""

    def start() -> Deferred[None]:
        """Open, and delete items that ended long ago."""

    def stop() -> Deferred[None]:
        """Write what is pending, and close."""

    def save(items: list[Item]) -> Deferred[None]:
        """Write items in one transaction; fires when they are durable."""

    def claim(id: str) -> Deferred[bool]:
        """Of several nodes, have this one send an item. Fires with whether it may: the item is still QUEUED, and no other node is sending it."""

    def next_seq(seq: int) -> int:
        """A number above this one, such as no other node gives to an item."""

    def watch(callback: Callable[[list[Item]], None]) -> None:
        """Call ``callback(items)`` with what other nodes have written, as it is now."""

    def forget(id: str) -> None:
        """Do not write an item whose `save` failed with a later one."""

    def flushed() -> Deferred[None]:
        """Fires when everything that was saved so far is durable."""

    def open_items() -> Deferred[list[Item]]:
        """All open items: QUEUED, SENT or DELIVERED; oldest first."""

    def last_seq() -> Deferred[int]:
        """The highest ``seq`` of all items, open or over; 0 without any."""

    def get(id: str) -> Deferred[Item | None]:
        """An item, or None."""

    def of_network(tenant: str, network: str) -> Deferred[Item | None]:
        """The latest item that a network calls so (`Item.network`), or None."""

    def sent_as(tenant: str, network: str, limit: int) -> Deferred[list[Item]]:
        """The SENT items that a network calls so, oldest first."""

    def of_device(tenant: str, device: str, limit: int) -> Deferred[list[Item]]:
        """A device's items, newest first."""

    def of_job(tenant: str, job: str, state: ItemState | None, after: int, limit: int) -> Deferred[JobItems]:
        """See `IDownlinkQueue.of_job`."""

    def find(tenant: str, query: ItemQuery) -> Deferred[list[Item]]:
        """See `IDownlinkQueue.find`."""
