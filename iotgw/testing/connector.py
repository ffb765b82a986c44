"""An `IConnector` that opens no connections."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from iotgw.core.ports.connect import IAsyncioThread, IConnector, ITlsSettings

T = TypeVar("T")


class FakeTcp(StringTransport):
    """The transport of a TCP connection in memory; ``protocol`` is who has it."""

    protocol: IProtocol

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There are no packets."""


@implementer(IStreamClientEndpoint)
class FakeEndpoint:
    """An endpoint whose connection attempts wait in ``attempts`` until a test calls `accept` or `refuse` for
    the oldest."""

    def __init__(self) -> None:
        self.attempts: list[tuple[IProtocolFactory, Deferred[IProtocol]]] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint.connect`."""

        def gave_up(waiting: Deferred[IProtocol]) -> None:
            self.attempts = [each for each in self.attempts if each[1] is not waiting]

        waiting: Deferred[IProtocol] = Deferred(gave_up)
        self.attempts.append((protocolFactory, waiting))
        return waiting

    def accept(self) -> FakeTcp:
        """Make the oldest attempt a connection; returns its transport, which holds what was sent."""
        factory, waiting = self.attempts.pop(0)
        protocol = factory.buildProtocol(None)  # type: ignore[arg-type]  # nobody's address
        if protocol is None:
            raise ConnectionRefusedError("the factory wants no connection")
        transport = FakeTcp()  # type: ignore[no-untyped-call]
        transport.protocol = protocol
        protocol.makeConnection(transport)
        waiting.callback(protocol)
        return transport

    def refuse(self, reason: Exception) -> None:
        """Let the oldest attempt fail."""
        self.attempts.pop(0)[1].errback(reason)


@implementer(IAsyncioThread)
class FakeAsyncioThread:
    """Starts no thread, and runs nothing: ``running`` are the Deferreds of what it was given. A cancelled one fires at once."""

    def __init__(self) -> None:
        self.running: list[Deferred[Any]] = []

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
        """See `IAsyncioThread.run`."""
        coroutine.close()
        waiting: Deferred[T] = Deferred()
        self.running.append(waiting)
        return waiting

    def call(self, function: Callable[..., object], *args: object) -> None:
        """See `IAsyncioThread.call`: nothing runs."""


@implementer(IConnector)
class FakeConnector:
    """Makes a `FakeEndpoint` for each host and port, kept in ``endpoints``; opens no socket."""

    def __init__(self, forbid: Sequence[str] = ()) -> None:
        self.forbid = forbid
        self.endpoints: dict[tuple[str, int], FakeEndpoint] = {}
        self._asyncio = FakeAsyncioThread()

    def endpoint(
        self,
        host: str,
        port: int,
        timeout: float,
        tls: ITlsSettings | None = None,
        place: str = "configuration.tls",
        proxy: str = "",
    ) -> FakeEndpoint:
        """See `IConnector.endpoint`."""
        return self.endpoints.setdefault((host, port), FakeEndpoint())

    def asyncio(self) -> FakeAsyncioThread:
        """See `IConnector.asyncio`."""
        return self._asyncio
