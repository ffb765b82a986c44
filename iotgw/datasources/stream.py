"""What all TCP datasources share: a port with limits, and connections that stop reading when it is full.

A `Listener` owns the port. Each connection has a `Session`, the part that knows the protocol; it hands its
messages on with `Connection.submit`, which keeps them in order and reads no further while the gateway is
full. A connection that sends nothing, or the start of a frame and no end, is closed after ``idleTimeout``.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, deque
from collections.abc import Callable
from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.datasources.sampling import Allowance, Sampled
from iotgw.extension import DatasourceContext
from iotgw.model import Answer, Metadata, Status
from iotgw.wire import proxy

Seconds = Annotated[float, Meta(gt=0)]

KEPT = 30
"""Rejected frames of one address that are kept per minute; a flood of rubbish must not fill the journal."""


class StreamSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of every TCP datasource. Times are seconds, sizes bytes."""

    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port.")]
    interface: Annotated[
        str,
        Meta(description="Address to listen on: `0.0.0.0` is all of IPv4, `::` all of IPv6 and IPv4."),
    ] = "0.0.0.0"
    max_connections: Annotated[
        int, Meta(gt=0, description="Open connections; further ones are closed at once.")
    ] = 10_000
    max_connections_per_address: Annotated[
        int,
        Meta(gt=0, description="The same for one address. Many NB-IoT devices share their operator's few."),
    ] = 2_500
    idle_timeout: Annotated[
        Seconds, Meta(description="A connection without a whole frame for this long is closed.")
    ] = 120.0
    proxy_protocol: Annotated[
        bool,
        Meta(
            description="Expect a PROXY header (version 1 or 2) with the device's address in front of each "
            "connection. Only behind a load balancer that sends it: anybody else could lie."
        ),
    ] = False

    def __post_init__(self) -> None:
        """Refuse an interface that nothing could listen on."""
        ipaddress.ip_address(self.interface.partition("%")[0])


class Session(Protocol):
    """One connection's protocol. Its methods may call the `Connection` that it was made with."""

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def ended(self) -> None:
        """Nothing more will come: the peer closed, or was silent for too long."""

    def closed(self, clean: bool) -> None:
        """The connection is gone; ``clean`` when it was closed in good order."""


