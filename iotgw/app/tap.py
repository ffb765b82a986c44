"""``twistd iotgw``: command-line options, and the service tree. The one place that knows every part."""

from __future__ import annotations

import gc
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from iotgw import __version__
from iotgw.api.app import api_site
from iotgw.api.apply import apply_file
from iotgw.api.auth import ensure_admin_token
from iotgw.api.parts import Parts
from iotgw.api.site import ApiSite
from iotgw.config import settings as process_settings
from iotgw.config.settings import Settings
from iotgw.converters import library
from iotgw.converters.service import ConverterService
from iotgw.converters.state import RegistryStates
from iotgw.converters.versions import ConverterVersions
from iotgw.core.downlink_item import Item
from iotgw.core.errors import IotgwError
from iotgw.core.model import ConverterVersion, Event, Kind, TelemetryRecord
from iotgw.core.ports.intake import Severity
from iotgw.core.recorder import Recorder
from iotgw.core.specs import IntegrationSpec, Resource
from iotgw.core.types import Types
from iotgw.datasources.coap.datasource import CoapType
from iotgw.datasources.coap.vendor import DraginoCoapType, LobaroCoapType
from iotgw.datasources.http.datasource import HttpType as HttpDatasourceType
from iotgw.datasources.mqtt.datasource import MqttType as MqttDatasourceType
from iotgw.datasources.mqtt.dragino import DraginoMqttType
from iotgw.datasources.socket.dragino import DraginoType, DraginoUdpType
from iotgw.datasources.socket.lobaro import LobaroUdpType
from iotgw.datasources.socket.tcp import TcpType
from iotgw.datasources.socket.tekelek import TekelekType
from iotgw.datasources.socket.udp import UdpType
from iotgw.delivery.service import DeliveryService
from iotgw.devices.credentials import Credentials
from iotgw.downlinks.queue import DownlinkQueue
from iotgw.downlinks.reach import Reach
from iotgw.integrations.http import HttpType
from iotgw.integrations.mqtt import MqttType
from iotgw.integrations.sftp import SftpType
from iotgw.integrations.thingsboard import ThingsBoardType
from iotgw.observe.events import EventLog
from iotgw.observe.logs import Logs
from iotgw.observe.trace import Trace
from iotgw.pipeline.pipeline import Pipeline
from iotgw.pipeline.sources import Sources
from iotgw.store.lock import DataDirectoryLock
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.downlinks import DownlinkStore
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.registry import Registry
from iotgw.store.sqlite.trim import JournalLimits

DATASOURCES = (
    TekelekType, DraginoType, DraginoUdpType, LobaroUdpType, TcpType, UdpType, MqttDatasourceType, DraginoMqttType,
)  # fmt: skip
"""Besides the CoAP types, which share their ports, and HTTP, which shares the API's listener."""
INTEGRATIONS = (HttpType, MqttType, SftpType, ThingsBoardType)

OBJECTS_PER_LOOK = 10_000
"""New containers between two looks of the garbage collector. With Python's 700, 100,000 new devices make it walk through
everything ten times, 40 ms each; nearly all garbage here goes without it."""
TICK = 0.05
"""Seconds between two looks, while stopping, whether the conversions under way are done."""


class Options(usage.Options):
    """Options of ``twistd iotgw``."""

    synopsis = "[--config FILE] [--data-dir DIR]"
    optParameters = [
        ["config", "c", None, "settings file (TOML); without one, the defaults hold"],
        ["data-dir", "d", None, "where everything is written; outranks the settings file"],
    ]

    def postOptions(self) -> None:
        """Read the settings; a wrong one ends the start with one line."""
        try:
            self.loaded = process_settings.load(self["config"])
        except IotgwError as error:
            raise usage.UsageError(str(error)) from error
        # Absolute now: a daemon leaves the directory that it was started in.
        self.data_dir = Path(self["data-dir"] or self.loaded.data_dir).absolute()
        self.config = Path(self["config"]).absolute() if self["config"] else None


def makeService(options: Options) -> IotgwService:
    """The service that `twistd` runs; raises SystemExit with one line when it can't."""
    from twisted.internet import reactor  # noqa: PLC0415 (twistd installs the reactor that it was told to)

    lock = DataDirectoryLock(options.data_dir)
    try:
        lock.acquire()
    except (IotgwError, OSError) as error:
        raise SystemExit(f"iotgw: {error}") from error
    return IotgwService(options.loaded, options.data_dir, options.config, lock, reactor)


