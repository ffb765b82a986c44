"""The gateway's side of the worker processes: the template they are forked from, and one slot per worker.

A `Slot` is a place with a queue; the worker in it comes and goes. It hands work over in frames that form by
themselves while earlier ones are under way, and when its worker dies it knows the call that killed it, blames
that one alone, and has a new worker do the rest.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from twisted.internet import error
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver

from iotgw.converters.protocol import (
    BETWEEN,
    MAX_FRAME,
    OUT_OF_MEMORY,
    PROGRESS,
    PROGRESS_SIZE,
    RECYCLE,
    Done,
    Tried,
    replies,
)

log = Logger()

FRAMES_IN_FLIGHT = 2
"""Frames per worker: one that it works on, and one that it finds when it is done."""
WATCHDOG = 1.0
"""The second watchdog looks this often, in seconds; the kernel's timer is the first."""
BACKOFF_CAP = 5.0


class Work(Protocol):
    """A frame's worth of work."""

    def frame(self, seq: int, slot: Slot) -> bytes:
        """The bytes to send; a `Define` that the worker needs goes in front."""

    def done(self, reply: Done | Tried) -> None:
        """The worker answered."""

    def died(self, index: int, cause: str) -> Work | None:
        """The worker died at call ``index`` of this frame; returns what is left to be done again."""

    def again(self) -> Work | None:
        """The worker died of something else: this work, if it is to be done again as it is."""

    patience: float
    """Seconds without progress after which the second watchdog kills."""


