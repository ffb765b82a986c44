"""What a node does with the partitions that it has adopted: each has a journal, conversions and deliveries of its own, and takes no messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

from iotgw.app.borrowing import BorrowedFlow
from iotgw.app.draining import stop_and_drain
from iotgw.app.integrations import RegisteredIntegrations
from iotgw.app.parts import Gateway
from iotgw.app.singles import Borrowed, Owned
from iotgw.app.storage import IPartitions
from iotgw.app.undo import Undo
from iotgw.config.settings import Settings
from iotgw.core.departed import datasource_name
from iotgw.core.departures import Departures
from iotgw.core.lent_registry import LentRegistry
from iotgw.core.model import Outcome, TelemetryRecord
from iotgw.core.ports.devices import IDevices
from iotgw.core.ports.journal import IJournal
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.ports.reactor import IReactor
from iotgw.delivery.service import DeliveryService
from iotgw.devices.quarantine import Quarantine, Releases
from iotgw.jobs.reprocess import ReprocessJobs
from iotgw.jobs.retry import RetryJobs
from iotgw.pipeline.pipeline import Pipeline
from iotgw.pipeline.places import Nowhere
from iotgw.pipeline.sources import Sources
from iotgw.store.forgotten import ForgottenMessages


class AdoptedDevices(UplinkListener):
    """Tells the devices' states what another partition's records say. Their positions are none of the own journal's."""

    def __init__(self, devices: IDevices) -> None:
        self._devices = devices

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """See `UplinkListener.settled`."""
        if records:
            self._devices.saw([msgspec.structs.replace(record, seq=0) for record in records])


class AdoptedFlow:
    """The way of one adopted partition's messages, from its journal to the targets."""

    _log = Logger()

    def __init__(
        self,
        home: str,
        registry: LentRegistry,
        journal: IJournal,
        pipeline: Pipeline,
        delivery: DeliveryService,
        integrations: RegisteredIntegrations,
        releases: Releases,
        drained: Callable[[Pipeline], Awaitable[None]],
        began: Callable[[], Callable[[], object]],
        covered: Callable[[DeliveryService], Callable[[], None]],
    ) -> None:
        self.home = home
        self.delivery = delivery
        self.pipeline = pipeline
        self._registry = registry
        self._journal = journal
        self._integrations = integrations
        self._releases = releases
        self._drained = drained
        self._began = began
        self._covered = covered
        self._undo = Undo("the work on a partition")

    async def start(self) -> None:
        """Go on at the cursors of the partition. What has started is stopped where that fails."""
        self._undo.append(self._registry.close)
        await self._journal.start(self.pipeline.journal_listener)
        self._undo.append(self._journal.stop)
        await self._releases.load()
        self._undo.append(self._covered(self.delivery))
        self.delivery.start()
        self._undo.append(self.delivery.stop)
        await self._integrations.start()
        self._undo.append(self._integrations.stop)
        self._undo.append(lambda: ensureDeferred(self._end()))
        await self.pipeline.start()
        self._undo.append(self._began())
        ensureDeferred(self._releases.go_on()).addErrback(
            lambda failure: self._log.failure("releases", failure)
        )

    async def stop(self) -> None:
        """End it; the cursors are written. Fires when others may go on."""
        await self._undo.all()

    async def _end(self) -> None:
        self._releases.stop()
        await self._drained(self.pipeline)

    @property
    def waiting(self) -> int:
        """Uplinks that wait for their conversion."""
        return self.pipeline.waiting

    @property
    def undelivered(self) -> int:
        """Records that wait for integrations."""
        return self.delivery.waiting


