"""Downlink items in a database. Changes that arrive during a write are written together in the next one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.clock import PlainCalendar
from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.downlinks import IDownlinkStore, ItemQuery, JobItems
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.tenants import IForgetsTenants
from iotgw.core.times import DateMs
from iotgw.store.worker import StoreThread

T = TypeVar("T")
Encoded = tuple[Item, bytes]
"""An item, and what is stored of it."""
KEEP_MS = 30 * 86_400_000
"""Milliseconds that finished items are kept, as a record of what was sent."""
SWEEP = 3600.0
"""Seconds between two looks for such items, beside the one at the start."""
PAUSE = 1.0
"""Seconds between the steps of one look."""
STEP = 1000
"""Items of a step."""
_ALL = tuple(ItemState)
_LAST = 1 << 62
"""Higher than every position."""


@implementer(IDownlinkStore, IForgetsTenants)
class ItemStore:
    """What the stores of all databases have in common. ``calendar`` tells how old an item is. A subclass does what runs in the thread.

    Many methods: those of the port, and what each does in the thread.
    """

    def __init__(self, reactor: IThreadedClock, calendar: ICalendar | None = None) -> None:
        self._decode = msgspec.json.Decoder(Item).decode
        self._encode = msgspec.json.Encoder().encode
        self._reactor = reactor
        self._calendar: ICalendar = calendar or PlainCalendar(reactor)
        self._worker: StoreThread  # a thread does not outlast the fork of a daemon: made in `start`
        self._pending: dict[str, Encoded] = {}
        self._waiting: list[Deferred[None]] = []
        self._writing = False
        self._watchers: list[Callable[[list[Item]], None]] = []
        self._sweeping: IDelayedCall | None = None
        self._is_stopped = False

    def start(self) -> Deferred[None]:
        """See `IDownlinkStore.start`."""
        self._worker = StoreThread(self._reactor, "downlinks")
        self._sweep_in(SWEEP)
        return self._worker.call(self._open)

    def stop(self) -> Deferred[None]:
        """See `IDownlinkStore.stop`."""
        self._is_stopped = True
        if self._sweeping is not None and self._sweeping.active():
            self._sweeping.cancel()
        return self.flushed().addCallback(lambda _: self._worker.call(self._close))

    def between_commits(self, function: Callable[[], None]) -> None:
        """Run a function in the thread when nothing is half written."""
        self._worker.run(function)

    def save(self, items: list[Item]) -> Deferred[None]:
        """See `IDownlinkStore.save`."""
        self._pending.update({item.id: (item, self._encode(item)) for item in items})
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        self._write()
        return done

    def claim(self, id: str) -> Deferred[bool]:
        """See `IDownlinkStore.claim`: there is one node, unless a subclass knows of others."""
        return succeed(True)

    def next_seq(self, seq: int) -> int:
        """See `IDownlinkStore.next_seq`."""
        return seq + 1

    def watch(self, callback: Callable[[list[Item]], None]) -> None:
        """See `IDownlinkStore.watch`."""
        self._watchers.append(callback)

    def forget(self, id: str) -> None:
        """See `IDownlinkStore.forget`."""
        self._pending.pop(id, None)

    def flushed(self) -> Deferred[None]:
        """See `IDownlinkStore.flushed`."""
        return self.save([]) if self._writing or self._pending else succeed(None)

    def open_items(self) -> Deferred[list[Item]]:
        """See `IDownlinkStore.open_items`."""
        return self._worker.call(self._open_items)

    def last_seq(self) -> Deferred[int]:
        """See `IDownlinkStore.last_seq`."""
        return self._worker.call(self._last_seq)

    def get(self, id: str) -> Deferred[Item | None]:
        """See `IDownlinkStore.get`."""
        found = self._after_writes(lambda: self._of_id(id))
        return found.addCallback(lambda items: items[0] if items else None)

    def of_network(self, tenant: str, network: str) -> Deferred[Item | None]:
        """See `IDownlinkStore.of_network`."""
        found = self._after_writes(lambda: self._of_network(tenant, network) if network else [])
        return found.addCallback(lambda items: items[0] if items else None)

    def sent_as(self, tenant: str, network: str, limit: int) -> Deferred[list[Item]]:
        """See `IDownlinkStore.sent_as`."""
        return self._after_writes(lambda: self._sent_as(tenant, network, limit) if network else [])

    def of_device(self, tenant: str, device: str, limit: int) -> Deferred[list[Item]]:
        """See `IDownlinkStore.of_device`."""
        return self._after_writes(lambda: self._of_device(tenant, device, _ALL, _LAST, limit))

    def of_job(
        self, tenant: str, job: str, state: ItemState | None, after: int, limit: int
    ) -> Deferred[JobItems]:
        """See `IDownlinkStore.of_job`."""
        return self._after_writes(lambda: self._of_job(tenant, job, state, after, limit))

    def find(self, tenant: str, query: ItemQuery) -> Deferred[list[Item]]:
        """See `IDownlinkStore.find`."""
        return self._after_writes(lambda: self._find(tenant, query))

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`. Open items are the queue's, and are withdrawn before."""
        return self._after_writes(lambda: self._forget_tenant(tenant))

    def _after_writes(self, read: Callable[[], T]) -> Deferred[T]:
        return self.flushed().addBoth(lambda _: self._worker.call(read))

    # --- in the reactor's thread ---

    def _write(self) -> None:
        if self._writing:
            return
        self._writing = True
        rows, self._pending = list(self._pending.values()), {}
        waiting, self._waiting = self._waiting, []
        self._worker.call(self._commit, rows).addCallbacks(
            self._written, self._not_written, callbackArgs=(waiting,), errbackArgs=(waiting, rows)
        )

    def _written(self, _: None, waiting: list[Deferred[None]]) -> None:
        self._writing = False
        if self._pending or self._waiting:
            self._write()
        for done in waiting:
            done.callback(None)

    def _not_written(self, failure: Failure, waiting: list[Deferred[None]], rows: list[Encoded]) -> None:
        """Keep rows pending that could not be written. They go with the next change, unless a newer version of them
        does."""
        self._writing = False
        for row in rows:
            self._pending.setdefault(row[0].id, row)
        for done in waiting:
            done.errback(failure)
        if self._waiting:  # changes that came meanwhile are written by another attempt
            self._write()

    def _sweep_in(self, seconds: float) -> None:
        if not self._is_stopped:
            self._sweeping = self._reactor.callLater(seconds, self._sweep)

    def _sweep(self) -> None:
        """Delete what is old, a few items at a time."""
        looking = self._worker.call(self._over, DateMs(self._calendar.now_ms() - KEEP_MS), STEP)
        looking.addCallback(self._drop_old).addCallbacks(
            lambda is_more: self._sweep_in(PAUSE if is_more else SWEEP), lambda _: self._sweep_in(SWEEP)
        )

    def _drop_old(self, over: list[tuple[str, DateMs]]) -> Deferred[bool]:
        """Fires with whether there is more; a date that jumped makes nothing old."""
        gone = [id for id, updated_ms in over if self._is_old(updated_ms)]
        if self._is_stopped or not gone:
            return succeed(False)
        return self._worker.call(self._delete, gone).addCallback(lambda _: len(over) == STEP)

    # --- in the worker's thread ---

    def _is_old(self, date_ms: int) -> bool:
        return self._calendar.moment_ms(DateMs(date_ms)) < self._reactor.seconds() * 1000 - KEEP_MS

    def _find(self, tenant: str, query: ItemQuery) -> list[Item]:
        states, before = query.states or _ALL, query.before or _LAST
        if query.device:
            return self._of_device(tenant, query.device, states, before, query.limit)
        found = [item for state in states for item in self._in_state(tenant, state, before, query.limit)]
        return sorted(found, key=lambda item: -item.seq)[: query.limit]

    @abstractmethod
    def _open(self) -> None:
        """Open the database, and delete what is old."""

    @abstractmethod
    def _close(self) -> None:
        """Close it, and stop the thread."""

    @abstractmethod
    def _commit(self, items: list[Encoded]) -> None:
        """Write these items, durably."""

    @abstractmethod
    def _over(self, before: DateMs, limit: int) -> list[tuple[str, DateMs]]:
        """Ids of items that are over since a date, with their last dates, oldest first. One that was sent is over when its time to live is."""

    @abstractmethod
    def _delete(self, ids: list[str]) -> None:
        """Delete these items."""

    @abstractmethod
    def _forget_tenant(self, tenant: str) -> int:
        """Delete a tenant's items; how many these were."""

    @abstractmethod
    def _last_seq(self) -> int:
        """See `IDownlinkStore.last_seq`."""

    @abstractmethod
    def _open_items(self) -> list[Item]:
        """See `IDownlinkStore.open_items`."""

    @abstractmethod
    def _of_id(self, id: str) -> list[Item]:
        """The item with this id, if there is one."""

    @abstractmethod
    def _of_network(self, tenant: str, network: str) -> list[Item]:
        """The latest item with this name of a network, if there is one."""

    @abstractmethod
    def _sent_as(self, tenant: str, network: str, limit: int) -> list[Item]:
        """The SENT items with this name of a network, oldest first."""

    @abstractmethod
    def _of_device(
        self, tenant: str, device: str, states: Sequence[ItemState], before: int, limit: int
    ) -> list[Item]:
        """A device's items in these states with a lower position than ``before``, newest first."""

    @abstractmethod
    def _in_state(self, tenant: str, state: ItemState, before: int, limit: int) -> list[Item]:
        """A tenant's items in a state with a lower position than ``before``, newest first."""

    @abstractmethod
    def _of_job(self, tenant: str, job: str, state: ItemState | None, after: int, limit: int) -> JobItems:
        """See `IDownlinkStore.of_job`."""
