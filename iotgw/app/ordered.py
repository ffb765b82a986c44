"""Services that are started one after another, and stopped in reverse order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

Work = Callable[[], Awaitable[object] | None]
"""Starts or stops a part; a Deferred fires when that is done."""


def nothing() -> None:
    """For a part that needs no start or no stop."""


class PartService(Service):
    """A part as a service. A failed start must leave nothing that would have to be stopped."""

    def __init__(self, name: str, start: Work = nothing, stop: Work = nothing) -> None:
        self.setName(name)
        self._start = start
        self._stop = stop

    def startService(self) -> Deferred[None]:
        """Start it; fires when that is done, or fails."""
        super().startService()
        return ensureDeferred(_done(self._start))

    def stopService(self) -> Deferred[None]:
        """Stop it; fires when that is done, or fails."""
        super().stopService()
        return ensureDeferred(_done(self._stop))


async def _done(work: Work) -> None:
    waiting = work()
    if waiting is not None:
        await waiting


class OrderedServices(MultiService):
    """Starts each child when the one before it has started, and stops each when the one after it has stopped.

    When a start fails, what has started is stopped. A stop that comes while a child starts waits for that child, but
    no longer than ``patience`` seconds; further ones are not started.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, patience: float) -> None:
        super().__init__()
        self._clock = clock
        self._patience = patience
        self._begun: Deferred[None] | None = None
        self._up: list[Service] = []

    def startService(self) -> Deferred[None]:
        """Start the children; fires when all of them have started, or when it was stopped meanwhile. Fails as the child
        did, once the others have stopped."""
        Service.startService(self)
        self._begun = ensureDeferred(self._start_children())
        return self._begun

    async def _start_children(self) -> None:
        try:
            for child in list(self):
                if not self.running:
                    return
                await maybeDeferred(child.startService)
                self._up.append(child)
        except Exception:
            self.start_failed(Failure())
            await self._stop_children()
            raise

    def start_failed(self, failure: Failure) -> None:
        """A child could not start; the others are stopped after this."""

    def stopService(self) -> Deferred[None]:
        """Stop what has started; fires when all of it has stopped."""
        Service.stopService(self)
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        await self._no_longer_starting()
        await self._stop_children()

    def _no_longer_starting(self) -> Deferred[None]:
        begun = self._begun
        if begun is None or begun.called:
            return succeed(None)
        over: Deferred[None] = Deferred()

        def tell(result: object) -> object:
            if not over.called:
                over.callback(None)
            return result

        begun.addBoth(tell)
        over.addTimeout(self._patience, self._clock, lambda result, timeout: None)
        return over

    async def _stop_children(self) -> None:
        while self._up:
            child = self._up.pop()
            try:
                await maybeDeferred(child.stopService)
            except Exception:
                self._log.failure("{name} could not be stopped", name=child.name)
