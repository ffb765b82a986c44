"""A pool of persistent connections to one HTTP server, with one request at a time on each.

There is no Deferred and no timer per request: a request is bytes and a callback, and a check once a second
finds those that take too long. Requests aren't pipelined, since a POST must not be (RFC 9112 §9.3.2).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.connect.endpoint import in_words
from iotgw.core.errors import ProtocolError
from iotgw.core.small_reads import read_at_most
from iotgw.core.write_now import write
from iotgw.wire.http1 import KEPT, Reader, Response

ONE_READ = 8 << 10
"""Bytes that are read of a connection before others have their turn: a chunk of an answer may have one byte, and take six."""
IDLE = 30.0
"""Seconds after which an idle connection is closed."""
LEAVE = 5.0
"""Seconds that a server has to read the rest of a request that it answered early."""
UNANSWERED = "no complete response"
GONE = "the connection was lost"

Answer = Callable[[Response | None, str], None]
"""Called once with the response, or with None and why there is none."""


def may_have_arrived(reason: str) -> bool:
    """Whether a request for which there is no response, for this reason, may have reached the server."""
    return reason.startswith((UNANSWERED, GONE))


class HttpConnection(Protocol):
    """One connection of a pool."""

    transport: Any

    def __init__(self, pool: HttpPool) -> None:
        self._pool = pool
        self._reader = Reader(pool.kept)
        self._answer: Answer | None = None
        self.deadline = 0.0
        self._reason = ""
        self.gone: Deferred[None] = Deferred()

    @property
    def busy(self) -> bool:
        """Whether a request waits for its response."""
        return self._answer is not None

    def connectionMade(self) -> None:
        """Requests are small and wait for their responses, so send them at once."""
        self.transport.setTcpNoDelay(True)
        read_at_most(self.transport, ONE_READ)

    def request(self, data: bytes, answer: Answer, deadline: float) -> None:
        """Send a request."""
        self._answer = answer
        self.deadline = deadline
        write(self.transport, data)

    def dataReceived(self, data: bytes) -> None:
        """Read a response."""
        if self._answer is None:
            self.end("the server sent data without a request")
            return
        try:
            response = self._reader.receive(data)
        except ProtocolError as error:
            self.end(str(error))
            return
        if response is not None:
            self._done(response)

    def _done(self, response: Response) -> None:
        answer, self._answer = self._answer, None
        if response.reusable:
            self._pool.free(self)
        else:
            self._pool.leave(self)
        if answer is not None:
            answer(response, "")

    def end(self, reason: str) -> None:
        """Break the connection."""
        self._reason = reason
        self._pool.lost(self)
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Call the request's callback."""
        self._pool.gone(self)
        response = self._reader.ended() if reason.check(ConnectionDone) else None
        answer, self._answer = self._answer, None
        if answer is not None:
            answer(response, self._reason or f"{GONE}: {in_words(reason)}")
        self.gone.callback(None)


class HttpPool:
    """Up to ``size`` connections made by a Twisted endpoint; ``timeout`` in seconds covers a whole exchange,
    from the request's turn to the end of the response's body. ``kept`` are the bytes of a body that are kept."""

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        endpoint: IStreamClientEndpoint,
        size: int,
        timeout: float,
        kept: int = KEPT,
    ) -> None:
        self.kept = kept
        self._reactor = reactor
        self._endpoint = endpoint
        self._size = size
        self._timeout = timeout
        self._open: dict[HttpConnection, None] = {}
        self._free: list[HttpConnection] = []
        self._leaving: dict[HttpConnection, None] = {}
        self._connecting = 0
        self._queue: deque[tuple[bytes, Answer, float]] = deque()
        self._attempts: set[Deferred[Any]] = set()
        self._closing = False
        self._factory = Factory.forProtocol(lambda: HttpConnection(self))
        self._factory.noisy = False
        self._loop = LoopingCall(self._tick)
        self._loop.clock = reactor

    @property
    def spare(self) -> int:
        """How many more requests could be under way at once."""
        busy = len(self._open) - len(self._free)
        return max(0, self._size - busy - len(self._queue))

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def request(self, data: bytes, answer: Answer) -> None:
        """Send a request on the next free connection."""
        if self._closing:
            answer(None, "stopped")
            return
        deadline = self._reactor.seconds() + self._timeout
        if self._free:
            self._free.pop().request(data, answer, deadline)
            return
        self._queue.append((data, answer, deadline))
        self._connect()

    def close(self) -> Deferred[Any]:
        """Close everything; fires when all connections are closed."""
        self._closing = True
        if self._loop.running:
            self._loop.stop()
        for attempt in list(self._attempts):
            attempt.cancel()
        self._fail("stopped")
        gone = [connection.gone for connection in self._open]
        for connection in [*self._open, *self._leaving]:
            if connection.busy:
                connection.end("stopped")
            else:
                connection.transport.loseConnection()
        done = DeferredList(gone, consumeErrors=True)  # those that take too long are cancelled
        return done.addTimeout(2.0, self._reactor, lambda result, timeout: None)

    def _connect(self) -> None:
        if not self._loop.running:
            self._loop.start(1.0, now=False).addErrback(
                lambda failure: self._log.failure("the HTTP time-out check failed", failure)
            )
        while self._connecting < len(self._queue) and len(self._open) + self._connecting < self._size:
            self._connecting += 1
            attempt = self._endpoint.connect(self._factory)
            self._attempts.add(attempt)
            attempt.addBoth(self._attempted, attempt)

    def _attempted(self, result: Any, attempt: Deferred[Any]) -> None:
        self._attempts.discard(attempt)
        self._connecting -= 1
        if isinstance(result, Failure):
            if not self._closing:
                self._fail(in_words(result))
            return
        self._open[result] = None
        self.free(result)

    def _fail(self, reason: str) -> None:
        """Fail the waiting requests, since no connection will be made for them."""
        waiting, self._queue = self._queue, deque()
        for _, answer, _ in waiting:
            answer(None, reason)

    # --- for the connections

    def free(self, connection: HttpConnection) -> None:
        """The connection is free for the next request."""
        if self._closing:
            connection.transport.loseConnection()
        elif self._queue:
            connection.request(*self._queue.popleft())
        else:
            connection.deadline = self._reactor.seconds() + IDLE
            self._free.append(connection)

    def leave(self, connection: HttpConnection) -> None:
        """Close the connection once its data is sent."""
        connection.deadline = self._reactor.seconds() + LEAVE
        self._leaving[connection] = None
        self.lost(connection)
        connection.transport.loseConnection()

    def gone(self, connection: HttpConnection) -> None:
        """The connection is closed."""
        self._leaving.pop(connection, None)
        self.lost(connection)

    def lost(self, connection: HttpConnection) -> None:
        """The connection takes no more requests."""
        if self._open.pop(connection, self) is None and connection in self._free:
            self._free.remove(connection)
        if self._queue and not self._closing:
            self._connect()

    def _tick(self) -> None:
        now = self._reactor.seconds()
        for connection in list(self._open):
            if now > connection.deadline:
                if connection.busy:
                    connection.end(f"{UNANSWERED} within {self._timeout:g} s")
                else:
                    self.leave(connection)
        for connection in list(self._leaving):
            if now > connection.deadline:
                connection.transport.abortConnection()
        while self._queue and now > self._queue[0][2]:
            self._queue.popleft()[1](None, f"no connection within {self._timeout:g} s")
        busy = self._open or self._leaving or self._queue or self._connecting
        if not busy and self._loop.running:
            self._loop.stop()