class FlowMaker:
    """Makes flows of a gateway's parts. What targets keep for adopted partitions is in directories of their own below ``data_dir``."""

    def __init__(
        self, gateway: Gateway, partitions: IPartitions, settings: Settings, data_dir: Path, reactor: IReactor
    ) -> None:
        self._gateway = gateway
        self._partitions = partitions
        self._settings = settings
        self._data_dir = data_dir
        self._reactor = reactor

    def make(self, part: int, home: str, lost: Callable[[], None]) -> AdoptedFlow:
        """The flow of an adopted partition, which was the node ``home``'s. ``lost`` is called when another node has taken it."""
        gateway, reactor, store = self._gateway, self._reactor, self._settings.store
        api, recorder, calendar = gateway.api, gateway.recorder, gateway.api.calendar
        directory = self._data_dir / "adopted" / str(part)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        registry = LentRegistry(gateway.registry)
        journal = self._partitions.journal(part, lost)
        departures = Departures(registry, recorder, reactor, self._partitions.is_last(part))
        sources = Sources()
        delivery = DeliveryService(
            journal, api.integration_types, reactor, gateway.events, partial(datasource_name, registry),
            gateway.downlinks.push, registry.unseal, str(directory), None, store.max_bytes, calendar, registry.seal,
            shared=gateway.singles.targets, part=lambda: part,
        )  # fmt: skip
        quarantine = Quarantine(gateway.fleet, recorder)
        pipeline = Pipeline(
            sources=sources, journal=journal, registry=registry, converters=gateway.converters, versions=api.versions,
            credentials=gateway.credentials, speakers=gateway.speakers, delivery=delivery, downlinks=gateway.downlinks,
            recorder=recorder, departures=departures, listeners=[AdoptedDevices(gateway.devices), gateway.fleet, delivery],
            types=api.datasource_types, reactor=reactor, data_dir=str(directory), max_payload=store.max_payload,
            max_metadata=store.max_metadata, calendar=calendar, own_converters=gateway.fleet, quarantine=quarantine,
            places=Nowhere(),
        )  # fmt: skip
        integrations = RegisteredIntegrations(
            registry,
            journal,
            delivery,
            departures,
            recorder,
            reactor,
            calendar,
            Owned(gateway.singles, delivery),
        )
        releases = Releases(quarantine, gateway.fleet, journal, pipeline, recorder, reactor)
        drain = partial(stop_and_drain, reactor=reactor, drain=self._settings.drain)

        def began() -> Callable[[], object]:
            """Forget deleted tenants in it, too, and do what is ordered; returns what ends that."""
            erasures, orders = gateway.storage.erasures, gateway.storage.orders
            if erasures is None or orders is None:
                return lambda: None
            jobs_end = gateway.jobs.adopt(
                home, [ReprocessJobs(journal, pipeline, api.dates), RetryJobs(delivery, reactor)]
            )
            erasures.hold(part, [ForgottenMessages(journal.erase, reactor)])
            orders.hold(part, delivery)

            def ends() -> Deferred[Any]:
                erasures.let_go(part)
                orders.let_go(part)
                return jobs_end()

            return ends

        return AdoptedFlow(
            home,
            registry,
            journal,
            pipeline,
            delivery,
            integrations,
            releases,
            drain,
            began,
            gateway.pause.covers,
        )

    def borrow(self, part: int) -> BorrowedFlow:
        """The flow of what this node delivers of another's partition."""
        gateway, reactor, store = self._gateway, self._reactor, self._settings.store
        api, recorder, calendar = gateway.api, gateway.recorder, gateway.api.calendar
        registry = LentRegistry(gateway.registry)
        journal = self._partitions.borrowed(part)
        delivery = DeliveryService(
            journal, api.integration_types, reactor, gateway.events, partial(datasource_name, registry),
            gateway.downlinks.push, registry.unseal, str(self._data_dir), None, store.max_bytes, calendar, registry.seal,
            shared=gateway.singles.targets, part=lambda: part,
        )  # fmt: skip
        departures = Departures(registry, recorder, reactor, self._partitions.is_last(part))
        tenure = Borrowed(gateway.singles, delivery, journal, journal.listen)
        integrations = RegisteredIntegrations(
            registry, journal, delivery, departures, recorder, reactor, calendar, tenure
        )

        def began() -> Callable[[], None]:
            if (orders := gateway.storage.orders) is None:
                return lambda: None
            orders.hold(part, delivery)
            return lambda: orders.let_go(part)

        return BorrowedFlow(registry, journal, delivery, integrations, began, gateway.pause.covers)
