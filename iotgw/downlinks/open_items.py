"""The open items: in memory by id and by device, and on disk. Each change is written and reported."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.model import Event
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.downlinks import IDownlinkStore
from iotgw.core.times import DateMs, SteadyMs
from iotgw.downlinks.in_transit import InTransit
from iotgw.downlinks.timetable import Timetable
from iotgw.downlinks.waiting import Waiting, is_awaited

SWEEP = 2.0
"""Seconds between checks for expired items."""

Changed = Callable[[Event, Item], None]
"""Called for each change of an item."""


class OpenItems:
    """The open items, `items` by id. ``way`` says which of them can't be sent now."""

    _log = Logger()

    def __init__(
        self,
        store: IDownlinkStore,
        way: InTransit,
        changed: Changed,
        clock: IReactorTime,
        calendar: ICalendar,
    ) -> None:
        self._store = store
        self._way = way
        self._changed = changed
        self._clock = clock
        self._calendar = calendar
        self._items: dict[str, Item] = {}
        self.waiting = Waiting()
        """Those that may be sent, by device."""
        self._timetable = Timetable(self._items, calendar.moment_ms)
        self._seq = 0
        self.came: Callable[[Item], object] = lambda item: None
        """Called when another node has queued an item."""
        self.heard: Callable[[str], object] = lambda id: None
        """Called with its id when another node has changed an item."""
        self.ends_them: Callable[[], bool] = lambda: True
        """Whether this node ends items whose time to live is over: of several, one does."""
        self._sweep: IDelayedCall | None = None

    async def start(self) -> None:
        """Load the open items. Those that were in transit when the gateway ended are QUEUED again."""
        self._seq = await self._store.last_seq()
        for item in await self._store.open_items():
            if is_awaited(item) or not self._timetable.is_due(item, self._steady_ms()):
                self.keep(item)
        self._store.watch(self._hear)
        self._sweep = self._clock.callLater(SWEEP, self._look)

    def stop(self) -> None:
        """Stop the checks for expired items."""
        if self._sweep is not None and self._sweep.active():
            self._sweep.cancel()

    def now_ms(self) -> DateMs:
        """The date."""
        return self._calendar.now_ms()

    def _steady_ms(self) -> SteadyMs:
        return SteadyMs(int(self._clock.seconds() * 1000))

    def is_over(self, item: Item) -> bool:
        """Whether an item has waited for as long as its time to live; a date that jumps doesn't count."""
        return self._timetable.ends_ms(item) <= self._steady_ms()

    # --- what there is

    @property
    def items(self) -> Mapping[str, Item]:
        """All of them, by id; as of now."""
        return self._items

    def names(self, tenant: str) -> Collection[str]:
        """See `Waiting.names`."""
        return self.waiting.names(tenant)

    def resolve(self, tenant: str, identity: str, device: str) -> None:
        """See `Waiting.resolve`."""
        self.waiting.resolve(tenant, identity, device)

    def of(self, tenant: str, device: str) -> Iterator[Item]:
        """See `Waiting.of`."""
        return self.waiting.of(tenant, device)

    def count(self, tenant: str, device: str) -> int:
        """How many items wait for a device."""
        return self.waiting.count(tenant, device)

    def next_seq(self) -> int:
        """A number above those of all items."""
        self._seq = self._store.next_seq(self._seq)
        return self._seq

    # --- changes

    def _hear(self, items: list[Item]) -> None:
        """Another node has changed these."""
        for item in items:
            self._seq = max(self._seq, item.seq)
            is_new = item.id not in self._items
            self.keep(item)
            if is_new and item.state is ItemState.QUEUED:
                self.came(item)
            self.heard(item.id)

    def keep(self, item: Item) -> None:
        """Update an item in memory; one that has ended is removed."""
        if item.state.final:
            self._items.pop(item.id, None)
            self._way.forget(item.id)
        else:
            self._items[item.id] = item
            self._timetable.put(item)
        self.waiting.put(item)

    def recall(self, item: Item) -> None:
        """Bring an item back into memory if it has left it."""
        self._items.setdefault(item.id, item)

    def update(self, item: Item) -> None:
        """Update an item in memory, write it, and report the change."""
        self.keep(item)
        self._store.save([item]).addErrback(self._not_saved)
        self.tell(item)

    def _not_saved(self, failure: Failure) -> None:
        self._log.failure(
            "a downlink's state could not be written; a restart will restore the previous one", failure
        )

    def tell(self, item: Item) -> None:
        """Report that an item has changed."""
        detail = {"id": item.id, "msgType": item.spec.msg_type, "state": item.state.value}
        event = Event(
            item.updated_ms, f"downlink.{item.state.value.lower()}", "device", item.device, item.reason,
            item.tenant, "info", item.device, "", detail,
        )  # fmt: skip
        self._changed(event, item)

    # --- time

    def has_expired(self, item: Item) -> bool:
        """Whether an item's time to live is over. If so, the item ends."""
        if not self.is_over(item):
            return False
        if not self.ends_them():
            return True
        now = self.now_ms()
        if item.state is ItemState.QUEUED:
            self.update(item.change(ItemState.EXPIRED, now, "it could not be sent within its time to live"))
        else:
            self.update(
                item.change(ItemState.TIMEOUT, now, "sent, but no receipt came within its time to live")
            )
        return True

    def _look(self) -> None:
        """End expired items, drop those whose transport will not report any more, and offers that were never
        reported on."""
        now = self._steady_ms()
        self._way.tidy(self._clock.seconds())
        for item in self._timetable.due(now):
            if not is_awaited(item):
                if self._timetable.is_due(item, now):
                    del self._items[item.id]
                    self._way.arrived(item.id)
            elif not self._way.is_free(item.id):
                self._timetable.again(item, SteadyMs(now + int(SWEEP * 1000)))
            else:
                self.has_expired(item)
        self._sweep = self._clock.callLater(SWEEP, self._look)
