"""One device's TCP connection: admission, time-outs, and handing messages to the gateway in order.

Each connection has a `StreamSession`, the part that knows the protocol. It hands its messages on with
`DeviceConnection.submit`, which reads no further while the gateway is full.
"""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import Attribute, implementer

from iotgw.core.allowance import Allowance
from iotgw.core.model import DeviceReply, Metadata
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.ports.intake import Reply
from iotgw.datasources.feed import Feed
from iotgw.datasources.sampling import SampledEvents
from iotgw.datasources.socket.follow_up import FollowUp
from iotgw.wire import proxy

MOST_UNSENT = 256 << 10
"""Bytes of replies that wait for a device that doesn't read; beyond, its connection is cut."""
ONE_READ = 4 << 10
"""Bytes of a connection that are read before others have their turn: 8,000 messages of one byte are some milliseconds' work."""
UNSETTLED = 512
"""Messages of a connection that may be on their way to the disk: what others send needn't wait for more than these."""
LOOK, LOOKS = 0.1, 100
"""Seconds between checks whether the peer has acknowledged everything, and their number: NB-IoT takes
seconds."""


class StreamSession(Protocol):
    """One connection's protocol. Its methods may call the `DeviceConnection` that it was made with."""

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def ended(self) -> None:
        """No more bytes will come: the peer closed its side, or was silent for too long."""

    def closed(self, clean: bool) -> None:
        """The connection is gone; ``clean`` if it was closed properly."""


class ConnectionSettings(Protocol):
    """What a connection needs of its datasource's settings; see
    `iotgw.datasources.socket.stream.StreamSettings`."""

    @property
    def idle_timeout(self) -> float:
        """Seconds without a whole frame after which it is closed."""

    @property
    def proxy_protocol(self) -> bool:
        """Whether a PROXY header comes first."""


class Host(Protocol):
    """The owner of a connection: an `iotgw.datasources.socket.stream.StreamSource`."""

    context: DatasourceContext
    counts: Counter[str]
    faults: SampledEvents
    kept: Allowance

    @property
    def settings(self) -> ConnectionSettings:
        """Of the datasource."""

    @property
    def make_session(self) -> Callable[[DeviceConnection], StreamSession]:
        """Makes the part that knows the protocol."""

    def allows(self, host: str) -> bool:
        """Whether a device may have this address; one that may not is counted as refused."""

    def count(self, connection: DeviceConnection) -> bool:
        """Note a new connection; False when there are too many."""

    def admit(self, connection: DeviceConnection) -> bool:
        """Count it for its address; False when that has too many."""

    def gone(self, connection: DeviceConnection) -> None:
        """Forget a closed connection."""

    def refused(self, connection: DeviceConnection, reason: str) -> None:
        """Report a refused connection."""


class IDeviceTransport(ITCPTransport, IPushProducer):
    """What Twisted's TCP connections can do: write, close, and stop reading."""

    bufferSize: int = Attribute("bytes that are read at a time")


