"""One of several processes: the ports that it has together with the others come from its supervisor."""

from __future__ import annotations

import os
import socket
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IAddress, IListeningPort, IReadDescriptor
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from iotgw.app.processes.kept_ports import TCP, UDP, PortWanted
from iotgw.app.processes.packets import FILE, LONGEST, VARIABLE, Packet, encode
from iotgw.core.ports.reactor import IBoundPorts, IReactor

PATIENCE = 10.0
"""Seconds that the supervisor, which does nothing else, may take for an answer."""


@implementer(IListeningPort)
class HandedPort:
    """A listening TCP port whose socket came from the supervisor."""

    def __init__(self, supervisor: Supervision, wanted: PortWanted, port: IListeningPort) -> None:
        self._supervisor = supervisor
        self._wanted = wanted
        self._port = port

    def startListening(self) -> None:
        """See `IListeningPort.startListening`: it does already."""

    def stopListening(self) -> Deferred[None] | None:
        """See `IListeningPort.stopListening`."""
        self._supervisor.say(Packet("closed", self._wanted))
        return self._port.stopListening()

    def getHost(self) -> IAddress:
        """See `IListeningPort.getHost`."""
        return self._port.getHost()


@implementer(IReadDescriptor)
class Supervision:
    """This process's end of the socket to its supervisor. Where that has gone, this process ends as well.

    Its methods are what `IBoundPorts` wants of a reactor, and Twisted's ``listenTCP``.
    """

    _log = Logger()

    def __init__(self, reactor: IReactor, end: socket.socket) -> None:
        self._reactor = reactor
        self._end = end
        end.settimeout(PATIENCE)
        self._listen = reactor.listenTCP
        reactor.addReader(self)

    def ready(self) -> None:
        """This process has started."""
        self.say(Packet("ready"))

    def say(self, packet: Packet) -> None:
        """Tell the supervisor something."""
        try:
            self._end.send(encode(packet))
        except OSError as error:  # it has gone, which its end tells
            self._log.debug("the supervisor was not told: {reason}", reason=error)

    # --- ports

    def bound_udp(self, interface: str, port: int) -> socket.socket:
        """See `IBoundPorts.bound_udp`."""
        return self._ask(PortWanted(UDP, interface, port))

    def unbound_udp(self, interface: str, port: int) -> None:
        """See `IBoundPorts.unbound_udp`."""
        self.say(Packet("closed", PortWanted(UDP, interface, port)))

    def listenTCP(
        self, port: int, factory: ServerFactory[Any], backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """As `IReactorTCP.listenTCP`. A port that the system chooses is this process's alone."""
        if not port:
            return self._listen(port, factory, backlog, interface)
        wanted = PortWanted(TCP, interface, port)
        try:
            with self._ask(wanted) as handed:
                handed.listen(backlog)
                open_port = self._reactor.adoptStreamPort(handed.fileno(), handed.family, factory)
        except OSError as error:
            raise CannotListenError(interface, port, error) from error
        return HandedPort(self, wanted, open_port)

    def _ask(self, wanted: PortWanted) -> socket.socket:
        """A bound socket. Raises OSError."""
        self._end.send(encode(Packet("open", wanted)))
        answer, files, _, _ = socket.recv_fds(self._end, LONGEST, 1)
        if not answer:
            raise ConnectionResetError("the supervisor has gone")
        number = msgspec.msgpack.decode(answer, type=int)
        if number:
            raise OSError(number, os.strerror(number))
        return socket.socket(fileno=files[0])

    # --- IReadDescriptor: between two questions, there is nothing to read but its end

    def fileno(self) -> int:
        """See IFileDescriptor."""
        return self._end.fileno()

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return "supervisor"

    def doRead(self) -> Failure | None:
        """The supervisor has gone."""
        self._log.warn("the process that started this one has gone, so it ends as well")
        self._reactor.callWhenRunning(self._reactor.stop)
        return Failure(ConnectionDone())

    def connectionLost(self, reason: Failure) -> None:
        """See IFileDescriptor."""
        self._reactor.removeReader(self)
        self._end.close()


def supervision(reactor: Any) -> Supervision | None:
    """The supervisor of this process, whose ports it opens from now on; None without one."""
    if os.environ.pop(VARIABLE, None) is None:
        return None
    found = Supervision(reactor, socket.socket(fileno=FILE))
    reactor.listenTCP = found.listenTCP
    reactor.bound_udp, reactor.unbound_udp = found.bound_udp, found.unbound_udp
    alsoProvides(reactor, IBoundPorts)
    return found
