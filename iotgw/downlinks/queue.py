"""The downlink queue: which items wait for which device, and what became of them.

The open items are in memory and on disk; a change is written before anybody is told that it is queued, and
after it when it was sent: a crash in between sends an item once more, and never forgets one.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.downlink_item import TRANSITIONS, Item, ItemState, payload
from iotgw.core.errors import Conflict, NotFound, Unavailable
from iotgw.core.model import Downlink, Event
from iotgw.core.ports.downlinks import IDownlinkQueue, IDownlinks
from iotgw.core.specs import DownlinkSpec
from iotgw.downlinks import receipts
from iotgw.downlinks.sessions import Listeners, Send, Sessions
from iotgw.downlinks.timetable import REMEMBERED_MS, Timetable
from iotgw.downlinks.waiting import Waiting, may_leave

MAX_OPEN = 200_000
"""Open items in all; each costs about half a kilobyte of memory."""
MAX_PER_DEVICE = 1_000
SWEEP = 2.0
"""Seconds between two looks for expired items."""
OFFER = 300.0
"""Seconds after which an item that a datasource took, and never spoke of again, may leave once more."""


@implementer(IDownlinks, IDownlinkQueue)
class DownlinkQueue:
    """Every device's queue.

    ``store`` keeps items (`iotgw.store.sqlite.downlinks.DownlinkStore`); ``encode(datasource, item)`` is a
    Deferred of ``(payload, content_type, metadata)`` made by the datasource's downlink converter;
    ``find(tenant, device)`` a Deferred of ``(datasource, push, identity)``: where the device was seen last,
    a function that sends to it at once if it can be reached now, or None, and the identity by which that
    datasource knows it;
    ``changed(item)`` hears of each change; ``clock`` is an IReactorTime.
    """

    _log = Logger()

    def __init__(
        self,
        store: Any,
        encode: Callable[[str, Item], Deferred[tuple[bytes, Any, dict[str, Any]]]],
        find: Callable[[str, str], Deferred[tuple[str, Send | None, str]]],
        changed: Callable[[Event, Item], None],
        clock: Any,
    ) -> None:
        self._store = store
        self._encode = encode
        self._find = find
        self._changed = changed
        self._clock = clock
        self._items: dict[str, Item] = {}
        """The open items, by id."""
        self._waiting = Waiting()
        self._offered: dict[str, float] = {}
        """Items that are on their way now, with the time they left."""
        self._held: Counter[str] = Counter()
        """Items that are being written, or replaced by such: none leaves before it is known which of them stay."""
        self._pushed: set[str] = set()
        """Items that left without an uplink, until their transport has spoken."""
        self._sessions = Sessions()
        self._listeners = Listeners()
        self._timetable = Timetable(self._items)
        self._seq = 0
        self._sweep: Any = None

    # --- life ---

    async def start(self) -> None:
        """Load the open items: what was on its way when the gateway ended is QUEUED again."""
        await self._store.start()
        recently = self.now_ms() - REMEMBERED_MS
        self._seq = await self._store.last_seq()
        for item in await self._store.open_items():
            if may_leave(item) or item.updated_ms > recently:
                self._keep(item)
        self._sweep = self._clock.callLater(SWEEP, self._expire)

    async def stop(self) -> None:
        """Write what is to be written."""
        if self._sweep is not None and self._sweep.active():
            self._sweep.cancel()
        await self._store.stop()

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self._clock.seconds() * 1000)

    # --- for users ---

    async def push(self, tenant: str, device: str, spec: DownlinkSpec) -> Item:
        """Queue an item; raises Unavailable when the queue is full. It is durable when this returns."""
        replaced: list[Item] = []
        if spec.policy == "last":
            replaced = [item for item in self._waiting.of(tenant, device) if item.id not in self._offered]
        items, _ = await self._exchange(tenant, device, [spec], replaced, "replaced by a later item")
        return items[0]

    async def replace(self, tenant: str, device: str, specs: list[DownlinkSpec]) -> list[Item]:
        """Take the place of everything that waits for a device; nothing of it goes if an item is refused."""
        replaced = list(self._waiting.of(tenant, device))
        items, _ = await self._exchange(tenant, device, specs, replaced, "replaced")
        return items

    async def clear(self, tenant: str, device: str) -> int:
        """Cancel everything that waits for a device; returns how many."""
        _, gone = await self._exchange(tenant, device, [], list(self._waiting.of(tenant, device)), "cleared")
        return gone

    async def _exchange(
        self, tenant: str, device: str, specs: list[DownlinkSpec], replaced: list[Item], reason: str
    ) -> tuple[list[Item], int]:
        """Queue items in the place of others; returns them as they are then, and how many others went.

        One transaction: a crash leaves the ones or the others. And one step in memory: the new items count
        from now on, the others until they are gone; neither leave meanwhile.
        """
        for spec in specs:
            payload(spec)
        freed = sum(item.id not in self._held for item in replaced)
        self._expect_room(tenant, device, len(specs) - freed)
        items = [self._new(tenant, device, spec) for spec in specs]
        gone = [item.change(ItemState.DELETED, self.now_ms(), reason) for item in replaced]
        held = [item.id for item in (*items, *gone)]
        for item in items:
            self._keep(item)
        self._held.update(held)
        try:
            await self._store.save([*gone, *items])
        except Exception:
            for item in items:  # their sender is told that they are not queued
                self._keep(item.change(ItemState.DELETED, self.now_ms()))
            for id in held:
                self._store.forget(id)
            raise
        finally:
            self._held -= Counter(held)
        deleted = [new for old, new in zip(replaced, gone, strict=True) if self._gone(old, new)]
        queued = [item for item in items if item.id in self._items]
        for item in queued:
            self._tell(item)
        for item in queued:
            await self._try_now(item)
        return [self._items.get(item.id, item) for item in items], len(deleted)

    def _gone(self, old: Item, new: Item) -> bool:
        """An item was replaced on disk; whether that is so, or it left or ended meanwhile."""
        current = self._items.get(old.id)
        if current is None or not may_leave(current):
            return False
        if current is old:
            self._keep(new)
            self._tell(new)
        else:  # its later value was written after it
            self._update(new)
        return True

    def _expect_room(self, tenant: str, device: str, more: int) -> None:
        """Raises Unavailable where so many more items would be too many."""
        if more > 0 and len(self._items) + more > MAX_OPEN:
            raise Unavailable(f"expected at most {MAX_OPEN} open items in all")
        if more > 0 and self._waiting.count(tenant, device) + more > MAX_PER_DEVICE:
            raise Unavailable(f"expected at most {MAX_PER_DEVICE} open items for a device")

    def _new(self, tenant: str, device: str, spec: DownlinkSpec) -> Item:
        self._seq += 1
        now = self.now_ms()
        return Item(
            f"dl{secrets.token_hex(8)}", self._seq, tenant, device, spec, ItemState.QUEUED, now, now,
            now + int(spec.ttl * 1000),
        )  # fmt: skip

    async def cancel(self, tenant: str, id: str) -> Item:
        """Cancel one item; raises NotFound, or Conflict when it is over already."""
        item = await self.get(tenant, id)
        if item.state.final:
            raise Conflict(f"expected an open item, this one is {item.state.value}")
        gone = item.change(ItemState.DELETED, self.now_ms(), "cancelled")
        self._update(gone)
        await self._store.flushed()
        return gone

    async def get(self, tenant: str, id: str) -> Item:
        """One item, open or over; raises NotFound."""
        item = self._items.get(id) or await self._store.get(id)
        if item is None or item.tenant != tenant:
            raise NotFound(f"there is no downlink {id!r}")
        return item

    async def list(self, tenant: str, device: str, limit: int = 100) -> list[Item]:
        """A device's items: the open ones in the order in which they will leave, then the latest others."""
        waiting = list(self._waiting.of(tenant, device))
        known = {item.id for item in waiting}
        past = await self._store.of_device(tenant, device, limit)
        return [*waiting, *(item for item in past if item.id not in known)][:limit]

    def depth(self) -> int:
        """Open items in all."""
        return len(self._items)

    # --- for the gateway ---

    def waited_for(self, tenant: str) -> Collection[str]:
        """See `IDownlinks.waited_for`."""
        return self._waiting.names(tenant)

    def take(
        self,
        tenant: str,
        device: str,
        datasource: str,
        limit: int,
        done: Callable[[tuple[Downlink, ...]], None],
    ) -> None:
        """See `IDownlinks.take`."""
        ensureDeferred(self._take(tenant, device, datasource, limit, with_uplink=True)).addErrback(
            self._could_not_take
        ).addCallback(done)

    def _could_not_take(self, failure: Any) -> tuple[Downlink, ...]:
        self._log.failure("downlinks could not be taken", failure)
        return ()

    async def _take(
        self, tenant: str, device: str, datasource: str, limit: int, with_uplink: bool
    ) -> tuple[Downlink, ...]:
        taken: list[Downlink] = []
        for item in self._waiting.of(tenant, device):
            if not self._leaves(item.id, with_uplink):
                continue
            downlink = await self._encoded(item, datasource)
            if downlink is not None:
                taken.append(downlink)
                if len(taken) == limit:
                    break
        return tuple(taken)

    def _leaves(self, id: str, with_uplink: bool) -> bool:
        item = self._items.get(id)
        if item is None or not may_leave(item) or id in self._offered or id in self._held:
            return False
        if item.expires_ms <= self.now_ms():
            self._over(item, self.now_ms())
            return False
        return item.spec.mode != ("async" if with_uplink else "sync")

    async def _encoded(self, item: Item, datasource: str) -> Downlink | None:
        self._offered[item.id] = self._clock.seconds()
        try:
            payload, content_type, metadata = await self._encode(datasource, item)
        except Exception as error:  # a user's script: whatever it raised is the item's reason
            self._offered.pop(item.id, None)
            if item.id in self._items and item.id not in self._held:
                self._update(item.change(ItemState.QUEUED, self.now_ms(), f"downlink converter: {error}"))
            return None
        if item.id not in self._items or item.id in self._held:  # cancelled while its converter ran
            self._offered.pop(item.id, None)
            return None
        return Downlink(item.id, item.device, payload, content_type, metadata)

    def outcome(self, downlink_id: str, state: str, reason: str = "", response: Any = None) -> None:
        """See `IDownlinks.outcome`."""
        item = self._items.get(downlink_id)
        if item is None:
            return
        self._offered.pop(downlink_id, None)
        if state == "answered":
            if item.spec.confirmed:
                return
            state = "delivered"
        following = TRANSITIONS.get((item.state, state))
        if following is None:
            return
        now = self.now_ms()
        attempts = item.attempts
        if state in ("sent", "offered") or (state == "lost" and item.state is ItemState.QUEUED):
            attempts += 1
        if state == "lost" and attempts >= item.spec.max_attempts:
            following, reason = ItemState.FAILED, f"lost in {attempts} attempts: {reason}"
        self._update(item.change(following, now, reason, attempts=attempts, response=response))
        was_pushed = downlink_id in self._pushed
        if state not in ("sent", "offered"):
            self._pushed.discard(downlink_id)
        if following is ItemState.DELIVERED and item.device in self.waited_for(item.tenant):
            ensureDeferred(self._follow(item.tenant, item.device, was_pushed)).addErrback(
                lambda failure: self._log.failure("the next downlink could not follow", failure)
            )

    def confirmed(self, tenant: str, device: str, state: str, reason: str = "") -> None:
        """See `IDownlinks.confirmed`."""
        ensureDeferred(self._confirmed(tenant, device, state, reason)).addErrback(
            lambda failure: self._log.failure("a downlink's confirmation was not taken", failure)
        )

    async def _confirmed(self, tenant: str, device: str, state: str, reason: str) -> None:
        item = await receipts.offered(self._store, self._items, tenant, self._waiting.name(tenant, device))
        if item is not None:
            self._items.setdefault(item.id, item)
            self.outcome(item.id, state, reason)

    def acknowledged(self, tenant: str, device: str, identity: str, ack: dict[str, Any]) -> None:
        """A device's receipt (``downlinkAck`` of a converter's output): by item id, or the oldest of a
        message type that was sent."""
        names = dict.fromkeys((self._waiting.name(tenant, device), device, identity))
        ensureDeferred(self._acknowledged(tenant, tuple(filter(None, names)), ack)).addErrback(
            lambda failure: self._log.failure("a downlink's receipt was not taken", failure)
        )

    async def _acknowledged(self, tenant: str, names: tuple[str, ...], ack: dict[str, Any]) -> None:
        state = "successful" if ack.get("success", True) else "failed"
        item = await receipts.acknowledged(self._store, self._items, tenant, names, ack, self.now_ms())
        if item is not None and (item.state, state) in TRANSITIONS:
            self._items.setdefault(item.id, item)  # it may have left memory long ago
            self.outcome(item.id, state, str(ack.get("error", "")), ack.get("response"))

    # --- devices that can be reached now ---

    def reachable(self, tenant: str, device: str, datasource: str, send: Send) -> Callable[[], None]:
        """See `IIntake.reachable`."""
        return self._sessions.add((tenant, device), (datasource, send))

    def listen(self, tenant: str, device: str, callback: Callable[[], None]) -> Callable[[], None]:
        """See `IDownlinks.listen`."""
        return self._listeners.add((tenant, device), callback)

    async def _try_now(self, item: Item) -> None:
        """Send a new item at once: with an answer that is held back for it, or, if it may leave without an
        uplink and its device can be reached, by itself."""
        self._listeners.wake((item.tenant, item.device))
        datasource, push, identity = await self._find(item.tenant, item.device)
        self._waiting.resolve(item.tenant, identity, item.device)
        if identity and identity != item.device:
            self._listeners.wake((item.tenant, identity))
        if item.spec.mode != "sync":
            await self._push(item.tenant, item.device, identity, datasource, push)

    async def _follow(self, tenant: str, device: str, was_pushed: bool) -> None:
        """An item arrived: what waits behind it follows, if the device has a session, or took this one
        without having asked. One that had it with an answer may know nothing else than answers."""
        datasource, push, identity = await self._find(tenant, device)
        await self._push(tenant, device, identity, datasource, push if was_pushed else None)

    async def _push(
        self, tenant: str, device: str, identity: str, datasource: str, push: Send | None
    ) -> None:
        for name in (identity, device):
            if sessions := self._sessions.of((tenant, name)):
                datasource, push = sessions[-1]
                break
        if push is not None:
            items = await self._take(tenant, device, datasource, 1, with_uplink=False)
            if items:
                self._pushed.update(item.id for item in items)
                push(items)

    # --- bookkeeping ---

    def _keep(self, item: Item) -> None:
        if item.state.final:
            self._items.pop(item.id, None)
            self._offered.pop(item.id, None)
            self._pushed.discard(item.id)
        else:
            self._items[item.id] = item
            self._timetable.put(item)
        self._waiting.put(item)

    def _update(self, item: Item) -> None:
        self._keep(item)
        self._store.save([item]).addErrback(self._not_saved)
        self._tell(item)

    def _not_saved(self, failure: Any) -> None:
        self._log.failure(
            "a downlink's state could not be written; after a restart it is the one before", failure
        )

    def _tell(self, item: Item) -> None:
        detail = {"id": item.id, "msgType": item.spec.msg_type, "state": item.state.value}
        event = Event(
            item.updated_ms, f"downlink.{item.state.value.lower()}", "device", item.device, item.reason,
            item.tenant, "info", item.device, "", detail,
        )  # fmt: skip
        self._changed(event, item)

    def _expire(self) -> None:
        """Expired items, items that nobody will speak of again, offers that were forgotten."""
        now = self.now_ms()
        for id, since in list(self._offered.items()):
            if self._clock.seconds() - since > OFFER:
                del self._offered[id]
        for item in self._timetable.due(now):
            if not may_leave(item):
                if now - item.updated_ms >= REMEMBERED_MS:
                    del self._items[item.id]
                    self._pushed.discard(item.id)
            elif item.id in self._offered or item.id in self._held:
                self._timetable.again(item, now + int(SWEEP * 1000))
            elif item.expires_ms <= now:
                self._over(item, now)
        self._sweep = self._clock.callLater(SWEEP, self._expire)

    def _over(self, item: Item, now: int) -> None:
        """Its time to live has passed."""
        if item.state is ItemState.QUEUED:
            self._update(item.change(ItemState.EXPIRED, now, "it could not be sent in its time to live"))
        else:
            self._update(item.change(ItemState.TIMEOUT, now, "sent, but no receipt came in its time to live"))
