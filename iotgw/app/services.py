"""The parts as child services of one service: the order in which they start is the order of its children."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from twisted.application.service import IServiceCollection, Service
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw import __version__
from iotgw.api.apply import apply_file, decisions
from iotgw.api.auth import ensure_admin_token
from iotgw.app.api_listener import ApiListener
from iotgw.app.confinement import tell_confinement
from iotgw.app.files import OpenFiles
from iotgw.app.hangups import Hangups
from iotgw.app.lost_logs import LostLogs
from iotgw.app.node_services import as_node
from iotgw.app.ordered import OrderedServices, PartService, nothing
from iotgw.app.parts import Gateway, build
from iotgw.app.privacy import make_private, tell_opened
from iotgw.app.sealing import seal_what_is_plain
from iotgw.app.start_report import StartReport
from iotgw.app.tidying import tidy
from iotgw.config import settings as process_settings
from iotgw.config.settings import Settings
from iotgw.core.clock import GatewayClock
from iotgw.core.credential import KIND as CREDENTIAL
from iotgw.core.errors import IotgwError, Unavailable
from iotgw.core.model import DEFAULT_TENANT, TelemetryRecord
from iotgw.core.ports.reactor import IReactor
from iotgw.core.private import keep_to_ourselves
from iotgw.core.types import Types
from iotgw.observe.clock_watch import ClockWatch
from iotgw.observe.logs import Logs
from iotgw.store.lock import DataDirectoryLock
from iotgw.store.privacy import FoundOpen
from iotgw.store.sqlite.spill import SPILL

OBJECTS_PER_LOOK = 10_000
"""New containers between two looks of the garbage collector. With Python's 700, 100,000 new devices make it walk through
everything ten times, 40 ms each; nearly all garbage here goes without it."""
SWITCH_SECONDS = 0.0005
"""How long one thread may keep Python's lock from another that wants it. The reactor gives it away at each call of the system, as do those who
read and write databases, and with Python's 5 ms each waits so long to get it back, many times for one answer."""
_log = Logger()
FEW_RECORDS = 100_000
"""Records that the devices' states may lack for a start to wait for them: a second or two."""


