"""Starts several processes of a gateway, each a node of its database, and keeps them running."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from twisted.application.service import IServiceCollection, MultiService
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ConnectionDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReadDescriptor
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.app.hangups import Hangups
from iotgw.app.notify import notify, notify_ready
from iotgw.app.processes.kept_ports import KeptPorts
from iotgw.app.processes.packets import FILE, LONGEST, VARIABLE, Packet, decode
from iotgw.core.ports.reactor import IReactor
from iotgw.observe.logs import Logs
from iotgw.store.lock import DataDirectoryLock

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before a process that ended is started again; twice as long each time."""
STEADY = 60.0
"""Seconds that a process has to live for the next wait to be the first one again."""
KEPT = 60.0
"""Seconds that the UDP sockets of a process that ended wait for the next one."""


class OneOfSeveral(Struct, frozen=True):
    """A process: its number from 1, its name as a node, and its data directory."""

    number: int
    name: str
    data_dir: Path


class Supervisor(MultiService):
    """Runs ``processes``, each by ``command(one)``. ``prepare()`` says whether all may start at once; else the first one starts alone, and
    ``prepare()`` is called again before the others do. A process that ends before all have been ready once ends this one, which has
    ``failed`` then; later, it is started again."""

    _log = Logger()

    def __init__(
        self,
        reactor: IReactor,
        processes: Sequence[OneOfSeveral],
        command: Callable[[OneOfSeveral], list[str]],
        prepare: Callable[[], bool],
        hangups: Hangups,
        logs: Logs,
        lock: DataDirectoryLock,
    ) -> None:
        super().__init__()
        self.setName("iotgw")
        self.reactor = reactor
        self.ports = KeptPorts()
        self.command = command
        self._prepare = prepare
        self._hangups = hangups
        self._logs = logs
        self._lock = lock
        self._children = [Child(self, one) for one in processes]
        self.have_all_been_ready = False
        self.failed = False

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """Set our log as the application's, before it begins to log."""
        super().setServiceParent(parent)
        self._logs.attach(parent)

    def startService(self) -> None:
        """Start the processes."""
        super().startService()
        self._lock.note_process()  # a daemon is another process than the one that took the lock
        may_all_start = self._prepare()
        first, *others = self._children
        first.start()
        if may_all_start:
            for child in others:
                child.start()
        self._hangups.listen(lambda: self.reactor.callFromThread(self._hang_up))

    def stopService(self) -> Deferred[None]:
        """End the processes; fires when they have ended."""
        super().stopService()
        self._hangups.ignore()
        notify("STOPPING=1")
        ended = DeferredList([child.stop() for child in self._children])
        return ended.addCallback(self._stopped)

    def _stopped(self, _: object) -> None:
        self.ports.close()
        self._lock.release()
        self._log.info("all processes have stopped")
        self._logs.close()

    def _hang_up(self) -> None:
        self._logs.reopen()
        for child in self._children:
            child.send(signal.SIGHUP)

    # --- what the processes tell

    def is_ready(self, child: Child) -> None:
        """A process has started."""
        self._log.info("process {name} is ready", name=child.one.name)
        if child is self._children[0] and not all(each.has_begun for each in self._children):
            self._prepare()
            for each in self._children[1:]:
                each.start()
        if not self.have_all_been_ready and all(each.is_ready for each in self._children):
            self.have_all_been_ready = True
            self._log.info("all {count} processes are ready", count=len(self._children))
            notify_ready()

    def has_failed(self, child: Child) -> None:
        """A process couldn't start: nor can the gateway."""
        if self.running and not self.failed:
            self.failed = True
            self._log.critical("iotgw can't start: process {name} has ended", name=child.one.name)
            self.reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
            self.reactor.callWhenRunning(self.reactor.stop)


