"""What a node delivers of partitions that others own: to the integrations that are `single`, and this node's."""

from __future__ import annotations

from collections.abc import Callable, Collection

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.app.integrations import RegisteredIntegrations
from iotgw.app.undo import Undo
from iotgw.core.errors import IotgwError
from iotgw.core.lent_registry import LentRegistry
from iotgw.delivery.service import DeliveryService
from iotgw.pipeline.publisher import Publisher
from iotgw.store.loans import LoanJournal


class BorrowedFlow:
    """The way of another partition's records to the targets. ``began`` is called when it delivers, and returns what ends that;
    ``covers`` holds its deliveries back while the gateway is paused (see `Pause.covers`)."""

    def __init__(
        self, registry: LentRegistry, journal: LoanJournal, delivery: DeliveryService, integrations: RegisteredIntegrations,
        began: Callable[[], Callable[[], None]], covers: Callable[[DeliveryService], Callable[[], None]],
    ) -> None:  # fmt: skip
        self.delivery = delivery
        self._registry = registry
        self._journal = journal
        self._integrations = integrations
        self._began = began
        self._covers = covers
        self._undo = Undo("deliveries for another node")

    async def start(self) -> None:
        """Begin."""
        self._undo.append(self._registry.close)
        await self._journal.start(Publisher([self.delivery], lambda: None, lambda *damage: None))
        self._undo.append(self._journal.stop)
        self._undo.append(self._covers(self.delivery))
        self.delivery.start()
        self._undo.append(self.delivery.stop)
        self._journal.watch()
        await self._integrations.start()
        self._undo.append(self._integrations.stop)
        self._undo.append(self._began())

    async def stop(self) -> None:
        """End it; the cursors are written."""
        await self._undo.all()


class Borrowing:
    """The flows of the partitions that others own, as long as this node has an integration to deliver to (``is_wanted``)."""

    _log = Logger()

    def __init__(self, make: Callable[[int], BorrowedFlow], is_wanted: Callable[[], bool]) -> None:
        self._make = make
        self._is_wanted = is_wanted
        self._flows: dict[int, tuple[BorrowedFlow, Deferred[None]]] = {}
        """Each with the Deferred of its start."""
        self._ending: dict[int, list[Deferred[None]]] = {}
        """Partitions of which the work ends, with who waits for that."""

    def look(self, parts: Collection[int]) -> None:
        """These partitions are others'."""
        wanted = parts if self._is_wanted() else ()
        for part in wanted:
            if part not in self._flows and part not in self._ending:
                flow = self._make(part)
                started = ensureDeferred(flow.start()).addErrback(self._not_started, part)
                self._flows[part] = flow, started
        for part in list(self._flows):
            if part not in wanted:
                self.end(part)

    def _not_started(self, failure: Failure, part: int) -> None:
        if failure.check(IotgwError):
            self._log.warn(
                "partition {part} could not be looked at: {reason}",
                part=part,
                reason=failure.getErrorMessage(),
            )
        else:
            self._log.failure("deliveries for another node could not begin", failure)
        self._flows.pop(part, None)

    def end(self, part: int) -> Deferred[None]:
        """Deliver nothing of a partition any more. Fires when that is so."""
        done: Deferred[None] = Deferred()
        if part in self._ending:
            self._ending[part].append(done)
            return done
        found = self._flows.pop(part, None)
        if found is None:
            done.callback(None)
            return done
        self._ending[part] = [done]
        ensureDeferred(self._end(*found)).addErrback(
            lambda failure: self._log.failure("deliveries for another node could not be ended", failure)
        ).addCallback(lambda _: self._ended(part))
        return done

    async def _end(self, flow: BorrowedFlow, started: Deferred[None]) -> None:
        await started
        await flow.stop()

    def _ended(self, part: int) -> None:
        for done in self._ending.pop(part):
            done.callback(None)

    async def stop(self) -> None:
        """Deliver nothing any more."""
        for ended in [self.end(part) for part in list(self._flows)]:
            await ended

    @property
    def deliveries(self) -> list[DeliveryService]:
        """What delivers."""
        return [flow.delivery for flow, _ in self._flows.values()]
