"""How items are sent: with an uplink's answer, or at once if their device can be reached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

from iotgw.core.downlink_item import ContentType, Item, ItemState
from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.downlinks import IDownlinkStore
from iotgw.core.ports.intake import Send
from iotgw.core.ports.speakers import ISpeakers
from iotgw.core.proof import Proved
from iotgw.downlinks.in_transit import InTransit
from iotgw.downlinks.open_items import OpenItems
from iotgw.downlinks.sessions import Listeners, OpenSession, OpenSessions
from iotgw.downlinks.waiting import may_leave
from iotgw.downlinks.waking import EVERY

Encode = Callable[[str, Item], Awaitable[tuple[bytes, ContentType, Metadata]]]
"""``encode(datasource, item)``: payload, content type and metadata of an item, made by the datasource's downlink
converter."""


class LastSeen(NamedTuple):
    """Where a device was seen last: the datasource, a function that sends to it at once if it can be reached now, the identity
    by which that datasource knows it, and what it had proved to be."""

    datasource: str = ""
    push: Send | None = None
    identity: str = ""
    proved: Proved = ""


Find = Callable[[str, str], Awaitable[LastSeen]]
"""``find(tenant, device)``"""


class Leaving:
    """Takes items out of the queue for sending."""

    def __init__(
        self,
        open_items: OpenItems,
        way: InTransit,
        encode: Encode,
        find: Find,
        clock: IReactorTime,
        speakers: ISpeakers,
        store: IDownlinkStore,
    ) -> None:
        self._open = open_items
        self._store = store
        self._way = way
        self._encode = encode
        self._find = find
        self._clock = clock
        self._speakers = speakers
        self._sessions = OpenSessions()
        self._listeners = Listeners()
        self.is_held = False
        """Whether nothing leaves: the gateway is paused."""

    def hold(self) -> None:
        """Let nothing leave until `let_go`."""
        self.is_held = True

    def let_go(self) -> None:
        """Let items leave."""
        self.is_held = False

    # --- who can be reached now

    def reachable(
        self, tenant: str, device: str, datasource: str, send: Send, proved: Proved
    ) -> Callable[[], None]:
        """See `IIntake.reachable`."""
        return self._sessions.open((tenant, device), OpenSession(datasource, send, proved))

    def listen(self, tenant: str, device: str, callback: Callable[[], None]) -> Callable[[], None]:
        """See `IDownlinks.listen`."""
        return self._listeners.add((tenant, device), callback)

    # --- out

    async def take(
        self,
        tenant: str,
        device: str,
        datasource: str,
        limit: int,
        with_uplink: bool,
        proved: Proved,
    ) -> tuple[Downlink, ...]:
        """Take at most ``limit`` items of a device, which is given by name or identity, for sending now. ``with_uplink``
        says that they go with the answer to an uplink. Of the devices behind an identity, it is the latest one that the
        sender may speak for."""
        taken: list[Downlink] = []
        if self.is_held:
            return ()
        name = self.whose(tenant, device, datasource, proved)
        for item in self._open.waiting.queue(tenant, name) if name is not None else ():
            if not self._leaves(item.id, with_uplink):
                continue
            downlink = await self._encoded(item, datasource)
            if downlink is not None:
                taken.append(downlink)
                if len(taken) == limit:
                    break
        return tuple(taken)

    def whose(self, tenant: str, device: str, datasource: str, proved: Proved) -> str | None:
        """The device whose items a sender gets who names it or an identity; None if there is none that it may speak for."""
        object_to = self._speakers.taking_objection
        behind = self._open.waiting.behind(tenant, device)
        return next((name for name in behind if not object_to(tenant, datasource, name, proved)), None)

    def _leaves(self, id: str, with_uplink: bool) -> bool:
        item = self._open.items.get(id)
        if item is None or not may_leave(item) or not self._way.is_free(id):
            return False
        return not self._open.has_expired(item) and item.spec.mode != ("async" if with_uplink else "sync")

    async def _encoded(self, item: Item, datasource: str) -> Downlink | None:
        self._way.offer(item.id, self._clock.seconds())
        if not await self._store.claim(item.id):  # another node sends it
            self._way.back(item.id)
            return None
        try:
            payload, content_type, metadata = await self._encode(datasource, item)
        except Exception as error:  # a user's script: whatever it raised is the item's reason
            self._way.back(item.id)
            if self._is_still_there(item):
                now_ms = self._open.now_ms()
                self._open.update(item.change(ItemState.QUEUED, now_ms, f"downlink converter: {error}"))
            return None
        if not self._is_still_there(item):  # cancelled while its converter ran
            self._way.back(item.id)
            return None
        return Downlink(
            item.id, item.device, payload, content_type, metadata, item.spec.confirmed, item.spec.msg_type,
            item.attempts + 1,
        )  # fmt: skip

    def _is_still_there(self, item: Item) -> bool:
        return item.id in self._open.items and not self._way.is_held(item.id)

    async def is_queued_there(self, tenant: str, device: str) -> bool:
        """Whether a device's items are handed to a network at once, which keeps them, and sends them in this order."""
        return (await self._find(tenant, device)).push is not None

    async def try_now(self, item: Item) -> None:
        """Send a new item at once: with an answer that is held back for one, or by itself if it may be sent
        without an uplink and its device can be reached."""
        self._listeners.wake((item.tenant, item.device))
        seen = await self._find(item.tenant, item.device)
        self._open.resolve(item.tenant, seen.identity, item.device)
        if seen.identity and seen.identity != item.device:
            self._listeners.wake((item.tenant, seen.identity))
        if item.spec.mode != "sync":
            await self._push(item.tenant, item.device, seen)

    async def wake(self, item: Item, datasources: Collection[str]) -> None:
        """Send an item that has waited, if its device was last seen at one of these datasources; `iotgw.downlinks.waking`."""
        if EVERY in datasources:
            await self.try_now(item)
            return
        if item.spec.mode == "sync" or not may_leave(item) or not self._way.is_free(item.id):
            return
        seen = await self._find(item.tenant, item.device)
        if seen.datasource in datasources:
            self._open.resolve(item.tenant, seen.identity, item.device)
            await self._push(item.tenant, item.device, seen)

    async def follow(self, tenant: str, device: str, was_pushed: bool) -> None:
        """An item arrived. Send the next one if the device has a session, or if this item was sent without an uplink.
        A device that got it with an answer may accept nothing but answers."""
        seen = await self._find(tenant, device)
        await self._push(tenant, device, seen if was_pushed else seen._replace(push=None))

    async def _push(self, tenant: str, device: str, seen: LastSeen) -> None:
        datasource, push, proved = seen.datasource, seen.push, seen.proved
        object_to = self._speakers.taking_objection
        for session in self._sessions.newest_first((tenant, seen.identity), (tenant, device)):
            if not object_to(tenant, session.datasource, device, session.proved):
                datasource, push, proved = session.datasource, session.send, session.proved
                break
        if push is not None:
            items = await self.take(tenant, device, datasource, 1, with_uplink=False, proved=proved)
            if items:
                self._way.push(item.id for item in items)
                push(items)