@implementer(IHalfCloseableProtocol)
class DeviceConnection(TwistedProtocol):
    """One device's connection.

    A peer that half-closes its connection is still answered; then ours is closed, too.

    Many methods: five are Twisted's, and eleven the session's.
    """

    transport: IDeviceTransport

    def __init__(self, listener: Host) -> None:
        self._listener = listener
        self.intake = listener.context.intake
        self.clock = listener.context.reactor
        self.session: StreamSession | None = None
        self.host = ""
        self.peer_port = 0
        self._header = bytearray()
        self._admitted = False
        self._timer: IDelayedCall | None = None
        self._feed = Feed(
            self.intake, self.clock, self._pause, self._steer, settled=self._close_if_done, most=UNSETTLED
        )
        self._follow_up = FollowUp(self.intake, self._feed, self._steer, self._too_many_facts)
        self.is_paused = False
        """Whether nothing is read."""
        self._preparing = 0
        self._is_half_closed = False
        self.is_open = False
        self.is_heard = True
        """False if we close before the peer's TCP has acknowledged everything."""
        self._hearing: IDelayedCall | None = None

    # --- Twisted ---

    def connectionMade(self) -> None:
        """A device connected; behind a balancer its address is known with the first bytes."""
        self.is_open = True
        self.transport.bufferSize = ONE_READ
        peer = self.transport.getPeer()
        assert isinstance(peer, IPv4Address | IPv6Address)
        self.host, self.peer_port = _plain(peer.host), peer.port
        self._timer = self.clock.callLater(self._listener.settings.idle_timeout, self._idle)
        if not self._listener.count(self):
            self._refuse("the limit of connections")
        elif not self._listener.settings.proxy_protocol:
            self._admit()

    def dataReceived(self, data: bytes) -> None:
        """Bytes came."""
        if not self.is_open:
            return
        if not self._admitted:
            data = self._proxied(data)
            if not data:
                return
        assert self.session is not None and self._timer is not None
        had_part = self.session.pending > 0
        self.session.received(data)
        # only a whole frame restarts the time-out, not the start of one
        if not had_part or not self.session.pending:
            self._timer.reset(self._listener.settings.idle_timeout)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """The connection is gone."""
        was_open, self.is_open = self.is_open, False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._hearing is not None:
            self._hearing.cancel()
        self._listener.gone(self)
        if self.session is not None:
            if was_open and not self._is_half_closed:
                self.session.ended()
            self.session.closed(reason.check(ConnectionDone) is not None)
        self._feed.close()

    def readConnectionLost(self) -> None:
        """The peer has closed its side."""
        self._is_half_closed = True
        if self.session is not None and self.is_open:
            self.session.ended()
        self._close_if_done()

    def writeConnectionLost(self) -> None:
        """Never called: we don't half-close."""

    def _proxied(self, data: bytes) -> bytes:
        """Takes the PROXY header off; what follows it is the device's."""
        self._header += data
        header = proxy.parse(self._header)
        if header is None:
            return b""
        if isinstance(header, str):
            self._refuse(header)
            return b""
        if header.host:
            self.host, self.peer_port = _plain(header.host), header.port
        rest = bytes(self._header[header.size :])
        self._header.clear()
        self._admit()
        return rest if self.is_open else b""

    def _admit(self) -> None:
        self._admitted = True
        if self._listener.settings.proxy_protocol and not self._listener.allows(self.host):
            self._cut()
        elif self._listener.admit(self):
            self.session = self._listener.make_session(self)
        else:
            self._refuse("the limit of connections per address")

    def _refuse(self, reason: str) -> None:
        self._listener.refused(self, reason)
        self._cut()

    def _cut(self) -> None:
        self.is_open = False
        self.transport.abortConnection()

    def _idle(self) -> None:
        if self._is_waiting:
            # the device waits because of the gateway
            self._timer = self.clock.callLater(self._listener.settings.idle_timeout, self._idle)
            return
        self._listener.counts["timedOut"] += 1
        if self.session is not None:
            self.session.ended()
        self.close()

    # --- for sessions ---

    @property
    def metadata(self) -> Metadata:
        """What is known of every message of this connection."""
        return {
            "integrationName": self._listener.context.name,
            "protocol": "tcp",
            "remoteIp": self.host,
            "remotePort": self.peer_port,
        }

    @property
    def facts(self) -> Metadata:
        """What converters have stated of this connection: in the metadata of its later messages."""
        return self._follow_up.facts

    @property
    def _is_waiting(self) -> bool:
        """Whether the device waits because of the gateway."""
        return self._feed.is_waiting or self._follow_up.is_waiting

    def now_ms(self) -> int:
        """The date in ms since 1970."""
        return self._listener.context.date_ms()

    def submit(self, payload: bytes, metadata: Metadata, answer: Reply) -> None:
        """Hand a message to the gateway, in order; later if it is full. ``answer`` never gets BUSY."""
        self._listener.counts["frames"] += 1
        self._follow_up.submit(payload, metadata, answer)

    def reject(self, payload: bytes, metadata: Metadata, reason: str) -> None:
        """Keep bytes that are no message, up to a limit per address and minute."""
        self._listener.counts["faults"] += 1
        self._listener.faults.note(self.host, f"bytes from {self.host} are no message: {reason}")
        if self._listener.kept.take(self.host) is not None:
            self.intake.reject(payload, {**self.facts, **self.metadata, **metadata}, reason)

    def count(self, what: str) -> None:
        """Count something for the datasource's status."""
        self._listener.counts[what] += 1

    def write(self, data: bytes) -> None:
        """Send bytes to the device."""
        if self.is_open:
            self.transport.write(data)

    def reply(self, reply: DeviceReply) -> None:
        """Send what a converter has the device answered. A device that doesn't read its replies is cut off."""
        counts = self._listener.counts
        if not self.is_open:
            counts["repliesLost"] += 1
        elif unsent(self.transport) > MOST_UNSENT:
            counts["repliesLost"] += 1
            self._listener.refused(self, "it doesn't read its replies")
            self.is_open = False
            self.abort()
        else:
            counts["replies"] += 1
            self.transport.write(reply.payload)

    def close(self) -> None:
        """Close when everything is written. A peer that doesn't read is cut off after the idle time."""
        if self.is_open:
            self.is_open = False
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            self._timer = self.clock.callLater(self._listener.settings.idle_timeout, self.abort)
            self._hear(0)

    def _hear(self, looks: int) -> None:
        """Close as soon as the peer's TCP has acknowledged everything, so that delivery is known; or after a
        while."""
        self._hearing = None
        self.is_heard = unacknowledged(self.transport) == 0
        if self.is_heard or looks == LOOKS:
            self.transport.loseConnection()
        elif is_broken(self.transport):
            self.abort()
        else:
            self._hearing = self.clock.callLater(LOOK, self._hear, looks + 1)

    def abort(self) -> None:
        """Close at once."""
        self.transport.abortConnection()

    def preparing(self) -> None:
        """An answer is pending until `prepared` is called."""
        self._preparing += 1

    def prepared(self) -> None:
        """An answer that was not ready has been written."""
        self._preparing -= 1
        self._close_if_done()

    def _close_if_done(self) -> None:
        """Close if the peer has closed its side and got all its answers."""
        if self._is_half_closed and not self._preparing and not (self._feed.unsettled or self._is_waiting):
            self.close()

    def _pause(self) -> None:
        self._listener.counts["paused"] += 1
        self._steer()

    def _steer(self) -> None:
        """Read no further while the gateway is full, or while messages wait for an earlier one's conversion."""
        is_wanted = self._feed.is_paused or self._follow_up.is_waiting
        if self.is_open and is_wanted is not self.is_paused:
            self.is_paused = is_wanted
            (self.transport.pauseProducing if is_wanted else self.transport.resumeProducing)()

    def _too_many_facts(self, reason: str) -> None:
        self._listener.counts["factsRefused"] += 1
        self._listener.faults.note(
            self.host, f"facts of a connection from {self.host} were refused: {reason}"
        )


def unsent(transport: Any) -> int:
    """Bytes that were written and wait in this process."""
    buffered: int = len(getattr(transport, "dataBuffer", b""))
    return buffered + sum(map(len, getattr(transport, "_tempDataBuffer", ())))


def unacknowledged(transport: Any) -> int:
    """Bytes that were written, and that the peer's TCP has not acknowledged; 0 where the system can't tell."""
    waiting = unsent(transport)
    try:
        asked = fcntl.ioctl(transport.fileno(), termios.TIOCOUTQ, bytes(4))  # SIOCOUTQ, tcp(7)
    except (AttributeError, OSError, ValueError):  # no socket, or none any more
        return waiting
    return waiting + int.from_bytes(asked, sys.byteorder)


def is_broken(transport: Any) -> bool:
    """Whether the peer has reset a connection from which nothing is read any more."""
    try:
        return bool(transport.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    except (AttributeError, OSError):
        return False


def _plain(host: str) -> str:
    """An address as text, an IPv4-mapped IPv6 address as IPv4."""
    return host.removeprefix("::ffff:") if "." in host else host
