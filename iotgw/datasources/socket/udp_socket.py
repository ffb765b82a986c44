"""A UDP socket that is read in batches.

Twisted's own port costs a call through three layers and a try per datagram, and doesn't tell where a batch
ends. The end of a batch is the time to look after group commits and timers.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.ports.reactor import IBoundPorts

BATCH = 128
"""Datagrams per turn of the reactor: enough for a worthwhile batch, few enough for a turn of 1 to 2 ms."""
RECEIVE_BUFFER = 4 << 20
"""Size of the kernel's receive buffer in bytes; the kernel grants at most net.core.rmem_max."""
_LARGEST = 65_536
_NOTHING_MORE = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)

Address = tuple[Any, ...]
"""``(host, port)``, followed by flow and scope in IPv6: an address as the kernel gives it, to reply to."""


@implementer(IReadDescriptor)
class UdpSocket:
    """A bound UDP socket.

    ``received(data, address)`` is called for each datagram and ``drained()`` after each batch. An exception in
    ``received`` is logged and costs only its datagram. ``interface`` is an IPv4 or IPv6 address, empty for all
    of IPv4. Raises CannotListenError.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorFDSet,
        port: int,
        interface: str,
        received: Callable[[bytes, Address], None],
        drained: Callable[[], None] = lambda: None,
    ) -> None:
        self._reactor = reactor
        self._received = received
        self._drained = drained
        self.unsent = 0
        self._shared: IBoundPorts | None = IBoundPorts(reactor, None) if port else None
        self._wanted = (interface, port)
        try:
            self._socket = (
                self._shared.bound_udp(interface, port) if self._shared else _bound(interface, port)
            )
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        except OSError as error:
            raise CannotListenError(interface, port, error) from error
        self.address: Address = self._socket.getsockname()
        self._sendto = self._socket.sendto

    def start(self) -> None:
        """Begin to read."""
        self._reactor.addReader(self)

    def stop(self) -> None:
        """Close; anything sent from now on is dropped."""
        self._reactor.removeReader(self)
        self._socket.close()
        if self._shared is not None:
            self._shared.unbound_udp(*self._wanted)

    def send(self, data: bytes, address: Any) -> None:
        """Send a datagram. One that the kernel refuses is counted as lost."""
        try:
            self._sendto(data, address)
        except OSError:
            self.unsent += 1

    # --- IReadDescriptor ---

    def fileno(self) -> int:
        """See IFileDescriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return "udp"

    def connectionLost(self, reason: Failure) -> None:
        """See IFileDescriptor."""
        self._socket.close()

    def doRead(self) -> None:
        """Read what is there, up to a batch."""
        receive = self._socket.recvfrom
        received = self._received
        try:
            for _ in range(BATCH):
                data, address = receive(_LARGEST)
                received(data, address)
        except OSError as error:
            if error.errno not in _NOTHING_MORE and self._socket.fileno() >= 0:
                self.unsent += 1  # an ICMP error of a datagram that was sent
        except Exception:
            # the reactor would close the port; the rest is read in the next turn
            self.log.failure("a datagram could not be handled")
        self._drained()


def _bound(interface: str, port: int) -> socket.socket:
    """A socket of this process alone. Raises OSError."""
    made = socket.socket(socket.AF_INET6 if ":" in interface else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.bind((interface, port))
    except OSError:
        made.close()
        raise
    return made
