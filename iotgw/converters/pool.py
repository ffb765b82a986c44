"""The template process that workers are forked from, and the slots that they work in.

The template is a child process that has everything imported and runs nothing of a user's; a worker is forked from it
in 2 ms. If the template ends, its workers end with it, and another one is started.
"""

from __future__ import annotations

import mmap
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from twisted.internet import error
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IProcessTransport, IReadDescriptor
from twisted.internet.protocol import ProcessProtocol, ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.converters.protocol import BETWEEN, PROGRESS, PROGRESS_SIZE
from iotgw.converters.sandbox import Confinement
from iotgw.converters.slot import FRAMES_IN_FLIGHT, Slot, Work, WorkerConnection
from iotgw.core.ports.reactor import IReactor

log = Logger()

WATCHDOG = 1.0
"""The second watchdog looks this often, in seconds; the kernel's timer is the first."""
BACKOFF_CAP = 5.0
"""A template that keeps ending is started again after at most this many seconds."""


@implementer(IReadDescriptor)
class _Control:
    """Reads the template's packets from the gateway's end of the socket."""

    def __init__(self, pool: WorkerPool, end: socket.socket) -> None:
        self._pool = pool
        self.end = end

    def fileno(self) -> int:
        return self.end.fileno()

    def logPrefix(self) -> str:
        return "converters"

    def doRead(self) -> Failure | None:
        while True:
            try:
                packet = self.end.recv(4096)
            except BlockingIOError:
                return None
            except OSError:
                packet = b""
            if not packet:
                return Failure(error.ConnectionDone())
            self._pool.told(*msgspec.msgpack.decode(packet))

    def connectionLost(self, reason: Failure) -> None:
        self._pool.reactor.removeReader(self)
        self.end.close()


class _TemplateProcess(ProcessProtocol):
    transport: IProcessTransport

    def __init__(self, pool: WorkerPool, control: _Control) -> None:
        self._pool = pool
        self.control = control

    def errReceived(self, data: bytes) -> None:
        log.warn("converters: {text}", text=data.decode("utf-8", "replace").rstrip()[:2000])

    def processEnded(self, reason: Failure) -> None:
        self._pool.template_ended(self, reason)


class _Joining(ServerFactory):
    noisy = False

    def __init__(self, slot: Slot, progress: mmap.mmap) -> None:
        self._slot = slot
        self._progress = progress

    def buildProtocol(self, addr: IAddress | None) -> WorkerConnection:
        return WorkerConnection(self._slot, self._progress)


class WorkerPool:
    """The template process and the slots. ``memory_limit`` is bytes of address space per worker.

    ``is_unconfined`` is whether scripts run where there is no seccomp filter.
    """

    def __init__(self, reactor: IReactor, memory_limit: int, is_unconfined: bool = False) -> None:
        self.reactor = reactor
        self.engines: tuple[str, ...] = ()
        self.is_unconfined = is_unconfined
        self.confinement: Confinement | None = None
        """What workers are confined by; None before the first one could be."""
        self.slots: dict[int, Slot] = {}
        self._memory_limit = memory_limit
        self._template: _TemplateProcess | None = None
        self._is_ready = False
        self._wanted: list[Slot] = []
        self._backoff = 0.1
        self._started: Deferred[None] | None = None
        self._stopped: Deferred[None] | None = None
        self._watching: IDelayedCall | None = None
        self._restarting: IDelayedCall | None = None

    def confinement_view(self) -> dict[str, Any]:
        """What confines the workers, as `iotgw.core.ports.converters.IConverters.status` tells it."""
        held = self.confinement
        return {
            "by": "" if held is None else str(held),
            "seccomp": held is not None and held.seccomp,
            "landlock": 0 if held is None else held.landlock,
            "unconfined": self.is_unconfined,
            "refusal": self.refusal,
            "why": "" if held is None else held.why,
        }

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
        """End the workers and the template; fires when the template has ended."""
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

    @property
    def refusal(self) -> str:
        """Why no script is run; empty where they are."""
        held = self.confinement
        if held is None or held.seccomp or self.is_unconfined:
            return ""
        return (
            f"no script is run, because {held.why}. `unconfined = true` under [converters] runs scripts without, "
            "for operators who trust them all"
        )

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
        arguments += ["unconfined"] if self.is_unconfined else []
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
            self.confinement = msgspec.convert(detail[1], Confinement)
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

    def template_ended(self, template: _TemplateProcess, reason: Failure) -> None:
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
        self.reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, _Joining(slot, progress))
        ours.close()

    def kill(self, slot: Slot) -> None:
        """End a slot's worker now."""
        if self._template is None:
            return
        with suppress(OSError):  # a template that is going takes its workers with it
            self._template.control.end.send(msgspec.msgpack.encode(("kill", slot.number)))

    def _watch(self) -> None:
        self._watching = self.reactor.callLater(WATCHDOG, self._watch)
        for slot in self.slots.values():
            slot.watch(WATCHDOG)