def children(
    gateway: Gateway,
    settings: Settings,
    data_dir: Path,
    config: Path | None,
    reactor: IReactor,
    clock: GatewayClock,
    opened: FoundOpen,
) -> Iterator[Service]:
    """The parts of one process as services, each started before those that use it.

    Storage is opened first and closed last; what accepts messages is opened last and closed first. The API's
    listener comes after these. ``opened`` is what was found too open in the data directory.
    """
    journal, pipeline = gateway.journal, gateway.pipeline
    lost_logs = LostLogs(data_dir, gateway.recorder)
    yield PartService("lost-logs", lost_logs.look)
    yield PartService("storage", gateway.storage.begin, gateway.storage.end)
    yield PartService("registry", gateway.registry.start, gateway.registry.stop)
    types: dict[str, Types[Any]] = {
        "datasource": gateway.api.datasource_types,
        "integration": gateway.api.integration_types,
    }
    if gateway.storage.states is not None:  # the converters stop them
        yield PartService("states", gateway.storage.states.start)
    yield PartService("secrets", lambda: seal_what_is_plain(gateway.registry, types))
    yield PartService("credentials", gateway.credentials.start)
    yield PartService("events", gateway.events.start, gateway.events.stop)
    yield PartService("credentials-told", lambda: _tell_unusable(gateway))
    yield PartService("lost-logs-told", lost_logs.tell)
    yield PartService("privacy", lambda: tell_opened(opened, data_dir, gateway.recorder))
    files = OpenFiles(gateway.recorder, reactor)
    yield PartService("files", files.start, files.stop)
    yield PartService("devices", gateway.devices.start, gateway.devices.stop)
    yield PartService("new-devices", stop=gateway.fleet.stop)  # those of the journal's last commits, too
    yield PartService("journal", lambda: journal.start(pipeline.journal_listener), journal.stop)
    if gateway.storage.partitions is not None:
        yield PartService("spilled", lambda: _tell_damage(gateway, SPILL, gateway.storage.lost_spill()))
    watch = ClockWatch(clock, journal.keep_clock, gateway.recorder, reactor)
    yield PartService("clock", watch.start, watch.stop)
    yield PartService("speakers", gateway.speakers.start)
    yield PartService("device-states", lambda: catch_up(gateway))
    yield PartService("fleet", gateway.fleet.start, gateway.fleet.rest)
    yield PartService("quarantine", gateway.releases.load)
    yield PartService("downlinks", gateway.downlinks.start, gateway.downlinks.stop)
    yield PartService("kept", lambda: open_kept(gateway), gateway.kept.stop)
    yield PartService("stored-files", gateway.files.start, gateway.files.stop)
    yield PartService("usage-store", lambda: open_usage(gateway), gateway.usage_store.stop)
    yield PartService("debug-store", lambda: open_debug(gateway), gateway.debug_store.stop)
    yield PartService("debug", gateway.debug.start, gateway.debug.stop)
    yield PartService("backups", gateway.backups.start, gateway.backups.stop)
    yield PartService("backup-plans", gateway.backup_plans.start, gateway.backup_plans.stop)
    yield PartService("pause", gateway.pause.start)
    yield PartService("converters", gateway.converters.start, gateway.converters.stop)
    yield PartService("confinement", lambda: tell_confinement(gateway.converters, gateway.recorder))
    yield PartService("tidying", lambda: tidy(gateway.registry, gateway.kept, data_dir, gateway.recorder))
    yield PartService("delivery", gateway.delivery.start, gateway.delivery.stop)
    yield PartService("integrations", gateway.integrations.start)
    yield PartService("last-usage", stop=gateway.usage.stop)  # what is converted while the gateway stops, too
    yield from as_node(gateway, settings, data_dir, reactor)
    yield PartService("usage", gateway.usage.start)
    yield PartService("rates", gateway.rates.start, gateway.rates.stop)
    yield PartService("releases", lambda: _begin(gateway.releases.go_on()), gateway.releases.stop)
    yield PartService("jobs", gateway.jobs.start, gateway.jobs.stop)
    yield PartService("decisions", lambda: decisions(gateway.api).finish())
    yield FirstContents(gateway, settings, data_dir, config)


def _begin(work: Coroutine[Any, Any, None]) -> None:
    """Do something beside everything else."""
    ensureDeferred(work).addErrback(lambda failure: _log.failure("work in the background failed", failure))


async def open_kept(gateway: Gateway) -> None:
    """Open what datasources keep, and say so if it was lost."""
    await gateway.kept.start()
    _tell_damage(gateway, "kept.db", gateway.kept.put_aside)


async def open_usage(gateway: Gateway) -> None:
    """Open what was used, and say so if it was lost."""
    await gateway.usage_store.start()
    _tell_damage(gateway, "usage.db", gateway.usage_store.put_aside)


async def open_debug(gateway: Gateway) -> None:
    """Open what debugging keeps, and say so if it was lost."""
    await gateway.debug_store.start()
    _tell_damage(gateway, "debug.db", gateway.debug_store.put_aside)


def _tell_damage(gateway: Gateway, file: str, problem: str) -> None:
    if problem:
        gateway.recorder.note("damaged", "gateway", file, problem, DEFAULT_TENANT, "warning")


def _tell_unusable(gateway: Gateway) -> None:
    """Say that devices can't prove themselves because of the gateway."""
    unusable = gateway.credentials.unusable
    for id in [*unusable][:1]:
        name = gateway.registry.name_of(CREDENTIAL, id)
        more = f", and {len(unusable) - 1} more" if len(unusable) > 1 else ""
        text = f"{name}{more} can't be used until the secrets are entered again: {unusable[id]}"
        gateway.recorder.note(
            "failed", CREDENTIAL, name, text, DEFAULT_TENANT, "error", credentials=len(unusable)
        )


