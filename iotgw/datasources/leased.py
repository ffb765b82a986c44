"""Messages that a broker lends for a time, each with a handle of its own: acknowledged one by one, in time.

A message is acknowledged when it is durable. One of a *lane* (a FIFO queue's group, an ordering key) is acknowledged when those
before it in its lane are, too, since the broker gives out the first that isn't, and those after it again. While messages wait for
a gateway that is full, their leases are extended. One whose lease ends all the same comes again, and is known by its key.

No I/O here: the owner acknowledges, extends and gives back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from iotgw.core.model import Answer
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.feed import Feed
from iotgw.datasources.frames import HeldFrames
from iotgw.datasources.pieces import piece_of
from iotgw.datasources.pulled import Found

Handles = Callable[[list[str]], None]


class Lease(Struct, eq=False):
    """A message that isn't acknowledged: ``until`` is when its lease ends, ``left`` how much of what it has isn't settled, and 1 until all has
    been handed over."""

    handle: str
    lane: str
    until: float
    left: int


class Leases:
    """The messages that a broker has lent. ``seconds`` is how long a lease lasts, ``most`` how many messages may be unsettled before
    ``pause()`` is called. ``acknowledge(handles)`` is called once in a turn of the reactor, ``extend(handles)`` when half of their
    leases is over."""

    def __init__(
        self,
        intake: IIntake,
        clock: IReactorTime,
        seconds: float,
        most: int,
        pause: Callable[[], None],
        resume: Callable[[], None],
        acknowledge: Handles,
        extend: Handles,
        frames: HeldFrames | None = None,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._acknowledge = acknowledge
        self._extend = extend
        self._feed = Feed(intake, clock, pause, resume, most=most, frames=frames)
        self._lent: dict[Lease, None] = {}
        self._lanes: dict[str, deque[Lease]] = {}
        self._durable: list[str] = []
        self._soon: IDelayedCall | None = None
        self._look: IDelayedCall | None = None
        self._is_open = True

    def __len__(self) -> int:
        """How many messages are not acknowledged."""
        return len(self._lent)

    @property
    def is_paused(self) -> bool:
        """Whether the gateway is full."""
        return self._feed.is_paused

    def take(self, handle: str, lane: str, asked: float, found: Iterable[Found]) -> None:
        """Hand over what the next message has, whose lease began at or after ``asked``. Without a lane it waits for no other. What it has is
        gone through some at a time."""
        lease = Lease(handle, lane, asked + self._seconds, 1)
        self._lent[lease] = None
        if lane:
            self._lanes.setdefault(lane, deque()).append(lease)
        if self._look is None:
            self._look = self._clock.callLater(self._seconds / 4, self._look_at_leases)

        def over(answer: Answer | None = None) -> None:
            lease.left -= 1
            if not lease.left:
                self._settled(lease)

        def submit(found: Found) -> None:
            lease.left += 1
            if not isinstance(found, tuple):
                self._feed.write(found, over, is_kept=True)
                return
            payload, facts, key = found
            self._feed.submit(payload, facts, over, listens=False, is_kept=True, key=key)

        self._feed.work(piece_of(iter(found), submit, over, lambda: self._is_open))

    def close(self) -> Deferred[list[str]]:
        """No more messages come. Fires when the gateway has answered what it has, and what is durable was acknowledged, with the
        handles of the others."""
        self._is_open = False
        self._feed.close()
        closed: Deferred[list[str]] = Deferred()
        self._feed.when_quiet(lambda: closed.callback(self.end()))
        return closed

    def end(self) -> list[str]:
        """Acknowledge what is durable by now, and forget the others; returns their handles."""
        for timer in (self._soon, self._look):
            if timer is not None and timer.active():
                timer.cancel()
        self._soon = self._look = None
        self._flush()
        left, self._lent = [lease.handle for lease in self._lent], {}
        self._lanes.clear()
        return left

    def _settled(self, lease: Lease) -> None:
        if lease not in self._lent:  # after the end
            return
        lane = self._lanes.get(lease.lane)
        if lane is None:
            self._done(lease)
            return
        while lane and not lane[0].left:
            self._done(lane.popleft())
        if not lane:
            del self._lanes[lease.lane]

    def _done(self, lease: Lease) -> None:
        del self._lent[lease]
        self._durable.append(lease.handle)
        if self._soon is None and self._is_open:
            self._soon = self._clock.callLater(0, self._turn_is_over)

    def _turn_is_over(self) -> None:
        self._soon = None
        self._flush()

    def _flush(self) -> None:
        durable, self._durable = self._durable, []
        if durable:
            self._acknowledge(durable)

    def _look_at_leases(self) -> None:
        self._look = None
        now = self._clock.seconds()
        ending = [lease for lease in self._lent if lease.until - now < self._seconds / 2]
        for lease in ending:
            lease.until = now + self._seconds
        if self._lent:
            self._look = self._clock.callLater(self._seconds / 4, self._look_at_leases)
        if ending:
            self._extend([lease.handle for lease in ending])
