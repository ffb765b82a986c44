"""A place for one worker, with the work that is under way there; the worker in it comes and goes.

A slot hands work over in frames, a few at a time. When its worker dies of a call it knows which, blames that one
alone, and has a new worker do the rest. A death that is not a script's doing blames nobody: all is done again.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from iotgw.converters import cputime
from iotgw.converters.death import Death, explain
from iotgw.converters.protocol import BETWEEN, MAX_FRAME, PROGRESS, RunDone, Tried, replies
from iotgw.core.write_now import write

log = Logger()

FRAMES_IN_FLIGHT = 2
"""Frames per worker: one that it works on, and one that it finds when it is done."""
UNEXPLAINED = 3
"""Deaths in a row that no call is to blame for, before the one under way is taken for the cause."""
ASLEEP = 60.0
"""Seconds that a worker may spend on a call without using any CPU time, before the watchdog ends it. A worker that waits for
its turn gets one sooner, on the busiest machine."""


class Forks(Protocol):
    """What makes and ends workers: the pool."""

    def fork(self, slot: Slot) -> None:
        """Have a worker made for a slot, which hears of it by `Slot.connected`."""

    def kill(self, slot: Slot) -> None:
        """End a slot's worker now."""


class Work(Protocol):
    """A frame's worth of work."""

    def frame(self, seq: int, slot: Slot) -> bytes:
        """The bytes to send; a `Define` that the worker needs goes in front."""

    def done(self, reply: RunDone | Tried) -> None:
        """The worker answered."""

    def died(self, index: int, death: Death) -> Work | None:
        """The worker died of call ``index`` of this frame; returns what is left to be done again."""

    def again(self) -> Work | None:
        """The worker died for another reason: returns this work if it is to be done again unchanged."""

    patience: float
    """CPU seconds for one call after which the second watchdog ends the worker: more than the worker's own limit."""


class _Watched:
    """What the watchdog saw of a call: where it is, and the worker's CPU seconds when it was seen first and last."""

    __slots__ = ("asleep", "at", "begun", "used")

    def __init__(self, at: tuple[int, int], used: float) -> None:
        self.at = at
        self.begun = self.used = used
        self.asleep = 0.0


