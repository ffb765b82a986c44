"""`IDownlinkStore` in a dict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.downlink_item import Item, ItemState, payload
from iotgw.core.model import Became, Downlink
from iotgw.core.ports.downlinks import IDownlinkStore, ItemQuery, JobItems


@implementer(IDownlinkStore)
class MemoryDownlinkStore:
    """``items`` are what is written, by id: what another store of the same dict begins with. While ``problem`` is set,
    nothing can be written, and `save` fails with it; what failed is written with the next change."""

    def __init__(self, items: dict[str, Item] | None = None) -> None:
        self.items = {} if items is None else items
        self.problem: Exception | None = None
        self._pending: dict[str, Item] = {}

    def start(self) -> Deferred[None]:
        """See `IDownlinkStore.start`."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See `IDownlinkStore.stop`."""
        return self.flushed()

    def save(self, items: list[Item]) -> Deferred[None]:
        """See `IDownlinkStore.save`."""
        self._pending |= {item.id: item for item in items}
        if self.problem is not None:
            return fail(self.problem)
        self.items |= self._pending
        self._pending = {}
        return succeed(None)

    def claim(self, id: str) -> Deferred[bool]:
        """See `IDownlinkStore.claim`."""
        return succeed(True)

    def next_seq(self, seq: int) -> int:
        """See `IDownlinkStore.next_seq`."""
        return seq + 1

    def watch(self, callback: Callable[[list[Item]], None]) -> None:
        """See `IDownlinkStore.watch`: there is nobody else."""

    def forget(self, id: str) -> None:
        """See `IDownlinkStore.forget`."""
        self._pending.pop(id, None)

    def flushed(self) -> Deferred[None]:
        """See `IDownlinkStore.flushed`."""
        return self.save([]) if self._pending else succeed(None)

    def open_items(self) -> Deferred[list[Item]]:
        """See `IDownlinkStore.open_items`."""
        return succeed([item for item in self._by_age() if not item.state.final])

    def last_seq(self) -> Deferred[int]:
        """See `IDownlinkStore.last_seq`."""
        return succeed(max((item.seq for item in self.items.values()), default=0))

    def get(self, id: str) -> Deferred[Item | None]:
        """See `IDownlinkStore.get`."""
        return succeed(self.items.get(id))

    def of_network(self, tenant: str, network: str) -> Deferred[Item | None]:
        """See `IDownlinkStore.of_network`."""
        found = [
            item for item in self._by_age() if network and (item.tenant, item.network) == (tenant, network)
        ]
        return succeed(found[-1] if found else None)

    def sent_as(self, tenant: str, network: str, limit: int) -> Deferred[list[Item]]:
        """See `IDownlinkStore.sent_as`."""
        found = [
            item
            for item in self._by_age()
            if network and (item.tenant, item.network, item.state) == (tenant, network, ItemState.SENT)
        ]
        return succeed(found[:limit])

    def of_device(self, tenant: str, device: str, limit: int) -> Deferred[list[Item]]:
        """See `IDownlinkStore.of_device`."""
        found = [item for item in self._by_age() if (item.tenant, item.device) == (tenant, device)]
        return succeed(found[::-1][:limit])

    def of_job(
        self, tenant: str, job: str, state: ItemState | None, after: int, limit: int
    ) -> Deferred[JobItems]:
        """See `IDownlinkStore.of_job`."""
        found = [item for item in self._by_age() if job and (item.tenant, item.job) == (tenant, job)]
        return succeed(job_items(found, state, after, limit))

    def find(self, tenant: str, query: ItemQuery) -> Deferred[list[Item]]:
        """See `IDownlinkStore.find`."""
        return succeed(items_found([item for item in self._by_age() if item.tenant == tenant], query))

    def _by_age(self) -> list[Item]:
        return sorted(self.items.values(), key=lambda item: item.seq)


def job_items(found: list[Item], state: ItemState | None, after: int, limit: int) -> JobItems:
    """What a job queued, of all its items in order."""
    states = Counter(item.state.value for item in found)
    wanted = [item for item in found if item.seq > after and state in (None, item.state)]
    return JobItems(dict(sorted(states.items())), wanted[:limit])


def items_found(items: list[Item], query: ItemQuery) -> list[Item]:
    """Those of a tenant's items, oldest first, that a query is about."""
    wanted = [
        item
        for item in reversed(items)
        if (not query.states or item.state in query.states)
        and query.device in ("", item.device)
        and (not query.before or item.seq < query.before)
    ]
    return wanted[: query.limit]


def as_it_leaves(item: Item) -> Downlink:
    """An item that is sent, as it is without a converter."""
    spec = item.spec
    return Downlink(
        item.id,
        item.device,
        payload(spec) or b"",
        spec.content_type,
        spec.metadata,
        attempt=item.attempts + 1,
    )


def is_void(item: Item, became: Became) -> bool:
    """Whether a network's word changes nothing: the item is lost already, or the device's own word is still to come."""
    return item.state is ItemState.QUEUED if became == "lost" else became == "sent" and item.spec.confirmed


def network_has(items: Iterable[Item], became: Became) -> list[Item]:
    """Those that a network has, of which a word may be that names none of them."""
    sent = [item for item in items if item.state is ItemState.SENT]
    return [item for item in sent if item.spec.confirmed or became != "acknowledged"]
