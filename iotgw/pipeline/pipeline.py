"""The spine: receive → store → convert → deliver, and downlinks back. It knows interfaces only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults, succeed
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.errors import NotFound
from iotgw.core.model import (
    Answer,
    Downlink,
    Event,
    Message,
    Outcome,
    State,
    Status,
    StoredUplink,
    TelemetryRecord,
)
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.journal import IJournalListener
from iotgw.core.specs import DatasourceSpec, Resource
from iotgw.core.types import Types
from iotgw.observe.trace import Trace
from iotgw.pipeline.datasource_runner import RunningDatasource
from iotgw.pipeline.intake import Intake
from iotgw.pipeline.long_poll import Held
from iotgw.pipeline.replies import Answers

LOOK_FOR_ROOM = 0.5
"""Seconds between two looks for room while streams wait for it."""
RETRY_AFTER = 5.0
"""Seconds after which a device that was told BUSY may try again."""


@implementer(IJournalListener)
class Gateway:
    """Joins the rooms.

    The arguments are the implementations of the interfaces they are named after; ``versions`` is a
    `iotgw.converters.versions.ConverterVersions`; ``clock`` an IReactorTime with ``seconds()`` since 1970.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        journal: Any,
        registry: Any,
        converters: Any,
        versions: Any,
        credentials: ICredentials,
        delivery: Any,
        devices: Any,
        events: Any,
        downlinks: Any,
        types: Types,
        reactor: Any,
        data_dir: str = "",
        max_payload: int = 1 << 20,
    ) -> None:
        self.journal = journal
        self.registry = registry
        self.converters = converters
        self.versions = versions
        self.credentials = credentials
        self.delivery = delivery
        self.devices = devices
        self.events = events
        self.downlinks = downlinks
        self.types = types
        self.reactor = reactor
        self.data_dir = data_dir
        self.max_payload = max_payload
        self.trace = Trace()
        self.busy = Answer(Status.BUSY, retry_after=RETRY_AFTER)
        self._running: dict[str, RunningDatasource] = {}
        self._answers = Answers(downlinks, reactor, self.message_id, self._tell)
        self.held = Held(downlinks, reactor)
        self._when_room: list[Callable[[], None]] = []
        self._stopping = False

    # --- for the intakes ---

    @property
    def room(self) -> bool:
        """Whether uplinks are taken now."""
        return bool(self.journal.room) and not self._stopping and self.delivery.room()

    def now_ms(self) -> int:
        """The time in milliseconds since 1970."""
        return int(self.reactor.seconds() * 1000)

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call back once when there is room; at once if there is."""
        if self.room:
            callback()
            return
        self._when_room.append(callback)
        if len(self._when_room) == 1:
            self.reactor.callLater(LOOK_FOR_ROOM, self._look_for_room)

    def event(
        self,
        type: str,
        source: str,
        name: str,
        message: str,
        tenant: str,
        severity: str = "info",
        **detail: Any,
    ) -> None:
        """Record what happened."""
        device = str(detail.pop("device", ""))
        message_id = str(detail.pop("message_id", ""))
        self.events.emit(
            Event(self.now_ms(), type, source, name, message, tenant, severity, device, message_id, detail)  # type: ignore[arg-type]
        )

    def message_id(self, seq: int) -> str:
        """The name of an uplink outside."""
        return f"{self.journal.epoch}-{seq}"

    # --- the journal's listener ---

    def storing(self, entries: list[tuple[StoredUplink, Any]]) -> None:
        """Uplinks are being stored: have them converted meanwhile."""
        for source, group in _by_datasource(entries).items():
            if source in self._running:
                self._running[source].intake.conversions.storing([stored for stored, _ in group])

    def stored(self, entries: list[tuple[StoredUplink, Any]]) -> None:
        """Uplinks are durable: answer the devices, and let their conversions count."""
        running = self._running
        epoch = self.journal.epoch
        groups = _by_datasource(entries)
        for source, group in groups.items():
            intake = running[source].intake if source in running else None
            if intake is None or (
                intake.spec.reply == "stored" and not self.downlinks.waited_for(intake.tenant)
            ):
                for stored, (answer, _) in group:
                    self._tell(answer, Answer(Status.STORED, f"{epoch}-{stored.seq}"))
            else:
                self._answers.stored(intake, group)
        for source, group in groups.items():
            uplinks = [stored for stored, _ in group]
            if self.trace.on:
                self.trace.stored(uplinks, self.datasource_name(source))
            if source in running:
                running[source].intake.conversions.stored(uplinks)

    def _tell(self, callback: Callable[..., None], *what: Any) -> None:
        """Call a datasource back; its fault is its own, and keeps nobody else from being told."""
        try:
            callback(*what)
        except Exception:
            self._log.failure("a datasource failed when it was told of an uplink")

    def refused(self, entries: list[tuple[StoredUplink, Any]], reason: str) -> None:
        """The journal could not take these: nobody is told that they were received."""
        self._log.warn("{count} uplinks were refused: {reason}", count=len(entries), reason=reason)
        for source, group in _by_datasource(entries).items():
            if source in self._running:
                intake = self._running[source].intake
                intake.counts["refused"] += len(group)
                intake.conversions.refused({stored.seq for stored, _ in group})
        for _, (answer, _) in entries:
            self._tell(answer, self.busy)

    def converted(self, outcomes: list[Outcome]) -> None:
        """Durable uplinks are converted; the outcomes are not durable yet."""
        if self._answers.waiting:
            self.journal.at_rest(partial(self._answers.converted, outcomes))
        self.held.converted(outcomes)

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """Outcomes are durable: deliver what came of them, answer who waited."""
        if self.trace.on:
            self.trace.settled(outcomes, records)
        if records:
            self.devices.saw(records)
            self.delivery.feed(records)
        self._answers.settled(outcomes)

    def room_again(self) -> None:
        """There may be room: let the streams go on."""
        if self.room:
            waiting, self._when_room = self._when_room, []
            for callback in waiting:
                self._tell(callback)

    def _look_for_room(self) -> None:
        """An integration that had too much says nothing when it has less: look again while somebody waits."""
        self.room_again()
        if self._when_room and not self._stopping:
            self.reactor.callLater(LOOK_FOR_ROOM, self._look_for_room)

    # --- datasources come and go ---

    async def start(self) -> None:
        """Open every datasource of the registry, and follow its changes."""
        self.trace.epoch = self.journal.epoch
        self.registry.watch("datasource", self._changed)
        for resource in self.registry.list("datasource"):
            await self._apply(resource)

    async def stop(self) -> None:
        """Close every listener, then wait for the conversions under way; nothing stored is lost by it."""
        self._stopping = True
        self.held.stop()
        await gatherResults([ensureDeferred(running.close()) for running in self._running.values()])
        for running in self._running.values():
            running.intake.conversions.stop()
        self._answers.stop()

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        change = self._remove(old.id) if new is None and old is not None else self._apply(new)
        ensureDeferred(change).addErrback(
            lambda failure: self._log.failure("a change of a datasource failed", failure)
        )

    def applied(self, id: str) -> Deferred[None]:
        """Fires when the changes of a datasource that are under way are done."""
        running = self._running.get(id)
        return running.lock.run(lambda: None) if running is not None else succeed(None)

    async def _apply(self, resource: Resource | None) -> None:
        assert resource is not None
        spec = msgspec.convert(dict(resource.body, name=resource.name), DatasourceSpec)
        running = self._running.get(resource.id)
        if running is None:
            running = self._running[resource.id] = RunningDatasource(
                self._intake(resource, spec),
                self.types,
                self.reactor,
                self.registry,
                self.credentials,
                self.data_dir,
            )
        await running.apply(resource, spec, spec.enabled and not self._stopping)

    def _intake(self, resource: Resource, spec: DatasourceSpec) -> Intake:
        position = self.journal.conversion_cursors().get(resource.id)
        if position is None:
            position = self.journal.last_uplink
            self.journal.settle(resource.id, position, [])
        return Intake(self, resource.id, resource.tenant, spec, position)

    async def _remove(self, id: str) -> None:
        running = self._running.get(id)
        if running is not None:
            await running.close()
            self._running.pop(id, None)
            running.intake.conversions.remove()
            self._answers.removed(running.intake)

    # --- for the API ---

    def datasource_name(self, id: str) -> str:
        """A datasource's name; its id when it is gone."""
        running = self._running.get(id)
        return running.intake.spec.name if running is not None else id

    def status(self, id: str) -> dict[str, Any]:
        """How a datasource does: state, address, counts."""
        running = self._running.get(id)
        return running.status() if running is not None else {"state": "stopped"}

    def datasource(self, id: str) -> Any:
        """The running `iotgw.core.ports.datasources.IDatasource`, or None."""
        running = self._running.get(id)
        return running.datasource if running is not None else None

    @property
    def idle(self) -> bool:
        """Whether every stored uplink that is known is converted."""
        return all(running.intake.conversions.idle for running in self._running.values())

    async def inject(self, id: str, payload: bytes, metadata: dict[str, Any]) -> Answer:
        """Send an uplink through the true pipeline by hand; raises NotFound."""
        running = self._running.get(id)
        if running is None:
            raise NotFound(f"there is no datasource {id!r}")
        done: Deferred[Answer] = Deferred()
        running.intake.receive(payload, {**metadata, "simulated": True}, done.callback)
        return await done

    async def reprocess(self, message: Message) -> State:
        """Convert a stored message again with the converter of today; its new outcome replaces the old.

        Raises NotFound when its datasource is gone.
        """
        running = self._running.get(message.uplink.datasource)
        if running is None:
            raise NotFound("the message's datasource is gone")
        outcome = await running.intake.conversions.convert_again(StoredUplink(message.seq, message.uplink))
        self.journal.settle(running.intake.id, running.intake.conversions.position, [outcome])
        return outcome.state

    def take_downlinks(self, intake: Intake, device: str, limit: int) -> Deferred[tuple[Downlink, ...]]:
        """Downlinks for a device that can be reached now."""
        done: Deferred[tuple[Downlink, ...]] = Deferred()
        if device in self.downlinks.waited_for(intake.tenant):
            self.downlinks.take(intake.tenant, device, intake.id, limit, done.callback)
        else:
            done.callback(())
        return done


def _by_datasource(entries: list[tuple[StoredUplink, Any]]) -> dict[str, list[tuple[StoredUplink, Any]]]:
    found: dict[str, list[tuple[StoredUplink, Any]]] = {}
    for entry in entries:
        source = entry[0].uplink.datasource
        group = found.get(source)
        if group is None:
            group = found[source] = []
        group.append(entry)
    return found
