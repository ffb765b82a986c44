"""Keeps a connection to a RabbitMQ broker up, with one channel on it.

pika speaks AMQP 0-9-1 on a Twisted transport. Its own channel for Twisted isn't used: it makes a Deferred for each message, and
takes a returned message for the first of those that are confirmed together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect import endpoint as endpoints
from iotgw.connect.rabbit_access import RabbitAccess, in_words, library, parameters
from iotgw.core.errors import Unavailable

GREETING = 30.0
"""Seconds in which a broker must have accepted a connection and set up its channel."""
LARGEST = 160 << 20
"""Bytes that may come without a message being complete: RabbitMQ takes messages of up to 128 MiB."""


class RabbitOwner(Protocol):
    """The user of a client. Nothing may raise."""

    def set_up(self, channel: Any, ready: Callable[[], None]) -> None:
        """A channel is open. Calls ``ready()`` once all is declared and subscribed."""

    def on_up(self) -> None:
        """The channel is ready."""

    def on_lost(self, reason: str) -> None:
        """There is no connection, or none any more; another try comes."""

    def on_blocked(self, reason: str) -> None:
        """The broker takes no messages for now: it is short of memory or disk. Empty when it takes them again."""


class RabbitClient:
    """Keeps one connection up from `start` to `stop`. ``retry`` gives the seconds to wait after so many failures in a row.
    Raises SettingsError where the package pika is missing."""

    def __init__(
        self,
        reactor: IReactorTime,
        access: RabbitAccess,
        endpoint: IStreamClientEndpoint,
        retry: Callable[[int], float],
        owner: RabbitOwner,
    ) -> None:
        library()
        self._reactor = reactor
        self._access = access
        self._endpoint = endpoint
        self._owner = owner
        self._is_stopping = False
        self._connection: Any = None
        self.channel: Any = None
        """The channel, while it is ready."""
        factory = Factory.forProtocol(TwistedProtocol)
        factory.noisy = False
        self._service = ClientService(_RabbitWelcome(self), factory, retryPolicy=retry, clock=reactor)

    def start(self) -> None:
        """Connect, and stay connected."""
        self._is_stopping = False
        self._service.startService()

    def stop(self) -> Deferred[None]:
        """Disconnect; fires when the connection is closed."""
        self._is_stopping = True
        if self._connection is not None:
            self._connection.goodbye()
        later: Deferred[None] = Deferred()
        # in a turn of its own, since whoever waits may call the service again
        stopped: Deferred[None] = self._service.stopService()
        stopped.addCallback(lambda _: self._reactor.callLater(0, later.callback, None))
        return later

    def give_up(self, reason: str) -> None:
        """End the connection, for a reason of the owner's; another one is made."""
        if self._connection is not None:
            self._connection.fail(Unavailable(reason))

    def progress(self) -> None:
        """A message is complete."""
        if self._connection is not None:
            self._connection.received = 0

    # --- for the endpoint

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """A connection with a channel that is ready; ``factory`` makes what `ClientService` watches."""
        connection = _connection_class()(parameters(self._access), self._reactor)
        self._connection = connection
        inner = Factory.forProtocol(lambda: connection)
        inner.noisy = False
        outer: list[Any] = []

        def ended(reason: str) -> None:
            self.channel = None
            self._connection = None
            if not self._is_stopping or outer:
                self._owner.on_lost(reason)
            if outer:
                outer[0].connectionLost(Failure(ConnectionDone()))

        def made(_: object) -> Deferred[Any]:
            accepted: Deferred[Any] = connection.accepted
            accepted.addTimeout(
                GREETING,
                self._reactor,
                lambda _, after: connection.fail(Unavailable("the broker says nothing")),
            )
            return accepted

        def ready(channel: Any) -> Any:
            if channel is None or connection.is_over:
                raise Unavailable(connection.reason or "the broker says nothing")
            watched: Any = factory.buildProtocol(connection.transport.getPeer())
            watched.makeConnection(connection.transport)
            outer.append(watched)
            self.channel = channel
            self._owner.on_up()
            return watched

        def missed(failure: Failure) -> Failure:
            connection.ended = lambda reason: None
            connection.fail(failure.value)
            ended(connection.reason or endpoints.in_words(failure))
            return failure

        connection.ended = ended
        connection.blocked = self._owner.on_blocked
        connection.set_up = self._owner.set_up
        connecting: Deferred[Any] = self._endpoint.connect(inner)
        return connecting.addCallback(made).addCallback(ready).addErrback(missed)


