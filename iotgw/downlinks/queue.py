"""The downlink queue: the items waiting for each device, and their outcomes.

The open items are in memory and on disk. A new item is reported as queued only after it is written, and an item
is marked as sent only after it was sent. So a crash in between may send an item twice, but never loses one.

Items are queued by `ItemExchange`, wait in `OpenItems`, are sent by `Leaving`, and end by `Outcomes`.
`InTransit` knows which of them are in transit.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.clock import PlainCalendar
from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.errors import Conflict, NotFound
from iotgw.core.model import Became, Downlink
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.downlinks import IDownlinkQueue, IDownlinks, IDownlinkStore, ItemQuery, JobItems, Report
from iotgw.core.ports.intake import Send
from iotgw.core.ports.nodes import ILeases
from iotgw.core.ports.speakers import ISpeakers
from iotgw.core.proof import Proved
from iotgw.core.speakers import Anybody
from iotgw.core.specs import DownlinkSpec
from iotgw.downlinks.exchange import ItemExchange
from iotgw.downlinks.in_transit import InTransit
from iotgw.downlinks.leaving import Encode, Find, Leaving
from iotgw.downlinks.open_items import Changed, OpenItems
from iotgw.downlinks.outcomes import Outcomes
from iotgw.downlinks.waiting import may_leave
from iotgw.downlinks.waking import EVERY, Waking

ENDS = "downlinks/ends"
"""The lease of the node that ends items whose time to live is over."""
AT_ONCE = 200
"""Items of a job that are cancelled between two breaths."""


@implementer(IDownlinks, IDownlinkQueue)
class DownlinkQueue:
    """Every device's queue.

    Many methods: it has those of two ports, `IDownlinks` and `IDownlinkQueue`.
    """

    _log = Logger()

    def __init__(
        self,
        store: IDownlinkStore,
        encode: Encode,
        find: Find,
        changed: Changed,
        clock: IReactorTime,
        calendar: ICalendar | None = None,
        speakers: ISpeakers | None = None,
        leases: ILeases | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        way = InTransit()
        self._open = OpenItems(store, way, changed, clock, calendar or PlainCalendar(clock))
        speakers = speakers or Anybody()
        self._leaving = Leaving(self._open, way, encode, find, clock, speakers, store)
        self._waking = Waking(self._open, self._leaving.wake)
        self._open.came = self._came
        if leases is not None:
            leases.seek(ENDS, lambda: None)
            self._open.ends_them = lambda: leases.holds(ENDS)
        self._exchange = ItemExchange(store, self._open, way, self._leaving.try_now)
        self._outcomes = Outcomes(store, self._open, way, self._leaving, speakers)

    def _came(self, item: Item) -> None:
        """Another node has queued an item: its device may be here."""
        sent = ensureDeferred(self._leaving.try_now(item))
        sent.addErrback(lambda failure: self._log.failure("a downlink could not be sent", failure))

    # --- life ---

    async def start(self) -> None:
        """Load the open items."""
        await self._store.start()
        await self._open.start()

    async def stop(self) -> None:
        """Write pending changes."""
        self._waking.stop()
        self._open.stop()
        await self._store.stop()

    def hold(self) -> None:
        """Let nothing leave until `release`."""
        self._leaving.hold()

    def release(self) -> None:
        """Let items leave: with the next uplink, or at once where a device can be reached."""
        self._leaving.let_go()
        self._waking.wake(EVERY)

    # --- for users ---

    async def push(self, tenant: str, device: str, spec: DownlinkSpec, job: str = "") -> Item:
        """See `IDownlinkQueue.push`."""
        return await self._exchange.push(tenant, device, spec, job)

    async def replace(
        self, tenant: str, device: str, specs: builtins.list[DownlinkSpec]
    ) -> builtins.list[Item]:
        """See `IDownlinkQueue.replace`."""
        return await self._exchange.replace(tenant, device, specs)

    async def clear(self, tenant: str, device: str) -> int:
        """See `IDownlinkQueue.clear`."""
        return await self._exchange.clear(tenant, device)

    async def of_job(
        self, tenant: str, job: str, state: ItemState | None = None, after: int = 0, limit: int = 100
    ) -> JobItems:
        """See `IDownlinkQueue.of_job`."""
        return await self._store.of_job(tenant, job, state, after, limit)

    async def clear_job(self, tenant: str, job: str) -> int:
        """See `IDownlinkQueue.clear_job`."""
        count, items = 0, self._open.items
        queued = [item.id for item in items.values() if (item.job, item.tenant) == (job, tenant)]
        for at, id in enumerate(queued):
            item = items.get(id)
            if item is not None and item.state is ItemState.QUEUED:
                self._open.update(item.change(ItemState.DELETED, self._open.now_ms(), "cancelled"))
                count += 1
            if at % AT_ONCE == AT_ONCE - 1:
                await deferLater(self._clock, 0)
        await self._store.flushed()
        return count

    async def cancel(self, tenant: str, id: str) -> Item:
        """See `IDownlinkQueue.cancel`."""
        item = await self.get(tenant, id)
        if item.state.final:
            raise Conflict(f"expected an open item, this one is {item.state.value}")
        gone = item.change(ItemState.DELETED, self._open.now_ms(), "cancelled")
        self._open.update(gone)
        await self._store.flushed()
        return gone

    async def get(self, tenant: str, id: str) -> Item:
        """See `IDownlinkQueue.get`: open or over."""
        item = self._open.items.get(id) or await self._store.get(id)
        if item is None or item.tenant != tenant:
            raise NotFound(f"there is no downlink {id!r}")
        return item

    async def list(self, tenant: str, device: str, limit: int = 100) -> builtins.list[Item]:
        """See `IDownlinkQueue.list`: the open ones in the order in which they will leave, then the latest others."""
        waiting = [*self._open.of(tenant, device)]
        known = {item.id for item in waiting}
        past = await self._store.of_device(tenant, device, limit)
        return [*waiting, *(item for item in past if item.id not in known)][:limit]

    async def find(self, tenant: str, query: ItemQuery) -> builtins.list[Item]:
        """See `IDownlinkQueue.find`."""
        return await self._store.find(tenant, query)

    def depth(self) -> int:
        """See `IDownlinkQueue.depth`."""
        return len(self._open.items)

    # --- for the pipeline ---

    def waited_for(self, tenant: str) -> Collection[str]:
        """See `IDownlinks.waited_for`."""
        return () if self._leaving.is_held else self._open.names(tenant)

    def waits(self, tenant: str, device: str, datasource: str, proved: Proved = "") -> bool:
        """See `IDownlinks.waits`."""
        return self._leaving.whose(tenant, device, datasource, proved) is not None

    def take(
        self,
        tenant: str,
        device: str,
        datasource: str,
        limit: int,
        done: Callable[[tuple[Downlink, ...]], None],
        proved: Proved = "",
    ) -> None:
        """See `IDownlinks.take`."""
        taken = self._leaving.take(tenant, device, datasource, limit, with_uplink=True, proved=proved)
        ensureDeferred(taken).addErrback(self._could_not_take).addCallback(done)

    def _could_not_take(self, failure: Failure) -> tuple[Downlink, ...]:
        self._log.failure("downlinks could not be taken", failure)
        return ()

    def outcome(
        self,
        downlink_id: str,
        state: Report,
        reason: str = "",
        result: dict[str, Any] | None = None,
        network: str = "",
    ) -> None:
        """See `IDownlinks.outcome`."""
        self._outcomes.report(downlink_id, state, reason, result, network)

    def is_waiting(self, downlink_id: str) -> bool:
        """See `IDownlinks.is_waiting`."""
        item = self._open.items.get(downlink_id)
        return item is not None and may_leave(item) and not self._open.has_expired(item)

    def wake(self, datasource: str) -> None:
        """See `IDownlinks.wake`."""
        self._waking.wake(datasource)

    def confirmed(
        self,
        tenant: str,
        device: str,
        datasource: str,
        became: Became,
        reason: str = "",
        item: str = "",
        network: str = "",
        proved: Proved = "",
    ) -> Deferred[bool]:
        """See `IDownlinks.confirmed`."""
        found = ensureDeferred(
            self._outcomes.confirmed(tenant, device, datasource, became, reason, item, network, proved)
        )
        return found.addErrback(self._not_taken)

    def _not_taken(self, failure: Failure) -> Failure:
        self._log.failure("a downlink's confirmation was not taken", failure)
        return failure

    def acknowledged(
        self,
        tenant: str,
        device: str,
        datasource: str,
        identity: str,
        ack: dict[str, Any],
        proved: Proved = "",
    ) -> None:
        """See `IDownlinks.acknowledged`."""
        taken = self._outcomes.acknowledged(tenant, device, datasource, identity, ack, proved)
        ensureDeferred(taken).addErrback(
            lambda failure: self._log.failure("a downlink's receipt was not taken", failure)
        )

    def reachable(
        self, tenant: str, device: str, datasource: str, send: Send, proved: Proved = ""
    ) -> Callable[[], None]:
        """See `IDownlinks.reachable`."""
        return self._leaving.reachable(tenant, device, datasource, send, proved)

    def listen(self, tenant: str, device: str, callback: Callable[[], None]) -> Callable[[], None]:
        """See `IDownlinks.listen`."""
        return self._leaving.listen(tenant, device, callback)
