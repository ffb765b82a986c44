"""Work that people wait for, a tenant at a time: nobody waits for what another tenant's scripts do.

Tenants take turns. One tenant has all places but one, and so much work at a time, waiting or under way; what is beyond its
share is refused.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from iotgw.converters.slot import Slot, Work
from iotgw.converters.trial import TryWork
from iotgw.core.errors import TooMany

SHARE = 8
"""Saves, or trials, of one tenant at a time."""
PLACES = 2


class MakeSlot(Protocol):
    """`iotgw.converters.pool.WorkerPool.slot`."""

    def __call__(self, name: str, more: Callable[[], Work | None], depth: int) -> Slot: ...  # noqa: D102


class Desk:
    """A worker for each of ``names``. ``what`` is what the work is called where it is refused: ``saves``."""

    def __init__(
        self, reactor: IReactorTime, make_slot: MakeSlot, names: Sequence[str], what: str, share: int = SHARE
    ) -> None:
        self._reactor = reactor
        self._what = what
        self._share = share
        self._most = max(1, len(names) - 1)
        self._waiting: OrderedDict[str, deque[TryWork]] = OrderedDict()
        """By tenant; whose turn is next stands first."""
        self._running: Counter[str] = Counter()
        self._slots = [make_slot(name, self._next, depth=1) for name in names]

    def put(self, tenant: str, work: TryWork) -> Deferred[dict[str, Any]]:
        """Do this as soon as it is the tenant's turn; returns the work's answer. Raises TooMany."""
        waiting = len(self._waiting.get(tenant, ()))
        if waiting + self._running[tenant] >= self._share:
            raise TooMany(
                f"expected at most {self._share} {self._what} of a tenant at a time; wait for those that are under way"
            )
        self._waiting.setdefault(tenant, deque()).append(work)
        work.answer.addBoth(self._ended, tenant)
        self._pump()
        return work.answer

    def _next(self) -> Work | None:
        for tenant, waiting in self._waiting.items():
            if self._running[tenant] < self._most:
                work = waiting.popleft()
                if waiting:
                    self._waiting.move_to_end(tenant)
                else:
                    del self._waiting[tenant]
                self._running[tenant] += 1
                return work
        return None

    def _ended(self, result: Any, tenant: str) -> Any:
        self._running[tenant] -= 1
        if not self._running[tenant]:
            del self._running[tenant]
        self._reactor.callLater(0, self._pump)  # not within the slot that is telling this
        return result

    def _pump(self) -> None:
        for slot in self._slots:
            slot.pump()