async def catch_up(gateway: Gateway) -> None:
    """Take in the records that the devices' states had not been written with when the last process ended. Where the
    states were lost, or much is missing, that goes on beside everything else."""
    devices, journal, recorder = gateway.devices, gateway.journal, gateway.recorder
    position = devices.position
    if position is None or (position == journal.head and not devices.put_aside):
        return
    after = position if position < journal.head else 0

    def learn(records: list[TelemetryRecord]) -> None:
        gateway.speakers.learn(records)
        if after and not devices.put_aside:  # all of a journal also tells of devices that were deleted
            gateway.fleet.learn(records)

    if not devices.put_aside and journal.head - after <= FEW_RECORDS:
        await devices.rebuild(journal, learn, after)
        return

    gateway.speakers.begin_learning()

    async def rebuild() -> None:
        if devices.put_aside:
            recorder.note(
                "damaged", "gateway", "devices.db", devices.put_aside, DEFAULT_TENANT, "warning",
            )  # fmt: skip
        try:
            count = await devices.rebuild(journal, learn, after)
        except Unavailable:  # the gateway stops; the next start goes on
            return
        await gateway.speakers.learn_proofs(journal)
        gateway.speakers.end_learning()
        text = f"the devices' states were learned again from {count} records of the journal"
        recorder.note("rebuilt", "gateway", "devices.db", text, DEFAULT_TENANT, "info", records=count)

    ensureDeferred(rebuild()).addErrback(
        lambda failure: _log.failure("the devices' states could not be learned again", failure)
    )


UNDER_WAY = "first-contents"
"""Kind of the mark in the registry while the first resources are made: a start that finds it goes on with them."""


WISH = "new-admin-token"
"""A file in the data directory by which an operator who has lost all admin tokens asks for a new one."""


class FirstContents(PartService):
    """What a new data directory gets: an admin token, and what the resources file names. A start that is killed leaves
    a mark, and the next one makes what is missing. An operator may ask for a further token by the file `WISH`."""

    _log = Logger()

    def __init__(self, gateway: Gateway, settings: Settings, data_dir: Path, config: Path | None) -> None:
        super().__init__("first-contents", self._fill)
        self._gateway = gateway
        self._resources = config.parent / settings.resources if config and settings.resources else None
        self._token_file = data_dir / "admin-token"
        self.were_made = False
        """Whether this start made the first resources."""

    async def _fill(self) -> None:
        partitions = self._gateway.storage.partitions
        if partitions is None:
            await self._fill_alone()
        else:
            await partitions.alone(self._fill_alone)

    async def _fill_alone(self) -> None:
        registry = self._gateway.registry
        await self._ensure_token()
        marks = registry.list(UNDER_WAY)
        kinds = ("datasource", "converter", "integration")
        if self._resources is not None and self._resources.exists():
            if not marks and not any(registry.list(kind) for kind in kinds):
                marks = [await registry.create(UNDER_WAY, DEFAULT_TENANT, UNDER_WAY, {})]
            if marks:
                self.were_made = True
                await apply_file(self._gateway.api, self._resources)
        for mark in marks:
            await registry.delete(UNDER_WAY, mark.id)

    async def _ensure_token(self) -> None:
        wish = self._token_file.with_name(WISH)
        registry, now_ms = self._gateway.registry, int(self._gateway.api.dates.seconds() * 1000)
        if await ensure_admin_token(registry, str(self._token_file), now_ms, wish.exists()):
            self._log.info("an admin token is in {file}", file=str(self._token_file))
        wish.unlink(missing_ok=True)


def was_first(parts: Iterable[Service]) -> bool:
    """Whether this start made the first resources."""
    return any(isinstance(part, FirstContents) and part.were_made for part in parts)


