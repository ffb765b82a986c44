"""The outcomes of sent items: reports of their transports, and receipts of devices and networks."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger

from iotgw.core.downlink_item import (
    OFFERED,
    TRANSITIONS,
    Item,
    ItemState,
    Step,
    attempt_name,
    place_of,
)
from iotgw.core.model import Became
from iotgw.core.ports.downlinks import IDownlinkStore, Report
from iotgw.core.ports.speakers import ISpeakers
from iotgw.core.proof import Proved
from iotgw.downlinks import receipts
from iotgw.downlinks.early import EarlyReceipts
from iotgw.downlinks.in_transit import InTransit
from iotgw.downlinks.leaving import Leaving
from iotgw.downlinks.open_items import OpenItems

_STEPS: dict[Became, Step] = {
    "sent": "delivered", "delivered": "delivered", "acknowledged": "delivered", "lost": "lost", "refused": "failed",
}  # fmt: skip
"""What a network's receipt does to an item."""
_REPORTED: dict[Report, Step] = {
    "sent": "sent", "offered": "offered", "delivered": "delivered", "answered": "delivered", "lost": "lost",
    "refused": "failed", "carried out": "successful",
}  # fmt: skip
"""What a datasource's report does to one."""


class Outcomes:
    """Moves items to their next state, by `TRANSITIONS`."""

    _log = Logger()

    def __init__(
        self,
        store: IDownlinkStore,
        open_items: OpenItems,
        way: InTransit,
        leaving: Leaving,
        speakers: ISpeakers,
    ) -> None:
        self._store = store
        self._open = open_items
        self._way = way
        self._leaving = leaving
        self._speakers = speakers
        self._early = EarlyReceipts(open_items.now_ms)
        open_items.heard = self._heard

    def report(
        self, id: str, state: Report, reason: str, result: dict[str, Any] | None = None, network: str = ""
    ) -> None:
        """See `IDownlinks.outcome`."""
        item = self._open.items.get(id)
        if item is None:
            return
        self._way.back(id)
        if state == "offered":
            self._offered_as(item, reason, network)
            return
        if state == "answered":
            if not item.spec.confirmed:
                self._step(id, "delivered", reason, result=result)
        elif state == "returned":
            self._way.arrived(id)
        else:
            self._step(id, _REPORTED[state], reason, result=result)

    def _step(
        self,
        id: str,
        step: Step,
        reason: str,
        response: Any = None,
        result: dict[str, Any] | None = None,
        network: str = "",
    ) -> None:
        """A step of an open item."""
        item = self._open.items[id]
        self._way.back(id)
        following = TRANSITIONS.get((item.state, step))
        if following is None:
            return
        attempts = item.attempts
        if step in ("sent", "offered") or (step == "lost" and item.state is ItemState.QUEUED):
            attempts += 1
        if step == "lost" and attempts >= item.spec.max_attempts:
            following, reason = ItemState.FAILED, f"lost in {attempts} attempts: {reason}"
        now_ms = self._open.now_ms()
        was_pushed = self._way.was_pushed(id)
        result = item.result if result is None else result
        network = network or item.network
        if step == "offered" and not network:
            network = receipts.named_by_device(self._open.waiting.identity(item.tenant, item.device))
        self._open.update(
            item.change(
                following,
                now_ms,
                reason,
                attempts=attempts,
                response=response,
                result=result,
                network=network,
                is_with_network=step == "offered" or (item.is_with_network and following is ItemState.SENT),
            )
        )
        if step not in ("sent", "offered"):
            self._way.arrived(id)
        has_left = step in ("offered", "failed", "successful") and was_pushed
        has_answered = following is ItemState.DELIVERED or has_left
        if has_answered and item.device in self._open.names(item.tenant):
            ensureDeferred(self._leaving.follow(item.tenant, item.device, was_pushed)).addErrback(
                lambda failure: self._log.failure("the next downlink could not follow", failure)
            )

    def _offered_as(self, item: Item, reason: str, network: str) -> None:
        """A network has an item, and has told what it calls it: perhaps after its receipt."""
        self._step(item.id, "offered", reason, network=network)
        self._heard(item.id)

    def _heard(self, id: str) -> None:
        """A network has an item, as is known since now: what it has said of this attempt already counts."""
        item = self._open.items.get(id)
        if item is None or item.state is not ItemState.SENT:
            return
        for name in (item.network, attempt_name(id, item.attempts)):
            for became, why in self._early.pop((item.tenant, name)) if name else ():
                now = self._open.items.get(id)
                if now is not None:
                    self._receipt(now, became, why)

    def _name(self, tenant: str, device: str) -> str:
        """A device's name, from its name or its identity; if several share the identity, the latest one's."""
        return next(self._open.waiting.behind(tenant, device), device)

    async def confirmed(
        self,
        tenant: str,
        device: str,
        datasource: str,
        became: Became,
        reason: str,
        id: str,
        network: str = "",
        proved: Proved = "",
    ) -> bool:
        """See `IDownlinks.confirmed`."""
        items, attempt = self._open.items, 0
        if network:
            item = await self._store.of_network(tenant, network)
            if item is None:
                self._early.keep((tenant, network), (became, reason))
        elif id:
            item, attempt = await receipts.named(self._store, items, tenant, id)
        else:
            item = await self._meant(tenant, device, datasource, became, reason, proved)
        if item is None or self._speakers.taking_objection(tenant, datasource, item.device, proved):
            return False
        self._receipt(items.get(item.id, item), became, reason, attempt)
        await self._store.flushed()
        return True

    async def _meant(
        self, tenant: str, device: str, datasource: str, became: Became, reason: str, proved: Proved
    ) -> Item | None:
        """The item that a receipt is for which names only the device."""
        name, object_to = self._name(tenant, device), self._speakers.taking_objection
        found = await receipts.offered(self._store, self._open.items, tenant, name, device)
        known = [item for item in found if not object_to(tenant, datasource, item.device, proved)]
        if became == "acknowledged" and known:
            told = await receipts.told(self._store, tenant, known[0].device, reason)
            if told is not None:
                return told
        is_queue = len(known) > 1 and await self._leaving.is_queued_there(tenant, known[0].device)
        return receipts.meant([self._open.items.get(item.id, item) for item in known], became, is_queue)

    def _receipt(self, now: Item, became: Became, reason: str, attempt: int = 0) -> None:
        """A network's word on an item as it is now, or on one ``attempt`` at it; that the device has it counts, whichever it was."""
        step = _STEPS[became]
        place = place_of(0 if became in ("delivered", "acknowledged") else attempt, now)
        if place == "next" and step == "lost":  # before the answer to the call
            self._early.keep((now.tenant, attempt_name(now.id, now.attempts + 1)), (became, reason))
            return
        if place == "earlier":
            return
        if became == "sent" and now.spec.confirmed:  # the device's own word is still to come
            if now.state is ItemState.SENT and now.reason == OFFERED:
                self._open.recall(now)
                self._open.update(now.change(now.state, now.updated_ms, reason))
            return
        # an item that is lost already may be in transit again, or queued: this is no further attempt
        if now.state is ItemState.SENT or (now.state is ItemState.QUEUED and step != "lost"):
            self._open.recall(now)  # it may have left memory long ago
            self._step(now.id, step, reason)

    async def acknowledged(
        self,
        tenant: str,
        device: str,
        datasource: str,
        identity: str,
        ack: dict[str, Any],
        proved: Proved,
    ) -> None:
        """See `IDownlinks.acknowledged`: by item id, or the oldest of a message type that was sent."""
        known = dict.fromkeys((self._name(tenant, device), device, identity))
        object_to = self._speakers.taking_objection
        names = tuple(name for name in known if name and not object_to(tenant, datasource, name, proved))
        step: Step = "successful" if ack.get("success", True) else "failed"
        items, is_over = self._open.items, self._open.is_over
        item = await receipts.acknowledged(self._store, items, tenant, names, ack, is_over)
        if item is not None and (item.state, step) in TRANSITIONS:
            self._open.recall(item)  # it may have left memory long ago
            self._step(item.id, step, str(ack.get("error", "")), ack.get("response"))