@implementer(IStreamClientEndpoint)
class _RabbitWelcome:
    """An endpoint whose connection counts as made only once its channel is ready."""

    def __init__(self, client: RabbitClient) -> None:
        self._client = client

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """See `IStreamClientEndpoint`."""
        return self._client.connect(protocolFactory)


def _connection_class() -> Any:
    """The class of connections; pika is imported when there is one."""
    from pika.adapters.twisted_connection import TwistedProtocolConnection  # noqa: PLC0415 - an extra

    from iotgw.connect import rabbit_frames  # noqa: PLC0415 - the same

    class _RabbitConnection(TwistedProtocolConnection):  # type: ignore[misc]
        """One connection. Whatever goes wrong on it ends it, with a ``reason``."""

        def __init__(self, made: Any, reactor: IReactorTime) -> None:
            super().__init__(made, custom_reactor=reactor)
            impl: Any = self._impl
            impl._read_frame = lambda: rabbit_frames.read(impl._frame_buffer)
            self.accepted: Deferred[Any] = Deferred()
            """Fires with the channel when it is ready."""
            self.ended: Callable[[str], None] = lambda reason: None
            self.blocked: Callable[[str], None] = lambda reason: None
            self.set_up: Callable[[Any, Callable[[], None]], None] = lambda channel, ready: None
            self.received = 0
            self.reason = ""
            self.is_over = False
            self.ready.addCallbacks(self._open, lambda failure: self.fail(failure.value))

        def fail(self, error: BaseException) -> None:
            """End it, if it hasn't ended."""
            self.reason = self.reason or in_words(error)
            if self.transport is not None:
                self.transport.abortConnection()

        def goodbye(self) -> None:
            """Say that the connection is going to be closed."""
            with contextlib.suppress(Exception):
                if self._impl.is_open:
                    self.close()

        def dataReceived(self, data: bytes) -> None:
            """See `IProtocol.dataReceived`. A broker that breaks the protocol ends the connection."""
            self.received += len(data)
            try:
                if self.received > LARGEST:
                    raise Unavailable("the broker's message has no end")
                super().dataReceived(data)
            except Exception as error:
                self.fail(error)

        def connectionLost(self, reason: Failure) -> None:
            """See `IProtocol.connectionLost`."""
            self.is_over = True
            said = getattr(self._impl, "_error", None)  # the base forgets what the broker said at last
            if isinstance(said, Exception) and not self.reason:
                self.reason = in_words(said)
            super().connectionLost(reason)
            self.reason = self.reason or endpoints.in_words(reason)
            if not self.accepted.called:
                self.accepted.callback(None)
            ended, self.ended = self.ended, lambda reason: None
            ended(self.reason)

        def _open(self, _: object) -> None:
            self.closed.addBoth(
                lambda error: self.fail(error if isinstance(error, Exception) else error.value)
            )
            self._impl.add_on_connection_blocked_callback(
                lambda _, frame: self.blocked(f"the broker is blocked: {frame.method.reason}")
            )
            self._impl.add_on_connection_unblocked_callback(lambda _, frame: self.blocked(""))
            self._impl.channel(on_open_callback=self._opened)

        def _opened(self, channel: Any) -> None:
            channel.add_on_close_callback(lambda _, error: self.fail(error))

            def ready() -> None:
                if not self.accepted.called:
                    self.accepted.callback(channel)

            self.set_up(channel, ready)

        def _on_connection_failed(self, connection: Any, error: Any = None) -> None:
            """See the base, which drops the error."""
            if isinstance(error, BaseException):
                self.reason = self.reason or in_words(error)
            super()._on_connection_failed(connection, error)

    return _RabbitConnection