class IotgwService(OrderedServices):
    """The gateway with everything around it: its log, its lock, and its signals."""

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        config: Path | None,
        lock: DataDirectoryLock,
        hangups: Hangups,
        reactor: IReactor,
        clock: GatewayClock,
        node: str = "",
        tell_ready: Callable[[], None] = nothing,
    ) -> None:
        super().__init__(reactor, settings.drain)
        self.setName("iotgw")
        self._settings = settings
        self._data_dir = data_dir
        self._config = config
        self._lock = lock
        self._hangups = hangups
        self._tell_ready = tell_ready
        self._reactor = reactor
        opened = make_private(data_dir, settings)
        log = settings.log
        file = data_dir / log.file if log.file else None
        self._logs = Logs(file, log.level, log.rotate_bytes, log.keep, libraries=log.libraries, node=node)
        gateway = build(settings, data_dir, reactor, clock.calendar, node)
        self._trace = gateway.trace
        self._api = ApiListener(gateway, settings.api, settings.tls, reactor)
        parts = [*children(gateway, settings, data_dir, config, reactor, clock, opened)]
        report = StartReport(gateway, lambda: self._api.url, lambda: was_first(parts))
        for child in (*parts, self._api, report):
            child.setServiceParent(self)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """Set our log as the application's, before it begins to log."""
        super().setServiceParent(parent)
        self._logs.attach(parent)

    # --- start ---

    def startService(self) -> Deferred[None]:
        """Open everything, in the reverse order of the data flow."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(OBJECTS_PER_LOOK)
        keep_to_ourselves()  # `twistd` has set the umask for its daemon
        self._lock.note_process()  # a daemon is another process than the one that took the lock
        started = super().startService()
        started.addCallbacks(self._ready, lambda failure: None)  # already reported in `start_failed`
        return started.addErrback(lambda failure: self._log.failure("iotgw has started, but", failure))

    def _ready(self, _: None) -> None:
        if not self.running:
            return
        # All this stays: the collector need not walk through it, which takes 30 ms, whenever it looks for garbage.
        gc.collect()
        gc.freeze()
        self._log.info(
            "iotgw {version} is ready: console and API on {api}, data in {data}",
            version=__version__, api=self._api.url, data=str(self._data_dir),
        )  # fmt: skip
        self._hangups.listen(lambda: self._reactor.callFromThread(self.reload))
        self._tell_ready()

    def start_failed(self, failure: Failure) -> None:
        """Log one line for a user's mistake, a traceback for a fault of ours. The process ends."""
        if failure.check(IotgwError, OSError) or type(failure.value).__module__.startswith(
            "twisted.internet"
        ):
            self._log.critical("iotgw can't start: {reason}", reason=failure.getErrorMessage())
        else:
            self._log.failure("iotgw can't start", failure)
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
        if self.running:  # else it is being stopped already
            self._reactor.callWhenRunning(self._reactor.stop)

    # --- changes ---

    def reload(self) -> None:
        """SIGHUP: apply the settings that can change while running."""
        try:
            settings = process_settings.load(self._config)
        except IotgwError as error:
            self._log.error("the settings stay as they are: {reason}", reason=str(error))
            return
        self._logs.set_level(settings.log.level, settings.log.libraries)
        self._trace.on = settings.log.level == "debug"
        self._logs.reopen()
        now = msgspec.structs.replace(self._settings, log=settings.log)
        if now != settings:
            self._log.warn("changes of other settings than [log] need a restart")
        self._settings = now
        self._log.info("settings reloaded")

    # --- stop ---

    async def _stop(self) -> None:
        """Close the listeners, finish what is under way, write everything, let go of the lock."""
        self._hangups.ignore()
        await super()._stop()
        self._lock.release()
        self._log.info("iotgw has stopped")
        self._logs.close()