class IotgwService(Service):
    """The gateway with everything around it."""

    name = "iotgw"
    _log = Logger()

    def __init__(
        self, settings: Settings, data_dir: Path, config: Path | None, lock: DataDirectoryLock, reactor: Any
    ) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._config = config
        self._lock = lock
        self._reactor = reactor
        log = settings.log
        file = data_dir / log.file if log.file else None
        self._logs = Logs(file, log.level, log.rotate_bytes, log.keep, libraries=log.libraries)
        self._port: Any = None
        self._started = False
        self._build()

    def setServiceParent(self, parent: Any) -> None:
        """Make our log the application's, before it begins to log."""
        super().setServiceParent(parent)
        self._logs.attach(parent)

    def _build(self) -> None:
        """Every part, given what it needs; nothing is opened yet."""
        settings, reactor, data_dir = self._settings, self._reactor, self._data_dir
        store = settings.store
        self.registry = Registry(reactor, data_dir)
        self.journal = Journal(
            reactor,
            data_dir / "journal.db",
            JournalLimits(int(store.max_age * 1000), store.max_bytes),
            max_pending=store.max_pending,
        )
        self.devices = DeviceStore(reactor, data_dir)
        self.credentials = Credentials(self.registry, lambda: int(reactor.seconds() * 1000))
        self.events = EventLog(data_dir / "events.db", reactor)
        self.recorder = Recorder(self.events, reactor)
        self.sources = Sources()
        self.trace = Trace(self.journal, self.sources, settings.log.level == "debug")
        self.converters = ConverterService(
            reactor,
            workers=settings.converters.workers,
            time_limit=settings.converters.time_limit,
            memory_limit=settings.converters.memory_limit,
            report=self._converter_report,
            states=RegistryStates(reactor, self.registry),
        )
        self.versions = ConverterVersions(self.registry, self.converters, library.versions())
        reach = Reach(
            registry=self.registry, journal=self.journal, versions=self.versions,
            converters=self.converters, sources=self.sources, clock=reactor,
        )  # fmt: skip
        self.downlinks = DownlinkQueue(
            DownlinkStore(data_dir, reactor), reach.encode, reach.find, self._downlink_changed, reactor
        )
        self.http = HttpDatasourceType(reactor, ApiSite)
        coap = CoapType(reactor)
        shared = (coap, DraginoCoapType(reactor, coap), LobaroCoapType(reactor, coap), self.http)
        datasource_types = Types("iotgw.datasources", reactor, [*DATASOURCES])
        for type_ in shared:
            datasource_types.register(type_)
        integration_types = Types(
            "iotgw.integrations",
            reactor,
            [partial(type_, forbid=settings.integrations.forbid) for type_ in INTEGRATIONS],
        )
        self.delivery = DeliveryService(
            self.journal, integration_types, reactor, self.events, self.sources.name,
            self.downlinks.push, self.registry.unseal, str(data_dir), self.trace,
        )  # fmt: skip
        self.pipeline = Pipeline(
            sources=self.sources, journal=self.journal, registry=self.registry, converters=self.converters,
            versions=self.versions, credentials=self.credentials, delivery=self.delivery,
            downlinks=self.downlinks, recorder=self.recorder,
            listeners=[self.trace, self.devices, self.delivery], types=datasource_types, reactor=reactor,
            data_dir=str(data_dir), max_payload=store.max_payload, max_metadata=store.max_metadata,
        )  # fmt: skip
        self._parts = Parts(
            registry=self.registry, journal=self.journal, pipeline=self.pipeline, converters=self.converters,
            versions=self.versions, delivery=self.delivery, devices=self.devices, events=self.events,
            datasource_types=datasource_types, integration_types=integration_types, clock=reactor,
            downlinks=self.downlinks,
        )  # fmt: skip

    # --- start ---

    def startService(self) -> None:
        """Open everything, in the order of the data's way backwards."""
        super().startService()
        self._lock.note_process()  # a daemon is another process than the one that took it
        ensureDeferred(self._start()).addErrback(self._cannot_start)

    async def _start(self) -> None:
        await self.registry.start()
        self.credentials.start()
        await self.events.start()
        await self.devices.start()
        await self.journal.start(self.pipeline.journal_listener)
        await self.converters.start()
        await self.downlinks.start()
        self.delivery.start()
        self.registry.watch("integration", self._integration_changed)
        for resource in self.registry.list("integration"):
            await self._apply_integration(resource)
        await self.pipeline.start()
        token_file = self._data_dir / "admin-token"
        if await ensure_admin_token(self.registry, str(token_file)):
            self._log.info("an admin token is in {file}", file=str(token_file))
        await self._first_resources()
        site = ApiSite(api_site(self._parts, self.http.resource))
        self._port = await serverFromString(self._reactor, self._settings.api).listen(site)
        self._started = True
        # All this stays: the collector need not walk through it, which takes 30 ms, whenever it looks for garbage.
        gc.collect()
        gc.freeze()
        gc.set_threshold(OBJECTS_PER_LOOK)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))
        self._log.info(
            "iotgw {version} is ready: API on {api}, data in {data}",
            version=__version__, api=self._api_url(), data=str(self._data_dir),
        )  # fmt: skip

    def _api_url(self) -> str:
        """Where the API listens, as one would type it; the endpoint's text where it is no TCP port."""
        host = self._port.getHost()
        if not hasattr(host, "port"):
            return self._settings.api
        scheme = "https" if self._settings.api.startswith("ssl:") else "http"
        name = f"[{host.host}]" if ":" in host.host else host.host
        return f"{scheme}://{name}:{host.port}"

    async def _first_resources(self) -> None:
        """Apply the resources file once, to an empty registry."""
        name = self._settings.resources
        kinds = ("datasource", "converter", "integration")
        if not name or self._config is None or any(self.registry.list(kind) for kind in kinds):
            return
        path = self._config.parent / name
        if path.exists():
            await apply_file(self._parts, path)

    def _cannot_start(self, failure: Failure) -> None:
        """One line for what a user can mend; a traceback for what only we can."""
        if failure.check(IotgwError, OSError) or type(failure.value).__module__.startswith(
            "twisted.internet"
        ):
            self._log.critical("iotgw can't start: {reason}", reason=failure.getErrorMessage())
        else:
            self._log.failure("iotgw can't start", failure)
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
        self._reactor.stop()

    # --- changes ---

    def reload(self) -> None:
        """SIGHUP: take over the settings that can change while running."""
        try:
            settings = process_settings.load(self._config)
        except IotgwError as error:
            self._log.error("the settings stay as they are: {reason}", reason=str(error))
            return
        self._logs.set_level(settings.log.level, settings.log.libraries)
        self.trace.on = settings.log.level == "debug"
        self._logs.reopen()
        now = msgspec.structs.replace(self._settings, log=settings.log)
        if now != settings:
            self._log.warn("changes of other settings than [log] need a restart")
        self._settings = now
        self._log.info("settings reloaded")

    def _integration_changed(self, old: Resource | None, new: Resource | None) -> None:
        change = self._apply_integration(new) if new is not None else self._remove_integration(old)
        ensureDeferred(change).addErrback(
            lambda failure: self._log.failure("a change of an integration failed", failure)
        )

    async def _apply_integration(self, resource: Resource) -> None:
        spec = msgspec.convert(dict(resource.body, name=resource.name), IntegrationSpec)
        await self.delivery.apply(resource.id, resource.name, resource.tenant, spec)

    async def _remove_integration(self, resource: Resource | None) -> None:
        if resource is not None:
            await self.delivery.remove(resource.id)

    def _converter_report(
        self, type: str, version: ConverterVersion, message: str, severity: Severity
    ) -> None:
        self.recorder.note(type, "converter", version.name, message, version.tenant, severity)

    def _downlink_changed(self, event: Event, item: Item) -> None:
        """A downlink's state is an event, and a record for integrations that want events."""
        self.events.emit(event)
        body = msgspec.json.encode({"deviceName": item.device, "event": event.type, "downlink": item.view()})
        self.journal.emit(TelemetryRecord(0, 0, item.tenant, "", event.ts, item.device, "", body, Kind.EVENT))

    # --- stop ---

    def stopService(self) -> Deferred[None]:
        """Close the listeners, finish what is under way, write everything, let go of the lock."""
        super().stopService()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        if self._port is not None:
            await self._port.stopListening()
        await self.pipeline.stop()
        deadline = self._reactor.seconds() + self._settings.drain
        while self._started and not self.pipeline.idle and self._reactor.seconds() < deadline:
            await deferLater(self._reactor, TICK, lambda: None)
        await self.delivery.stop()
        await self.converters.stop()
        await self.downlinks.stop()
        await self.journal.stop()
        await self.devices.stop()
        await self.events.stop()
        await self.registry.stop()
        self._lock.release()
        self._log.info("iotgw has stopped")
        self._logs.close()
