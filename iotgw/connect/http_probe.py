"""Tests a connection to an HTTP server: connect, send one request, say how far that came."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHandshakeListener,
    IReactorTime,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.endpoint import in_words
from iotgw.core.errors import ProtocolError
from iotgw.wire.http1 import Reader, Response


class Probed(Struct, frozen=True):
    """How far it came: ``connection`` is "connected" or "connected by TLSv1.3", empty if there was none; ``response`` is None
    where none came, and ``reason`` says why. ``is_over`` is whether the server closed the connection instead of answering."""

    connection: str
    response: Response | None
    reason: str
    is_over: bool = False


@implementer(IHandshakeListener)
class _Probe(Protocol):
    """One connection; ``done`` fires with `Probed`."""

    transport: Any

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._reader = Reader()
        self._connection = ""
        self.done: Deferred[Probed] = Deferred(lambda _: self.transport.abortConnection())

    def connectionMade(self) -> None:
        """Ask."""
        if not ISSLTransport.providedBy(self.transport):
            self._connection = "connected"
        self.transport.write(self._request)

    def handshakeCompleted(self) -> None:
        """The server has proved itself."""
        self._connection = f"connected by {self.transport.getHandle().get_protocol_version_name()}"

    def dataReceived(self, data: bytes) -> None:
        """Read the answer."""
        try:
            response = self._reader.receive(data)
        except ProtocolError as error:
            self._end(None, str(error))
            return
        if response is not None:
            self._end(response, "")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The server doesn't go on."""
        is_over = reason.check(ConnectionDone) is not None and bool(self._connection)
        response = self._reader.ended() if is_over else None
        self._end(response, in_words(reason), is_over and self._reader.idle)

    def late(self, seconds: float) -> None:
        """No answer came in time."""
        self._end(None, f"no answer within {seconds:g} s")

    def _end(self, response: Response | None, reason: str, is_over: bool = False) -> None:
        if not self.done.called:
            self.done.callback(Probed(self._connection, response, reason, is_over))
            self.transport.abortConnection()


def probe(
    reactor: IReactorTime, way: IStreamClientEndpoint, request: bytes, patience: float
) -> Deferred[Probed]:
    """Connect, send a request, and wait for the answer for ``patience`` seconds. Never fails."""
    asking = _Probe(request)
    factory = Factory.forProtocol(lambda: asking)
    factory.noisy = False

    async def ask() -> Probed:
        try:
            await way.connect(factory)
        except Exception as error:
            return Probed("", None, in_words(Failure(error)))
        call = reactor.callLater(patience, asking.late, patience)
        try:
            return await asking.done
        finally:
            if call.active():
                call.cancel()

    return Deferred.fromCoroutine(ask())