class Slot:
    """A place for one worker. ``more()`` gives the next `Work` for it, or None."""

    def __init__(
        self, pool: Forks, number: int, name: str, more: Callable[[], Work | None], depth: int
    ) -> None:
        self.name = name
        self.number = number
        self.deaths = 0
        self.pid = 0
        self.known: set[int] = set()
        """Converters that the present worker has been told of."""
        self.states: dict[str, bytes] = {}
        """What it knows of devices' states, by place."""
        self._pool = pool
        self._more = more
        self._depth = depth
        self._again: deque[Work] = deque()
        self._inflight: deque[tuple[int, Work]] = deque()
        self._seq = 0
        self._connection: WorkerConnection | None = None
        self._progress: mmap.mmap | None = None
        self._status: int | None = None
        self._closed = False
        self._watched: _Watched | None = None
        self._is_overrun = False
        self._unexplained = 0

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way or waits to be done again."""
        return bool(self._inflight or self._again)

    @property
    def has_worker(self) -> bool:
        """Whether there is a worker, or one on its way out."""
        return self._progress is not None

    # --- work ---

    def pump(self) -> None:
        """Hand over what there is, as far as it may be in flight."""
        while len(self._inflight) < self._depth:
            work = self._again.popleft() if self._again else self._more()
            if work is None:
                return
            if self._connection is None:
                self._again.appendleft(work)
                self._pool.fork(self)
                return
            self._seq = self._seq % 0x7FFFFFFF + 1
            self._inflight.append((self._seq, work))
            write(self._connection.transport, work.frame(self._seq, self))

    def tell(self, number: int, order: bytes) -> None:
        """Have the present worker forget a converter that it knows."""
        if number in self.known and self._connection is not None:
            self.known.discard(number)
            self._connection.transport.write(order)

    def answered(self, body: bytes) -> None:
        """The worker's reply."""
        reply = replies.decode(body)
        seq, work = self._inflight.popleft()
        if reply.seq != seq:
            raise msgspec.ValidationError(f"expected the answer to {seq}, got {reply.seq}")
        self._unexplained = 0
        work.done(reply)
        self.pump()

    # --- life and death of the worker ---

    def connected(self, connection: WorkerConnection, progress: mmap.mmap) -> None:
        """A new worker is there."""
        self._connection, self._progress, self._status = connection, progress, None
        self._watched, self._is_overrun = None, False
        self.known.clear()
        self.states.clear()
        self.pump()

    def exited(self, status: int | None) -> None:
        """The template says how the worker ended; None when the template itself is gone."""
        self._status = -1 if status is None else status
        self.pid = 0
        if self._connection is None:
            self._lost()

    def disconnected(self) -> None:
        """The stream ended: every answer that the worker gave has been read."""
        self._connection = None
        if self._status is not None or self._closed:
            self._lost()

    def _lost(self) -> None:
        """Both the stream and the process are gone: settle the blame."""
        progress, status = self._progress, self._status
        self._progress = None
        inflight, self._inflight = self._inflight, deque()
        if progress is None or self._closed:
            return
        seq, index = PROGRESS.unpack_from(progress, 0)
        progress.close()
        death = explain(None if status == -1 else status, self._is_overrun)
        if not death.is_peaceful:
            self.deaths += 1
            self._unexplained += bool(inflight)
        at = next((position for position, (number, _) in enumerate(inflight) if number == seq), None)
        if index == BETWEEN or status == -1:
            at = None
        blamed = (at, index) if at is not None and death.is_own else None
        if blamed is None and self._unexplained > UNEXPLAINED:
            blamed = (at, index) if at is not None else (0, 0)  # it keeps dying there, whatever of
        for position, (_, work) in reversed(list(enumerate(inflight))):
            if blamed is not None and position == blamed[0]:
                self._unexplained = 0
                rest = work.died(blamed[1], death)
            else:
                rest = work.again()
            if rest is not None:
                self._again.appendleft(rest)
        self.pump()

    def broken(self) -> None:
        """The worker said what no worker says."""
        self._pool.kill(self)

    def watch(self, seconds: float) -> None:
        """The second watchdog, called every so many seconds: end a worker that the kernel's timer did not end.

        That is one that has used far more CPU time for a call than it may, or none for `ASLEEP`.
        """
        if self._progress is None or not self._inflight:
            self._watched = None
            return
        at = PROGRESS.unpack_from(self._progress, 0)
        used = cputime.used_by(self.pid) or 0.0
        watched = self._watched
        if watched is None or watched.at != at:
            self._watched = _Watched(at, used)
            return
        watched.asleep = watched.asleep + seconds if used == watched.used else 0.0
        watched.used = used
        self._is_overrun = used - watched.begun > self._inflight[0][1].patience
        if self._is_overrun or watched.asleep > ASLEEP:
            log.warn("ending converter worker {name}: no progress", name=self.name)
            self._pool.kill(self)

    def close(self) -> None:
        """Let the worker go."""
        self._closed = True
        if self._connection is not None:
            self._connection.transport.loseConnection()


class WorkerConnection(Int32StringReceiver):
    """The stream to a worker, in whole frames."""

    MAX_LENGTH = MAX_FRAME
    transport: ITransport

    def __init__(self, slot: Slot, progress: mmap.mmap) -> None:
        self._slot = slot
        self._progress = progress

    def connectionMade(self) -> None:
        """The worker was forked."""
        self._slot.connected(self, self._progress)

    def stringReceived(self, string: bytes) -> None:
        """An answer."""
        try:
            self._slot.answered(string)
        except (msgspec.DecodeError, IndexError):
            log.failure("a converter worker broke the protocol")
            self._slot.broken()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The worker is gone, or going."""
        self._slot.disconnected()