class Slot:
    """A place for one worker. ``more()`` gives the next `Work` for it, or None."""

    def __init__(
        self, pool: Pool, number: int, name: str, more: Callable[[], Work | None], depth: int
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
        self._connection: _Connection | None = None
        self._progress: mmap.mmap | None = None
        self._status: int | None = None
        self._closed = False
        self._stuck: tuple[int, int] | None = None
        self._stuck_for = 0.0
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
            self._connection.transport.write(work.frame(self._seq, self))

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

    def connected(self, connection: _Connection, progress: mmap.mmap) -> None:
        """A new worker is there."""
        self._connection, self._progress, self._status = connection, progress, None
        self._stuck = None
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
        cause = describe(status)
        peaceful = status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == RECYCLE
        if not peaceful:
            self.deaths += 1
            self._unexplained += 1
        for position, (number, work) in reversed(list(enumerate(inflight))):
            blamed: int | None = None
            if number == seq and index != BETWEEN and status != -1:
                blamed = index
                self._unexplained = 0
            elif self._unexplained > 3 and position == 0:
                blamed, self._unexplained = 0, 0  # it keeps dying and won't say of what: the first one it is
            rest = work.again() if blamed is None else work.died(blamed, cause)
            if rest is not None:
                self._again.appendleft(rest)
        self.pump()

    def watch(self, seconds: float) -> None:
        """The second watchdog: kill a worker that has been at one call for too long."""
        if self._progress is None or not self._inflight:
            self._stuck = None
            return
        at = PROGRESS.unpack_from(self._progress, 0)
        if at != self._stuck:
            self._stuck, self._stuck_for = at, 0.0
            return
        self._stuck_for += seconds
        if self._stuck_for > self._inflight[0][1].patience:
            log.warn("killing converter worker {name}: no progress", name=self.name)
            self._stuck = None
            self._pool.kill(self)

    def close(self) -> None:
        """Let the worker go."""
        self._closed = True
        if self._connection is not None:
            self._connection.transport.loseConnection()


def describe(status: int | None) -> str:
    """How a worker ended, for a person."""
    if status is None or status == -1:
        return "the worker went away"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGALRM:
            return "time"
        return f"the worker was ended by {signal.Signals(number).name}"
    code = os.WEXITSTATUS(status)
    return "memory" if code == OUT_OF_MEMORY else f"the worker ended with code {code}"


class _Connection(Int32StringReceiver):
    MAX_LENGTH = MAX_FRAME
    transport: Any

    def __init__(self, slot: Slot, progress: mmap.mmap) -> None:
        self._slot = slot
        self._progress = progress

    def connectionMade(self) -> None:
        self._slot.connected(self, self._progress)

    def stringReceived(self, string: bytes) -> None:
        try:
            self._slot.answered(string)
        except (msgspec.DecodeError, IndexError):
            log.failure("a converter worker broke the protocol")
            self._slot._pool.kill(self._slot)

    def connectionLost(self, reason: Any = None) -> None:
        self._slot.disconnected()


class _Control:
    """Reads the template's packets: an `IReadDescriptor` over the gateway's end of the socket."""

    def __init__(self, pool: Pool, end: socket.socket) -> None:
        self._pool = pool
        self.end = end

    def fileno(self) -> int:
        return self.end.fileno()

    def logPrefix(self) -> str:
        return "converters"

    def doRead(self) -> Exception | None:
        while True:
            try:
                packet = self.end.recv(4096)
            except BlockingIOError:
                return None
            except OSError:
                packet = b""
            if not packet:
                return error.ConnectionDone()
            self._pool.told(*msgspec.msgpack.decode(packet))

    def connectionLost(self, reason: Any) -> None:
        self._pool.reactor.removeReader(self)
        self.end.close()


class _TemplateProcess(ProcessProtocol):
    transport: Any

    def __init__(self, pool: Pool, control: _Control) -> None:
        self._pool = pool
        self.control = control

    def errReceived(self, data: bytes) -> None:
        log.warn("converters: {text}", text=data.decode("utf-8", "replace").rstrip()[:2000])

    def processEnded(self, reason: Any) -> None:
        self._pool.template_ended(self, reason)


class Pool:
    """The template process and the slots. ``memory_limit`` is bytes of address space per worker."""

    def __init__(self, reactor: Any, memory_limit: int) -> None:
        self.reactor = reactor
        self.engines: tuple[str, ...] = ()
        self.slots: dict[int, Slot] = {}
        self._memory_limit = memory_limit
        self._template: _TemplateProcess | None = None
        self._is_ready = False
        self._wanted: list[Slot] = []
        self._forking: dict[int, tuple[socket.socket, int]] = {}
        self._backoff = 0.1
        self._started: Deferred[None] | None = None
        self._stopped: Deferred[None] | None = None
        self._watching: Any = None
        self._restarting: Any = None

    def slot(self, name: str, more: Callable[[], Work | None], depth: int = FRAMES_IN_FLIGHT) -> Slot:
        """A new slot; its worker is forked with its first work."""
        number = len(self.slots) + 1
        made = self.slots[number] = Slot(self, number, name, more, depth)
        return made

    def start(self) -> Deferred[None]:
        """Start the template; fires when workers can be forked."""
        self._started = Deferred()
        self._spawn()
        self._watching = self.reactor.callLater(WATCHDOG, self._watch)
        return self._started

    def stop(self) -> Deferred[None]:
        """Let the workers and the template go; fires when the template has ended."""
        for call in (self._watching, self._restarting):
            if call is not None and call.active():
                call.cancel()
        for slot in self.slots.values():
            slot.close()
        template = self._template
        if template is None:
            return succeed(None)
        self._stopped = Deferred()
        template.transport.closeStdin()
        self.reactor.removeReader(template.control)
        template.control.end.close()
        return self._stopped

    # --- the template ---

    @property
    def template_pid(self) -> int:
        """The template's process id; 0 when there is none."""
        return (self._template.transport.pid or 0) if self._template is not None else 0

    def _spawn(self) -> None:
        self._restarting = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        control = _Control(self, ours)
        self._template = _TemplateProcess(self, control)
        self._is_ready = False
        environment = {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
        }
        arguments = [sys.executable, "-m", "iotgw.converters.template", str(self._memory_limit)]
        self.reactor.spawnProcess(
            self._template,
            sys.executable,
            arguments,
            env=environment,
            childFDs={0: theirs.fileno(), 1: "r", 2: "r"},
        )
        theirs.close()
        self.reactor.addReader(control)

    def told(self, what: str, *detail: Any) -> None:
        """A packet of the template's."""
        if what == "ready":
            self._is_ready = True
            self._backoff = 0.1
            self.engines = tuple(detail[0])
            wanted, self._wanted = self._wanted, []
            for slot in wanted:
                self.fork(slot)
            if self._started is not None:
                started, self._started = self._started, None
                started.callback(None)
        elif what == "forked":
            number, pid = detail
            self.slots[number].pid = pid
        else:
            number, status = detail
            self.slots[number].exited(status)

    def template_ended(self, template: _TemplateProcess, reason: Any) -> None:
        """The template is gone, and its workers with it."""
        if template is not self._template:
            return
        self._template = None
        self._is_ready = False
        if self._stopped is not None:
            self._stopped.callback(None)
            return
        log.warn("the converter template ended ({reason}); starting another", reason=reason.getErrorMessage())
        for slot in self.slots.values():
            if slot.has_worker:
                slot.exited(None)
        self._restarting = self.reactor.callLater(self._backoff, self._spawn)
        self._backoff = min(self._backoff * 2, BACKOFF_CAP)

    def fork(self, slot: Slot) -> None:
        """Have a worker made for a slot."""
        if not self._is_ready or self._template is None:
            if slot not in self._wanted:
                self._wanted.append(slot)
            return
        memory = os.memfd_create("iotgw-progress")
        os.ftruncate(memory, PROGRESS_SIZE)
        progress = mmap.mmap(memory, PROGRESS_SIZE)
        PROGRESS.pack_into(progress, 0, 0, BETWEEN)
        ours, theirs = socket.socketpair()
        packet = msgspec.msgpack.encode(("fork", slot.number))
        try:
            socket.send_fds(self._template.control.end, [packet], [theirs.fileno(), memory])
        except OSError:  # it has just gone: its end will be told
            self._wanted.append(slot)
            ours.close()
            progress.close()
            return
        finally:
            theirs.close()
            os.close(memory)
        ours.setblocking(False)
        factory = Factory.forProtocol(lambda: _Connection(slot, progress))
        factory.noisy = False
        self.reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        ours.close()

    def kill(self, slot: Slot) -> None:
        """End a slot's worker now."""
        if self._template is not None:
            self._template.control.end.send(msgspec.msgpack.encode(("kill", slot.number)))

    def _watch(self) -> None:
        self._watching = self.reactor.callLater(WATCHDOG, self._watch)
        for slot in self.slots.values():
            slot.watch(WATCHDOG)
