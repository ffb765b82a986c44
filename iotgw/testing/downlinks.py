"""`IDownlinks` and `IDownlinkQueue` in a dict: the life of an item without disk, converter or timers."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Callable, Collection, Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from iotgw.core import downlink_item
from iotgw.core.downlink_item import TRANSITIONS, Item, ItemState, Step, id_in_job, payload
from iotgw.core.errors import Conflict, NotFound, Unavailable
from iotgw.core.model import Became, Downlink
from iotgw.core.ports.downlinks import IDownlinkQueue, IDownlinks, ItemQuery, JobItems, Report
from iotgw.core.ports.intake import Send
from iotgw.core.ports.speakers import ISpeakers
from iotgw.core.proof import Proved
from iotgw.core.speakers import Anybody
from iotgw.core.specs import DownlinkSpec
from iotgw.testing.downlink_store import as_it_leaves, is_void, items_found, job_items, network_has
from iotgw.testing.reactor import clock as new_clock

Key = tuple[str, str]
_STEPS: dict[Report, Step] = {
    "sent": "sent", "offered": "offered", "delivered": "delivered", "answered": "delivered", "lost": "lost",
    "refused": "failed", "carried out": "successful",
}  # fmt: skip
"""What a report does to an item."""


@implementer(IDownlinks, IDownlinkQueue)
class MemoryDownlinks:
    """Every device's queue.

    ``items`` are all items ever queued, by id (``dl1``, ``dl2``, …). ``identities`` maps a tenant and a
    device's name to the device's identity at its datasource. Times to live are checked whenever the queue is
    used. ``capacity`` bounds the open items. While ``held`` is a list, `take` answers when a test calls the
    functions in it. ``unfit`` are payloads at which a downlink converter fails; these items stay queued.
    ``reports`` are the calls of `outcome`.

    Many methods: it has the two sides of the queue's ports.
    """

    def __init__(
        self, clock: IReactorTime | None = None, capacity: int = 1_000, speakers: ISpeakers | None = None
    ) -> None:
        self._clock = clock or new_clock()
        self._capacity = capacity
        self.items: dict[str, Item] = {}
        self.identities: dict[Key, str] = {}
        self.held: builtins.list[Callable[[], None]] | None = None
        self.unfit: set[bytes] = set()
        self.reports: builtins.list[tuple[str, str]] = []
        self.receipts: builtins.list[tuple[str, str, dict[str, Any]]] = []
        """The calls of `acknowledged`: device, identity, receipt."""
        self.listeners: builtins.list[tuple[Key, Callable[[], None]]] = []
        self.woken: builtins.list[str] = []
        """The datasources that asked for what waits."""
        self._early: dict[str, builtins.list[tuple[Became, str]]] = {}
        self._away: set[str] = set()
        """What was taken, until it is reported."""
        self._sessions: builtins.list[tuple[Key, Send, str, Proved]] = []
        self.speakers: ISpeakers = speakers or Anybody()
        self._seq = itertools.count(1)

    # --- IDownlinkQueue ---

    async def push(self, tenant: str, device: str, spec: DownlinkSpec, job: str = "") -> Item:
        """See `IDownlinkQueue.push`."""
        if job and (known := self.items.get(id_in_job(job, tenant, device))) is not None:
            return known
        waiting = self._waiting(tenant, device) if spec.policy == "last" else []
        replaced = [item for item in waiting if item.id not in self._away]
        return self._exchange(tenant, device, [spec], replaced, "replaced by a later item", job)[0]

    async def replace(
        self, tenant: str, device: str, specs: builtins.list[DownlinkSpec]
    ) -> builtins.list[Item]:
        """See `IDownlinkQueue.replace`."""
        return self._exchange(tenant, device, specs, self._waiting(tenant, device), "replaced")

    async def clear(self, tenant: str, device: str) -> int:
        """See `IDownlinkQueue.clear`."""
        waiting = self._waiting(tenant, device)
        self._exchange(tenant, device, [], waiting, "cleared")
        return len(waiting)

    async def of_job(
        self, tenant: str, job: str, state: ItemState | None = None, after: int = 0, limit: int = 100
    ) -> JobItems:
        """See `IDownlinkQueue.of_job`."""
        self._expire()
        found = [item for item in self.items.values() if job and (item.tenant, item.job) == (tenant, job)]
        return job_items(found, state, after, limit)

    async def clear_job(self, tenant: str, job: str) -> int:
        """See `IDownlinkQueue.clear_job`."""
        found = (await self.of_job(tenant, job, ItemState.QUEUED, limit=len(self.items))).items
        for item in found:
            self._change(item, ItemState.DELETED, "cancelled")
        return len(found)

    async def cancel(self, tenant: str, id: str) -> Item:
        """See `IDownlinkQueue.cancel`."""
        item = self._get(tenant, id)
        if item.state.final:
            raise Conflict(f"expected an open item, this one is {item.state.value}")
        return self._change(item, ItemState.DELETED, "cancelled")

    async def get(self, tenant: str, id: str) -> Item:
        """See `IDownlinkQueue.get`."""
        return self._get(tenant, id)

    async def list(self, tenant: str, device: str, limit: int = 100) -> builtins.list[Item]:
        """See `IDownlinkQueue.list`."""
        waiting = self._waiting(tenant, device)
        others = [item for item in self._of(tenant, device) if item not in waiting]
        return [*waiting, *reversed(others)][:limit]

    async def find(self, tenant: str, query: ItemQuery) -> builtins.list[Item]:
        """See `IDownlinkQueue.find`."""
        self._expire()
        return items_found([item for item in self.items.values() if item.tenant == tenant], query)

    def depth(self) -> int:
        """See `IDownlinkQueue.depth`."""
        return sum(not item.state.final for item in self.items.values())

    # --- IDownlinks ---

    def waited_for(self, tenant: str) -> Collection[str]:
        """See `IDownlinks.waited_for`."""
        devices = {item.device for item in self.items.values() if item.tenant == tenant and _is_awaited(item)}
        return devices | {
            identity
            for (owner, name), identity in self.identities.items()
            if owner == tenant and name in devices
        }

    def waits(self, tenant: str, device: str, datasource: str, proved: Proved = "") -> bool:
        """See `IDownlinks.waits`."""
        object_to = self.speakers.objection
        waiting = self._waiting(tenant, device)
        return any(not object_to(tenant, datasource, item.device, proved) for item in waiting)

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
        taken = self._take(tenant, device, limit, "async", datasource, proved)
        if self.held is None:
            done(taken)
        else:
            self.held.append(lambda: done(taken))

    def outcome(
        self,
        downlink_id: str,
        state: Report,
        reason: str = "",
        result: dict[str, Any] | None = None,
        network: str = "",
    ) -> None:
        """See `IDownlinks.outcome`."""
        self.reports.append((downlink_id, state))
        item = self.items.get(downlink_id)
        if item is None:
            return
        self._away.discard(downlink_id)
        if state == "returned" or (state == "answered" and item.spec.confirmed):
            return
        step = _STEPS[state]
        self._report(item, step, reason, result=result, network=network or item.network)
        for name in (network, downlink_item.attempt_name(item.id, item.attempts + 1)):
            for became, why in self._early.pop(name, ()) if state == "offered" else ():
                self.confirmed(
                    item.tenant, "", "", became, why, downlink_item.attempt_name(item.id, item.attempts + 1)
                )

    def is_waiting(self, downlink_id: str) -> bool:
        """See `IDownlinks.is_waiting`."""
        item = self.items.get(downlink_id)
        return item is not None and item in self._waiting(item.tenant, item.device)

    def wake(self, datasource: str) -> None:
        """See `IDownlinks.wake`: recorded only."""
        self.woken.append(datasource)

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
        attempt = 0
        if network:
            found = [each for each in self.items.values() if (each.network, each.tenant) == (network, tenant)]
            if not found:
                self._early.setdefault(network, []).append((became, reason))
        elif item:
            id, attempt = downlink_item.attempt_of(item)
            found = [each for each in self.items.values() if (each.id, each.tenant) == (id, tenant)]
        else:
            found = network_has(self._of(tenant, device), became)
        object_to = self.speakers.taking_objection
        found = [each for each in found if not object_to(tenant, datasource, each.device, proved)]
        if found:
            latest = max(found, key=lambda each: each.updated_ms)
            step: Step = "failed" if became == "refused" else "lost" if became == "lost" else "delivered"
            place = downlink_item.place_of(0 if became in ("delivered", "acknowledged") else attempt, latest)
            if place == "next":
                self._early.setdefault(item, []).append((became, reason))
            elif place == "latest" and not is_void(latest, became):
                self._report(latest, step, reason)
        return succeed(bool(found))

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
        self.receipts.append((device, identity, ack))
        for item in [*self._of(tenant, device), *self._of(tenant, identity)]:
            if self.speakers.objection(tenant, datasource, item.device, proved):
                continue
            sent = item.state in (ItemState.SENT, ItemState.DELIVERED) and item.expires_ms > self._now_ms()
            if item.id == ack.get("id") or (
                "id" not in ack and sent and item.spec.msg_type == ack.get("msgType")
            ):
                state: Step = "successful" if ack.get("success", True) else "failed"
                return self._report(item, state, str(ack.get("error", "")), response=ack.get("response"))
        return None

    def reachable(
        self, tenant: str, device: str, datasource: str, send: Send, proved: Proved = ""
    ) -> Callable[[], None]:
        """See `IDownlinks.reachable`."""
        session = ((tenant, device), send, datasource, proved)
        self._sessions.append(session)
        return lambda: self._sessions.remove(session)

    def listen(self, tenant: str, device: str, callback: Callable[[], None]) -> Callable[[], None]:
        """See `IDownlinks.listen`."""
        entry = ((tenant, device), callback)
        self.listeners.append(entry)
        return lambda: self.listeners.remove(entry)

    # --- how ---

    def _exchange(
        self,
        tenant: str,
        device: str,
        specs: builtins.list[DownlinkSpec],
        replaced: builtins.list[Item],
        reason: str,
        job: str = "",
    ) -> builtins.list[Item]:
        for spec in specs:
            payload(spec)
        if len(specs) > len(replaced) and self.depth() + len(specs) - len(replaced) > self._capacity:
            raise Unavailable(f"expected at most {self._capacity} open items in all")
        for item in replaced:
            self._change(item, ItemState.DELETED, reason)
        new = [self._new(tenant, device, spec, job) for spec in specs]
        for item in new:
            for (owner, name), callback in tuple(self.listeners):
                if owner == tenant and name in self._names(tenant, device):
                    callback()
            if item.spec.mode != "sync":
                self._send_now(item)
        return [self.items[item.id] for item in new]

    def _new(self, tenant: str, device: str, spec: DownlinkSpec, job: str = "") -> Item:
        seq, now = next(self._seq), self._now_ms()
        expires = now + int(spec.ttl * 1000)
        id = id_in_job(job, tenant, device) if job else f"dl{seq}"
        item = Item(id, seq, tenant, device, spec, ItemState.QUEUED, now, now, expires, job=job)
        self.items[item.id] = item
        return item

    def _send_now(self, item: Item) -> None:
        """Send to the device's session, if it has one."""
        for (owner, name), send, datasource, proved in reversed(self._sessions):
            may = not self.speakers.objection(owner, datasource, item.device, proved)
            if may and owner == item.tenant and name in self._names(item.tenant, item.device):
                taken = self._take(item.tenant, item.device, 1, "sync", datasource, proved)
                if taken:
                    send(taken)
                return

    def _take(
        self, tenant: str, device: str, limit: int, unless: str, datasource: str, proved: Proved
    ) -> tuple[Downlink, ...]:
        object_to = self.speakers.objection
        taken = [
            item
            for item in self._waiting(tenant, device)
            if not object_to(tenant, datasource, item.device, proved)
            and item.id not in self._away
            and item.spec.mode != unless
            and payload(item.spec) not in self.unfit
        ][:limit]
        self._away.update(item.id for item in taken)
        return tuple(map(as_it_leaves, taken))

    def _report(
        self,
        item: Item,
        state: Step,
        reason: str,
        response: Any = None,
        result: dict[str, Any] | None = None,
        network: str = "",
    ) -> None:
        following = TRANSITIONS.get((item.state, state))
        if following is None:
            return
        attempts = item.attempts + (
            state in ("sent", "offered") or (state == "lost" and item.state is ItemState.QUEUED)
        )
        if state == "lost" and attempts >= item.spec.max_attempts:
            following, reason = ItemState.FAILED, f"lost in {attempts} attempts: {reason}"
        result = item.result if result is None else result
        stays = item.is_with_network and following is ItemState.SENT
        self._change(
            item, following, reason, attempts=attempts, response=response, result=result,
            network=network or item.network, is_with_network=state == "offered" or stays,
        )  # fmt: skip
        if following is ItemState.DELIVERED:
            self._send_now(item)

    def _change(self, item: Item, state: ItemState, reason: str, **more: Any) -> Item:
        self.items[item.id] = changed = item.change(state, self._now_ms(), reason, **more)
        if state.final:
            self._away.discard(item.id)
        return changed

    def _get(self, tenant: str, id: str) -> Item:
        self._expire()
        item = self.items.get(id)
        if item is None or item.tenant != tenant:
            raise NotFound(f"there is no downlink {id!r}")
        return item

    def _of(self, tenant: str, device: str) -> Iterator[Item]:
        """A device's items, by its name or its identity."""
        self._expire()
        for item in list(self.items.values()):
            if item.tenant == tenant and device in self._names(tenant, item.device):
                yield item

    def _waiting(self, tenant: str, device: str) -> builtins.list[Item]:
        found = [item for item in self._of(tenant, device) if _is_awaited(item) and not item.is_with_network]
        return sorted(found, key=lambda item: item.order)

    def _names(self, tenant: str, device: str) -> tuple[str, ...]:
        return tuple(filter(None, (device, self.identities.get((tenant, device), ""))))

    def _expire(self) -> None:
        now = self._now_ms()
        for item in list(self.items.values()):
            if not item.state.final and item.expires_ms <= now and _is_awaited(item):
                is_queued = item.state is ItemState.QUEUED
                self._change(
                    item, ItemState.EXPIRED if is_queued else ItemState.TIMEOUT, "its time to live is over"
                )

    def _now_ms(self) -> int:
        return int(self._clock.seconds() * 1000)


def _is_awaited(item: Item) -> bool:
    return item.state is ItemState.QUEUED or (item.spec.confirmed and item.state is ItemState.SENT)