@implementer(IHalfCloseableProtocol)
class Connection(TwistedProtocol):
    """One device's connection.

    A peer that closes its side only is still answered; then ours is closed, too.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.intake = listener.context.intake
        self.clock = listener.context.reactor
        self.session: Session | None = None
        self.host = ""
        self.peer_port = 0
        self._header = bytearray()
        self._admitted = False
        self._timer: Any = None
        self._waiting: deque[tuple[bytes, Metadata, Callable[[Answer], None]]] = deque()
        self._unanswered = 0
        self._is_paused = False
        self._is_half_closed = False
        self.is_open = False

    # --- Twisted ---

    def connectionMade(self) -> None:
        """A device connected; behind a balancer its address is known with the first bytes."""
        self.is_open = True
        peer: Any = self.transport.getPeer()  # type: ignore[union-attr]
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
        assert self.session is not None
        had_part = self.session.pending > 0
        self.session.received(data)
        # the start of a frame doesn't win time again and again: a whole one does
        if not had_part or not self.session.pending:
            self._timer.reset(self._listener.settings.idle_timeout)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """The connection is gone."""
        was_open, self.is_open = self.is_open, False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._listener.gone(self)
        if self.session is not None:
            if was_open and not self._is_half_closed:
                self.session.ended()
            self.session.closed(reason.check(ConnectionDone) is not None)

    def readConnectionLost(self) -> None:
        """The peer has said everything."""
        self._is_half_closed = True
        if self.session is not None and self.is_open:
            self.session.ended()
        self.close_if_done()

    def writeConnectionLost(self) -> None:
        """We never close our side only."""

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
        if self._listener.admit(self):
            self.session = self._listener.make_session(self)
        else:
            self._refuse("the limit of connections per address")

    def _refuse(self, reason: str) -> None:
        self._listener.refused(self, reason)
        self.is_open = False
        self.transport.abortConnection()  # type: ignore[union-attr]

    def _idle(self) -> None:
        if self._waiting:
            # it is the gateway that keeps the device waiting
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

    def now_ms(self) -> int:
        """The time in ms since 1970."""
        return int(self.clock.seconds() * 1000)

    def submit(self, payload: bytes, metadata: Metadata, answer: Callable[[Answer], None]) -> None:
        """Hand a message to the gateway; in order, and later when it is full. ``answer`` never hears BUSY."""
        self._listener.counts["frames"] += 1
        self._unanswered += 1
        self._waiting.append((payload, metadata, answer))
        self._hand_over()

    def reject(self, payload: bytes, metadata: Metadata, reason: str) -> None:
        """Keep bytes that are no message; of one address, so many a minute."""
        self._listener.counts["faults"] += 1
        if self._listener.kept.take(self.host) is not None:
            self.intake.reject(payload, {**self.metadata, **metadata}, reason)

    def write(self, data: bytes) -> None:
        """Send bytes to the device."""
        if self.is_open:
            self.transport.write(data)  # type: ignore[union-attr]

    def close(self) -> None:
        """Close when everything is written; a peer that doesn't let us is cut off after the idle time."""
        if self.is_open:
            self.is_open = False
            self.transport.loseConnection()  # type: ignore[union-attr]
            if self._timer.active():
                self._timer.cancel()
            self._timer = self.clock.callLater(self._listener.settings.idle_timeout, self.abort)

    def abort(self) -> None:
        """Close at once."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    def _hand_over(self) -> None:
        while self._waiting and self.intake.room:
            payload, metadata, answer = self._waiting.popleft()
            self.intake.receive(payload, metadata, _retrying(self, payload, metadata, answer))
        if self._waiting and not self._is_paused:
            self._is_paused = True
            self._listener.counts["paused"] += 1
            if self.is_open:
                self.transport.pauseProducing()  # type: ignore[union-attr]
            self.intake.when_room(self._go_on)

    def answered(self) -> None:
        """The gateway has answered one message."""
        self._unanswered -= 1

    def close_if_done(self) -> None:
        """Close, if the peer has said everything and heard of everything."""
        if self._is_half_closed and not self._unanswered:
            self.close()

    def again(
        self, payload: bytes, metadata: Metadata, answer: Callable[[Answer], None], after: float
    ) -> None:
        """The gateway was full after all: the message comes first when there is room, not before ``after``."""
        self._waiting.appendleft((payload, metadata, answer))
        if not self._is_paused:
            self._is_paused = True
            if self.is_open:
                self.transport.pauseProducing()  # type: ignore[union-attr]
            self.clock.callLater(after, self.intake.when_room, self._go_on)

    def _go_on(self) -> None:
        self._is_paused = False
        self._hand_over()
        if not self._is_paused and self.is_open:
            self.transport.resumeProducing()  # type: ignore[union-attr]


def _retrying(
    connection: Connection, payload: bytes, metadata: Metadata, answer: Callable[[Answer], None]
) -> Callable[[Answer], None]:
    def answered(result: Answer) -> None:
        if result.status is Status.BUSY:
            connection.again(payload, metadata, answer, result.retry_after or 1.0)
        else:
            connection.answered()
            answer(result)
            connection.close_if_done()

    return answered


def _plain(host: str) -> str:
    """An IPv4 address that came over an IPv6 socket, as itself."""
    return host.removeprefix("::ffff:") if "." in host else host


class Listener(Factory):
    """A TCP port with its connections: an `iotgw.interfaces.IDatasource` but for its name."""

    noisy = False

    def __init__(
        self,
        settings: StreamSettings,
        context: DatasourceContext,
        make_session: Callable[[Connection], Session],
    ) -> None:
        self.settings = settings
        self.context = context
        self.make_session = make_session
        self.counts: Counter[str] = Counter()
        self._connections: dict[Connection, None] = {}
        self._by_address: Counter[str] = Counter()
        self._counted: dict[Connection, str] = {}
        self._refusals = Sampled(context.reactor, context.intake, "refused")
        self.kept = Allowance(context.reactor, KEPT)
        self._port: Any = None
        self._closed: list[Deferred[None]] = []

    def buildProtocol(self, addr: Any) -> Connection:
        """See IProtocolFactory."""
        return Connection(self)

    # --- limits ---

    def count(self, connection: Connection) -> bool:
        """Note a new connection; False when there are too many."""
        self._connections[connection] = None
        self.counts["accepted"] += 1
        return len(self._connections) <= self.settings.max_connections

    def admit(self, connection: Connection) -> bool:
        """Note whose a connection is; False when its address has too many."""
        host = connection.host
        self._by_address[host] += 1
        self._counted[connection] = host
        return self._by_address[host] <= self.settings.max_connections_per_address

    def gone(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)
        host = self._counted.pop(connection, None)
        if host is not None:
            self._by_address[host] -= 1
            if not self._by_address[host]:
                del self._by_address[host]
        if not self._connections:
            waiting, self._closed = self._closed, []
            for each in waiting:
                each.callback(None)

    def refused(self, connection: Connection, reason: str) -> None:
        """A connection was turned away."""
        self.counts["refused"] += 1
        self._refusals.note(connection.host, f"refused a connection from {connection.host}: {reason}")

    # --- IDatasource ---

    def start(self) -> Deferred[Any]:
        """Open the port."""
        listening = maybeDeferred(
            self.context.reactor.listenTCP,
            self.settings.port,
            self,
            backlog=511,
            interface=self.settings.interface,
        )
        return listening.addCallback(self._opened)

    def _opened(self, port: Any) -> None:
        self._port = port

    @property
    def port(self) -> int:
        """The port that was opened; its settings may have said 0."""
        return int(self._port.getHost().port)

    def stop(self) -> Deferred[Any]:
        """Close the port, then the connections; fires when the last one is gone."""
        if self._port is None:
            return succeed(None)
        closing = [maybeDeferred(self._port.stopListening)]
        if self._connections:
            gone: Deferred[None] = Deferred()
            self._closed.append(gone)
            closing.append(gone)
            for connection in list(self._connections):
                connection.abort()
        self._port = None
        return gatherResults(closing)

    def status(self) -> dict[str, Any]:
        """See `iotgw.interfaces.IDatasource.status`."""
        if self._port is None:
            return {"state": "stopped"}
        host = self._port.getHost()
        return {
            "state": "listening",
            "address": f"tcp {_bracketed(host.host)}:{host.port}",
            "connections": len(self._connections),
            **self.counts,
        }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
