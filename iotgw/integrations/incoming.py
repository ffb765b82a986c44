"""What a target sends for devices: queued in the order in which it came, and whoever sent it hears of each what became of it.

A target's own message is acknowledged, its request answered, and a record whose answer had downlinks is settled, only then.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from msgspec import Struct
from twisted.internet.interfaces import IDelayedCall

from iotgw.core.ports.integrations import IntegrationContext, Queued
from iotgw.core.verdict import DELIVERED, Unavailable, Verdict

MOST = 1000
"""Downlinks that may be under way or wait here; what comes beyond is not taken."""
FIRST, LONGEST = 1.0, 30.0
"""Seconds until the gateway is asked again that could store no downlink."""

PATIENCE = 30.0
"""Seconds after which a record is sent again whose answer has downlinks that can't be stored."""

Done = Callable[[Queued], None]


def verdict_of(queued: Queued) -> Verdict:
    """What becomes of a record whose answer had a downlink. One that is refused for good makes no difference to it."""
    if queued.is_final:
        return DELIVERED
    return Unavailable(
        f"it was delivered, but not what was answered for a device: {queued.reason}", is_certain=True
    )


class _One(Struct, eq=False):
    number: int
    device: str
    item: dict[str, Any]
    done: Done
    until: float | None
    giving_up: IDelayedCall | None = None

    def __lt__(self, other: _One) -> bool:
        return self.number < other.number


class Incoming:
    """Queues downlinks for an integration.

    While the gateway can't store any, they wait, and the oldest is tried again. ``trouble`` says why, empty otherwise. Without I/O but by the
    context's ``downlink`` and ``reactor``.
    """

    def __init__(self, context: IntegrationContext) -> None:
        self._context = context
        self._reactor = context.reactor
        self._last = 0
        self._under_way = 0
        self._waiting: list[_One] = []
        """A heap: the oldest is first."""
        self._again: IDelayedCall | None = None
        self._wait = FIRST
        self._is_closed = False
        self.trouble = ""

    def take(self, device: str, item: dict[str, Any], done: Done, patience: float | None = None) -> None:
        """Queue an item; calls ``done(queued)`` once. What can't be stored waits for ``patience`` seconds, None for as long as it
        takes; if it can't be by then, or too many wait, ``queued`` is not final: the item was not taken."""
        if self._context.downlink is None:
            done(Queued("downlinks aren't queued here"))
            return
        if self._under_way + len(self._waiting) >= MOST:
            done(Queued(self.trouble or f"{MOST} downlinks are being stored", is_final=False))
            return
        self._last += 1
        until = None if patience is None else self._reactor.seconds() + patience
        one = _One(self._last, device, item, done, until)
        if self.trouble:
            self._hold(one)
        else:
            self._queue(one)

    def close(self) -> None:
        """Nobody is told any more; what waits is not taken."""
        self._is_closed = True
        if self._again is not None:
            self._again.cancel()
        for one in self._waiting:
            if one.giving_up is not None:
                one.giving_up.cancel()
        self._waiting.clear()

    def _queue(self, one: _One) -> None:
        if self._context.downlink is None:
            return
        self._under_way += 1
        self._context.downlink(self._context.tenant, one.device, one.item).addCallback(self._answered, one)

    def _answered(self, queued: Queued, one: _One) -> None:
        self._under_way -= 1
        if self._is_closed:
            return
        if queued.reason and not queued.is_final:
            self._failed(one, queued.reason)
            return
        self.trouble = ""
        self._wait = FIRST
        one.done(queued)
        waiting, self._waiting = self._waiting, []
        while waiting:
            self._queue(self._let_go(heappop(waiting)))

    def _failed(self, one: _One, reason: str) -> None:
        if not self.trouble:
            said = f"what the target sends for devices can't be stored, and is tried again: {reason}"
            self._context.event("integration.trouble", said, "warning")
        self.trouble = f"downlinks can't be stored: {reason}"
        self._hold(one)
        if self._again is None:
            self._again = self._reactor.callLater(self._wait, self._try)
            self._wait = min(LONGEST, self._wait * 2)

    def _hold(self, one: _One) -> None:
        if one.until is not None:
            left = one.until - self._reactor.seconds()
            if left <= 0:
                one.done(Queued(self.trouble, is_final=False))
                return
            one.giving_up = self._reactor.callLater(left, self._give_up, one)
        heappush(self._waiting, one)

    def _let_go(self, one: _One) -> _One:
        if one.giving_up is not None:
            one.giving_up.cancel()
            one.giving_up = None
        return one

    def _give_up(self, one: _One) -> None:
        one.giving_up = None
        self._waiting = sorted(other for other in self._waiting if other is not one)
        one.done(Queued(self.trouble, is_final=False))

    def _try(self) -> None:
        self._again = None
        if self._waiting:
            self._queue(self._let_go(heappop(self._waiting)))
        else:  # nobody waits for the answer; the next one finds out
            self.trouble = ""
