"""One thread with one asyncio loop, for broker libraries that need asyncio; the reactor stays as it is.

The loop connects to nothing that is forbidden: a broker may name any address as that of another broker. The thread starts
with the first coroutine, and ends with the last one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.forbidden import Network, is_forbidden
from iotgw.core.ports.connect import IAsyncioThread
from iotgw.core.ports.reactor import IThreadedClock

T = TypeVar("T")


class ForbiddenHere(OSError):
    """The loop was asked for a connection to an address that the operator forbids."""


class GuardedLoop(asyncio.SelectorEventLoop):
    """A loop whose connections lead to no forbidden address, whatever names and addresses a library connects to."""

    def __init__(self, forbidden: Sequence[Network]) -> None:
        super().__init__()
        self._forbidden = forbidden

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """See `asyncio.loop.sock_connect`, by which `create_connection` tries each address."""
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            if not _is_address(address[0]):
                host, port = address[:2]
                found = await self.getaddrinfo(host, port, family=sock.family, type=sock.type)
                address = found[0][4]
            if is_forbidden(str(address[0]), self._forbidden):
                raise ForbiddenHere(f"{address[0]} is forbidden here")
        await super().sock_connect(sock, address)

    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> Any:
        """None: a datagram may go anywhere without a connection."""
        raise ForbiddenHere("datagrams are forbidden here")


@implementer(IAsyncioThread)
class AsyncioThread:
    """See `IAsyncioThread`. ``forbidden`` are networks as in `iotgw.connect.forbidden`."""

    def __init__(self, reactor: IThreadedClock, forbidden: Sequence[Network] = ()) -> None:
        self._reactor = reactor
        self._forbidden = forbidden
        self._loop: GuardedLoop | None = None
        self._running = 0

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
        """See `IAsyncioThread.run`."""
        if self._loop is None:
            self._loop = loop = GuardedLoop(self._forbidden)
            threading.Thread(target=_live, args=(loop,), name="asyncio", daemon=True).start()
        loop = self._loop
        self._running += 1
        tasks: list[asyncio.Task[T]] = []

        def cancel(_: Deferred[T]) -> None:
            loop.call_soon_threadsafe(stop)

        def stop() -> None:
            tasks[0].cancel()

        waiting: Deferred[T] = Deferred(cancel)

        def over(result: T | Failure) -> None:
            self._left()
            if not waiting.called:
                waiting.callback(result)

        def done(task: asyncio.Task[T]) -> None:
            self._reactor.callFromThread(over, _result(task))

        def begin() -> None:
            task = loop.create_task(coroutine)
            tasks.append(task)
            task.add_done_callback(done)

        loop.call_soon_threadsafe(begin)
        return waiting

    def call(self, function: Callable[..., object], *args: object) -> None:
        """See `IAsyncioThread.call`."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(function, *args)

    def _left(self) -> None:
        self._running -= 1
        if not self._running and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _result(task: asyncio.Task[T]) -> T | Failure:
    if task.cancelled():
        return Failure(CancelledError())
    error = task.exception()
    return task.result() if error is None else Failure(error)


def _live(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped, then end what a library left behind in it."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