class Child(ProcessProtocol):
    """A process, and after its end the next one in its place."""

    _log = Logger()
    transport: IProcessTransport

    def __init__(self, supervisor: Supervisor, one: OneOfSeveral) -> None:
        self.one = one
        self.has_begun = self.is_ready = False
        self._supervisor = supervisor
        self._reactor = supervisor.reactor
        self._channel: Channel | None = None
        self._wait = FIRST_WAIT
        self._began = 0.0
        self._again: IDelayedCall | None = None
        self._giving_up: IDelayedCall | None = None
        self._stopped: Deferred[None] | None = None

    def start(self) -> None:
        """Start a process."""
        self._again = None
        self.has_begun = True
        self._began = self._reactor.seconds()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        with theirs, Path(os.devnull).open() as nothing:
            self._reactor.spawnProcess(
                self, sys.executable, self._supervisor.command(self.one),
                env={**environment, VARIABLE: "1"}, path=None,
                childFDs={0: nothing.fileno(), 1: 1, 2: 2, FILE: theirs.fileno()},
            )  # fmt: skip
        self._channel = Channel(self, ours, self._reactor)

    def stop(self) -> Deferred[None]:
        """End it; fires when it has ended."""
        self._stopped = Deferred()
        for call in (self._again, self._giving_up):
            if call is not None and call.active():
                call.cancel()
        if self._channel is None:
            self._stopped.callback(None)
        else:
            self.send(signal.SIGTERM)
        return self._stopped

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._channel is not None:
            with contextlib.suppress(ProcessExitedAlready):
                self.transport.signalProcess(number)

    def said(self, packet: Packet) -> None:
        """What it said."""
        ports, wanted, number = self._supervisor.ports, packet.wanted, self.one.number
        if packet.what == "open" and wanted is not None and self._channel is not None:
            try:
                made = ports.take(wanted, number)
            except OSError as error:
                self._channel.answer(error.errno or 1)
            else:
                self._channel.answer(0, made)
                ports.handed(wanted, made)
        elif packet.what == "closed" and wanted is not None:
            ports.give_back(wanted, number)
        elif packet.what == "ready":
            self.is_ready = True
            ports.settled(number)
            if self._giving_up is not None and self._giving_up.active():
                self._giving_up.cancel()
            self._supervisor.is_ready(self)

    def processEnded(self, reason: Failure) -> None:
        """See `ProcessProtocol.processEnded`."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self.is_ready = False
        ports, number = self._supervisor.ports, self.one.number
        ports.ended(number)
        if self._stopped is not None:
            self._stopped.callback(None)
        elif not self._supervisor.have_all_been_ready:
            self._supervisor.has_failed(self)
        elif self._supervisor.running:
            self._start_again(reason.getErrorMessage())

    def _start_again(self, reason: str) -> None:
        if self._reactor.seconds() - self._began > STEADY:
            self._wait = FIRST_WAIT
        if self._giving_up is None or not self._giving_up.active():
            self._giving_up = self._reactor.callLater(KEPT, self._supervisor.ports.given_up, self.one.number)
        self._log.error(
            "process {name} has ended ({reason}); it is started again in {wait:g} s",
            name=self.one.name, reason=reason, wait=self._wait,
        )  # fmt: skip
        self._again = self._reactor.callLater(self._wait, self.start)
        self._wait = min(2 * self._wait, LONGEST_WAIT)


@implementer(IReadDescriptor)
class Channel:
    """The supervisor's end of the socket to a process."""

    def __init__(self, child: Child, end: socket.socket, reactor: IReactor) -> None:
        self._child = child
        self._end = end
        self._reactor = reactor
        end.setblocking(False)
        reactor.addReader(self)

    def answer(self, number: int, file: socket.socket | None = None) -> None:
        """Answer a question, with a socket beside it."""
        try:
            socket.send_fds(
                self._end, [msgspec.msgpack.encode(number)], [file.fileno()] if file is not None else []
            )
        except OSError:  # it has gone, which its end tells
            return

    def close(self) -> None:
        """Read no more."""
        self._reactor.removeReader(self)
        self._end.close()

    def fileno(self) -> int:
        """See IFileDescriptor."""
        return self._end.fileno()

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return self._child.one.name

    def doRead(self) -> Failure | None:
        """Read what the process has said."""
        while self._end.fileno() >= 0:
            try:
                packet = self._end.recv(LONGEST)
            except BlockingIOError:
                return None
            except OSError:
                packet = b""
            if not packet:
                return Failure(ConnectionDone())
            self._child.said(decode(packet))
        return None

    def connectionLost(self, reason: Failure) -> None:
        """See IFileDescriptor: the process is about to end."""
        self._reactor.removeReader(self)
