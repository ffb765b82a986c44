"""WebSockets as a client (RFC 6455), for protocols that are a stream of bytes: an endpoint over an endpoint.

The package ``websockets`` makes and reads the frames, without any I/O; it is an extra. Bytes that are written leave as one
binary message, and bytes of binary messages arrive as they come, whatever their boundaries (MQTT 5.0 §6).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.errors import SettingsError, Unavailable
from iotgw.core.small_reads import read_at_most

if TYPE_CHECKING:
    from websockets.client import ClientProtocol

HANDSHAKE = 15.0
"""Seconds that a server has for its answer."""
ONE_READ = 2 << 10
"""Bytes that are read before others have their turn: frames of two bytes are some milliseconds' work."""
LARGEST = 4 << 20
"""Bytes of a message from a server; it may have many packets in it."""
SUBPROTOCOL = "mqtt"
"""What a client has to ask for (MQTT 5.0 §6)."""


def over(
    way: IStreamClientEndpoint, clock: IReactorTime, place: str, path: str, is_tls: bool, setting: str
) -> IStreamClientEndpoint:
    """An endpoint whose connections are WebSockets at a path on connections of ``way``.

    ``place`` is host and port as the request names them, ``setting`` the setting to blame. Raises SettingsError when the
    extra is not installed.
    """
    try:
        from websockets.client import ClientProtocol  # noqa: PLC0415 - an extra
        from websockets.uri import WebSocketURI  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            setting, "expected the extra iotgw[websockets] to be installed: pip install 'iotgw[websockets]'"
        ) from None
    host, _, port = place.rpartition(":")
    path, _, query = path.partition("?")
    uri = WebSocketURI(is_tls, host, int(port), path, query)

    def conversation() -> ClientProtocol:
        return ClientProtocol(uri, subprotocols=[SUBPROTOCOL], max_size=LARGEST)  # type: ignore[list-item]

    return _Endpoint(way, clock, conversation)


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, way: IStreamClientEndpoint, clock: IReactorTime, conversation: Any) -> None:
        self._way = way
        self._clock = clock
        self._conversation = conversation

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """See `IStreamClientEndpoint`: fires with the inner protocol once the server has agreed."""
        socket = WebSocket(self._conversation(), protocolFactory, self._clock)
        factory = Factory.forProtocol(lambda: socket)
        factory.noisy = False
        made: Deferred[Any] = self._way.connect(factory)
        return made.addCallback(lambda _: socket.agreed)


@implementer(ITransport)
class WebSocket(Protocol):
    """One WebSocket: a protocol on its connection, and the transport of the protocol inside.

    ``agreed`` fires with the protocol inside when the server has answered, or fails with Unavailable.

    Many methods: six are Twisted's of a protocol, and the rest those of a transport.
    """

    transport: Any

    def __init__(self, conversation: ClientProtocol, factory: IProtocolFactory, clock: IReactorTime) -> None:
        self._conversation = conversation
        self._factory = factory
        self._clock = clock
        self._inner: IProtocol | None = None
        self._timer: IDelayedCall | None = None
        self._reason = ""
        self.agreed: Deferred[Any] = Deferred(lambda _: self._end("stopped"))

    # --- on the connection

    def connectionMade(self) -> None:
        """Ask for the WebSocket."""
        read_at_most(self.transport, ONE_READ)
        self._timer = self._clock.callLater(
            HANDSHAKE, self._end, "the server did not answer the WebSocket's request"
        )
        self._conversation.send_request(self._conversation.connect())
        self._flush()

    def dataReceived(self, data: bytes) -> None:
        """Read frames, or the answer to the request."""
        from websockets.frames import Frame, Opcode  # noqa: PLC0415 - an extra
        from websockets.http11 import Response  # noqa: PLC0415

        self._conversation.receive_data(data)
        self._flush()
        for event in self._conversation.events_received():
            if isinstance(event, Response):
                self._answered(event)
            elif isinstance(event, Frame) and self._inner is not None:
                if event.opcode in (Opcode.BINARY, Opcode.CONT):
                    self._inner.dataReceived(bytes(event.data))
                elif event.opcode is Opcode.TEXT:
                    self._end("the server sent text in a WebSocket of bytes")
                    return
                elif event.opcode is Opcode.CLOSE:
                    code = f" (code {int.from_bytes(event.data[:2], 'big')})" if event.data else ""
                    self._end(f"the server closed the WebSocket{code}")
                    return
        if self._inner is None and self._conversation.handshake_exc is not None:
            self._end("the server speaks no HTTP, so no WebSocket can be made there")
        elif self._conversation.close_expected():
            self._end("the server's frames are malformed or too large")

    def _answered(self, response: Any) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._conversation.handshake_exc is not None:
            self._end(
                f"the server refused the WebSocket: HTTP {response.status_code}"
                if response.status_code != 101
                else "the server's answer to the WebSocket's request is wrong"
            )
            return
        inner = self._factory.buildProtocol(self.transport.getPeer())
        if inner is None:
            self._end("stopped")
            return
        self._inner = inner
        inner.makeConnection(self)
        self.agreed.callback(inner)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol inside, or whoever waits for it."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._inner is not None:
            self._inner.connectionLost(Failure(Unavailable(self._reason)) if self._reason else reason)
        elif not self.agreed.called:
            said = (
                self._reason or "the server closed the connection before it answered the WebSocket's request"
            )
            self.agreed.errback(Unavailable(said))

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        if self.transport is not None:
            self.transport.abortConnection()

    def _flush(self) -> None:
        out = [data for data in self._conversation.data_to_send() if data]
        if out:
            self.transport.write(b"".join(out))

    # --- for the protocol inside

    @property
    def disconnecting(self) -> bool:
        """Whether the connection is being closed."""
        return bool(self.transport.disconnecting)

    def write(self, data: bytes) -> None:
        """One binary message."""
        from websockets.protocol import OPEN  # noqa: PLC0415 - an extra

        if data and self._conversation.state is OPEN:
            self._conversation.send_binary(data)
            self._flush()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """One binary message of several pieces."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Say that it ends, and close."""
        from websockets.protocol import OPEN  # noqa: PLC0415 - an extra

        if self._conversation.state is OPEN:
            self._conversation.send_close(1000)
            self._flush()
        self.transport.loseConnection()

    def abortConnection(self) -> None:
        """Close at once."""
        self.transport.abortConnection()

    def getPeer(self) -> Any:
        """The address of the other side."""
        return self.transport.getPeer()

    def getHost(self) -> Any:
        """Our own address."""
        return self.transport.getHost()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See `ITCPTransport`."""
        self.transport.setTcpNoDelay(enabled)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See `IConsumer`."""
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """See `IConsumer`."""
        self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """Stop reading."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()
