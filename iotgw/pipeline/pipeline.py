"""The pipeline: runs the datasources of the registry, each with its intake and its conversions.

A device's uplink goes `Intake` → journal → `Publisher` → listeners: `Replies` answers the device, `Conversions`
make outcomes of it, which go back to the journal and from there to whoever delivers and keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, gatherResults, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core import proof
from iotgw.core.clock import PlainCalendar
from iotgw.core.departures import Departures
from iotgw.core.errors import Conflict, NotFound
from iotgw.core.model import DEFAULT_TENANT, Answer, Message, Metadata, State
from iotgw.core.own_converters import NoOwnConverters
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.converters import IConverters, IConverterVersions
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.datasources import IDatasource, IDatasourceType
from iotgw.core.ports.debug import IDebug
from iotgw.core.ports.delivery import IDelivery
from iotgw.core.ports.devices import IOwnConverters, IQuarantine
from iotgw.core.ports.downlinks import IDownlinks
from iotgw.core.ports.files import IOperatorFiles
from iotgw.core.ports.journal import IUplinkStream
from iotgw.core.ports.kept import IKept
from iotgw.core.ports.live import ILiveFeed
from iotgw.core.ports.pipeline import IPipeline, Room, UplinkListener
from iotgw.core.ports.platform_names import IPlatformNames
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.speakers import ISpeakers
from iotgw.core.ports.usage import IDeviceMeter
from iotgw.core.quarantine import NoQuarantine
from iotgw.core.recorder import Recorder
from iotgw.core.shared import SharedResources
from iotgw.core.specs import DatasourceSpec, Resource
from iotgw.core.types import Types
from iotgw.pipeline.admission import Admission
from iotgw.pipeline.all_conversions import AllConversions
from iotgw.pipeline.claims import Claims
from iotgw.pipeline.conversions import Conversions
from iotgw.pipeline.datasource_runner import DatasourceRunner
from iotgw.pipeline.intake import Intake
from iotgw.pipeline.leaving import DELETED, BacklogEmptier
from iotgw.pipeline.limits import Limits
from iotgw.pipeline.long_poll import LongPoll
from iotgw.pipeline.places import Here, IPlaces
from iotgw.pipeline.publisher import Publisher
from iotgw.pipeline.repeats import KnownKeys
from iotgw.pipeline.replies import Replies
from iotgw.pipeline.reprocessing import Reprocessing
from iotgw.pipeline.sources import Source, Sources
from iotgw.pipeline.strangers import Strangers, dropped


@implementer(IPipeline)
class Pipeline:
    """Runs the datasources of a registry.

    ``places`` says which of them are open here. ``sources`` is filled with them. ``listeners`` are called after the replies and the conversions. The journal must
    be started with ``journal_listener``. ``shares`` holds what datasources share, and ``departures`` hears which ones were deleted. ``max_payload`` and ``max_metadata`` are in bytes.

    Many methods: those of the port, and one for each way in which a datasource comes, changes and goes.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        sources: Sources,
        journal: IUplinkStream,
        registry: IRegistry,
        converters: IConverters,
        versions: IConverterVersions,
        credentials: ICredentials,
        speakers: ISpeakers,
        delivery: IDelivery,
        downlinks: IDownlinks,
        recorder: Recorder,
        departures: Departures,
        listeners: Sequence[UplinkListener],
        types: Types[IDatasourceType],
        reactor: IReactor,
        data_dir: str = "",
        shares: SharedResources | None = None,
        max_payload: int = 1 << 20,
        max_metadata: int = 64 << 10,
        calendar: ICalendar | None = None,
        files: IOperatorFiles | None = None,
        own_converters: IOwnConverters | None = None,
        quarantine: IQuarantine | None = None,
        kept: IKept | None = None,
        meter: IDeviceMeter | None = None,
        debug: IDebug | None = None,
        live: ILiveFeed | None = None,
        places: IPlaces | None = None,
        names: IPlatformNames | None = None,
    ) -> None:
        self._sources = sources
        self._own: IOwnConverters = own_converters or NoOwnConverters()
        self._journal = journal
        self._registry = registry
        self._converters = converters
        self._versions = versions
        self._credentials = credentials
        self._speakers = speakers
        self._known_keys = KnownKeys()
        self._downlinks = downlinks
        self._recorder = recorder
        self._departures = departures
        self._types = types
        self._reactor = reactor
        self._calendar: ICalendar = calendar or PlainCalendar(reactor)
        self._data_dir = data_dir
        self._files = files
        self._kept = kept
        self._meter = meter
        self._debug = debug
        self._live = live
        self._places: IPlaces = places or Here()
        self._places.listen(self._moved)
        self._shares = shares if shares is not None else SharedResources()
        self._claims = Claims(sources.away)
        self._limits = Limits(registry, recorder, reactor, sources.values)
        self._admission = Admission(journal, delivery, reactor, max_payload, max_metadata)
        self._long_poll = LongPoll(downlinks, reactor)
        self._names = names
        self._replies = Replies(sources, journal, downlinks, reactor, names)
        self._running: dict[str, DatasourceRunner] = {}
        own = (self._replies, self._long_poll, AllConversions(self._running))
        self.journal_listener = Publisher([*own, *listeners], self._admission.room_again, self._damaged)
        self._quarantine = quarantine or NoQuarantine()
        self._quarantine.listen(self._device_changed)
        self._stopping = False
        self._emptier = BacklogEmptier(journal, self._quarantine, reactor, lambda: self._stopping)
        self._background: set[Deferred[None]] = set()

    # --- start and stop ---

    async def start(self) -> None:
        """Open every datasource of the registry and follow its changes. Uplinks of datasources that the registry
        doesn't have are given up."""
        self._limits.start()
        self._registry.watch("datasource", self._changed)
        self._registry.watch("converter", self._converter_changed)
        self._own.watch_own_converters(self._look_up)
        known = self._registry.list("datasource")
        for resource in known:
            await self._apply(resource)
        for id in set(self._journal.unconverted()) - {resource.id for resource in known}:
            self._follow(self._settle_orphan(id))

    async def stop(self) -> None:
        """Close every listener. Nothing stored is lost. Conversions under way continue until `idle` is true."""
        self._stopping = True
        self._admission.close()
        self._long_poll.stop()
        closing = [ensureDeferred(runner.close()) for runner in self._running.values()]
        await gatherResults(closing, consumeErrors=True)
        for runner in self._running.values():
            runner.conversions.stop()
        self._replies.stop()
        await DeferredList([*self._background], consumeErrors=True)

    @property
    def idle(self) -> bool:
        """Whether every stored uplink that is known has been converted."""
        return all(runner.conversions.idle for runner in self._running.values())

    # --- datasources are added, changed and removed ---

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        if new is not None:
            self._follow(self._apply(new))
        elif old is not None:
            self._follow(self._remove(old.id))

    def _moved(self, id: str) -> None:
        """A datasource is to be opened here, or closed, as one node runs it."""
        with suppress(NotFound):
            self._follow(self._apply(self._registry.get("datasource", id)))

    def _converter_changed(self, old: Resource | None, new: Resource | None) -> None:
        """A converter came, went, or has another version."""
        changed = old or new
        if changed is not None:
            self._look_up(changed.tenant)

    def _look_up(self, tenant: str) -> None:
        """What converts a tenant's messages has changed: it may say more to devices, or less."""
        for runner in self._running.values():
            if tenant == runner.source.tenant:
                runner.conversions.look_up()

    def _device_changed(self, tenant: str, device: str, is_there: bool) -> None:
        """A device came: whoever was turned away as nobody's may be it."""
        for source in self._sources.values():
            if is_there and source.tenant == tenant:
                source.turned_away.forget()

    def _follow(self, change: Coroutine[Any, Any, None]) -> None:
        def failed(failure: Failure) -> None:
            if not self._stopping:
                self._log.failure("a change of a datasource failed", failure)

        ensureDeferred(change).addErrback(failed)

    async def _apply(self, resource: Resource) -> None:
        spec = msgspec.convert(dict(resource.body, name=resource.name), DatasourceSpec)
        runner = self._running.get(resource.id)
        if runner is None:
            source = Source(resource.id, resource.tenant, spec, resource.created_ms, self._own)
            runner = self._running[resource.id] = self._runner(source)
        leaves = resource.deletion is not None
        is_enabled = spec.enabled and not leaves and not self._stopping
        await runner.apply(spec, self._places.is_here(resource.id, spec, is_enabled))
        if leaves:
            self._follow(self._leave(resource, runner))

    async def _leave(self, resource: Resource, runner: DatasourceRunner) -> None:
        """Let go of a datasource that is marked for deletion. A second mark can change that to dropping its
        backlog."""
        if resource.deletion is not None and resource.deletion.backlog == "drop":
            runner.conversions.give_up(DELETED)
        if runner.source.is_leaving:
            return
        runner.source.is_leaving = True
        self._sources.away.remove(runner.source.id)
        left = await self._emptier.empty(runner.source, runner.conversions)
        if left is not None:
            await self._in_background(
                runner.forget()
            )  # while the registry still has it: a crash has that done again
            try:
                await self._departures.finish(resource, left)
            finally:  # whoever lists it until it is removed sees its counts
                self._forget(runner)

    async def _settle_orphan(self, id: str) -> None:
        """Give up the uplinks of a datasource that the registry doesn't have: nobody could convert them any more."""
        source = Source(id, DEFAULT_TENANT, DatasourceSpec(name=id, type="", converter="-"))
        source.begin(self._journal.counts().get(id, {}))
        conversions = self._conversions(source, self._journal.conversion_cursors().get(id, 0))
        conversions.give_up(DELETED)
        conversions.start()
        left = await self._emptier.empty(source, conversions)
        conversions.stop()
        if left is not None:
            self._recorder.note(
                "orphaned", "datasource", id, f"it no longer exists, and {left.dropped} of its messages "
                "were never converted; they ended as failed", DEFAULT_TENANT, "warning", dropped=left.dropped,
            )  # fmt: skip

    def _runner(self, source: Source) -> DatasourceRunner:
        position = self._journal.conversion_cursors().get(source.id)
        if position is None:
            position = self._journal.last_uplink
            self._journal.settle(source.id, position, [])
        source.begin(self._journal.counts().get(source.id, {}))
        self._sources[source.id] = source
        intake = Intake(
            source, self._journal, self._admission, self._long_poll, self._downlinks, self._recorder,
            self._calendar, self._reactor, self._speakers, self._known_keys, self._names,
        )  # fmt: skip
        strangers = Strangers(source, self._quarantine, partial(intake.refuse, "device"))
        conversions = self._conversions(source, position, partial(intake.refuse, "identity"), strangers)
        return DatasourceRunner(
            source, intake, conversions, Reprocessing(source, conversions, self._journal), self._types, self._registry, self._credentials, self._reactor,
            self._data_dir, self._shares, self._claims, self._in_background, limits=self._limits, calendar=self._calendar, files=self._files, kept=self._kept,
        )  # fmt: skip

    def _conversions(
        self,
        source: Source,
        position: int,
        refused: Callable[[str, str], None] = lambda peer, reason: None,
        strangers: Strangers | None = None,
    ) -> Conversions:
        return Conversions(
            source, position, self._journal, self._converters, self._versions, self._downlinks,
            self.journal_listener.converted, lambda positions, reason: self._unreadable(source, positions, reason),
            self._calendar, self._speakers, refused, strangers, meter=self._meter, debug=self._debug, live=self._live,
        )  # fmt: skip

    def _unreadable(self, source: Source, positions: list[int], reason: str) -> None:
        """Report that stored uplinks are lost."""
        text = f"{len(positions)} stored uplinks have failed, positions {positions[0]} to {positions[-1]}: {reason}"
        self._recorder.note("uplink.unreadable", "datasource", source.spec.name, text, source.tenant, "error", positions=positions)  # fmt: skip

    def _damaged(self, table: str, first: int, last: int, what: str) -> None:
        """Report damage to the journal."""
        self._recorder.note("journal.damaged", "gateway", "journal.db", what, DEFAULT_TENANT, "error", table=table, first=first, last=last)  # fmt: skip

    async def _remove(self, id: str) -> None:
        """A datasource left the registry without a mark: give up what is stored of it."""
        runner = self._running.get(id)
        if runner is None or runner.source.is_leaving:
            return
        runner.source.is_leaving = True
        self._sources.away.remove(id)
        await runner.close()
        runner.conversions.give_up(DELETED)
        if await self._emptier.empty(runner.source, runner.conversions) is not None:
            self._forget(runner)
            self._in_background(runner.forget())

    def _forget(self, runner: DatasourceRunner) -> None:
        """Forget a datasource that has nothing left to do."""
        self._running.pop(runner.source.id, None)
        self._sources.pop(runner.source.id, None)
        runner.conversions.stop()
        self._replies.removed(runner.source)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> Deferred[None]:
        """Run work of bounded time in the background; it doesn't fail. `stop` waits for it."""
        done = ensureDeferred(work)
        self._background.add(done)
        done.addErrback(lambda failure: self._log.failure("work in the background failed", failure))
        return done.addBoth(lambda _: self._background.discard(done))

    # --- for the API ---

    def room(self) -> Room:
        """See `IPipeline.room`."""
        return self._admission.state()

    def drain(self, drains: bool) -> None:
        """Take no more messages, as an operator wants the node to be drained; or take them again."""
        self._admission.drain(drains)

    @property
    def waiting(self) -> int:
        """How many stored uplinks have no outcome yet."""
        return sum(source.figures[-1] for source in self._sources.values())

    def applied(self, id: str) -> Deferred[None]:
        """See `IPipeline.applied`."""
        runner = self._running.get(id)
        return runner.lock.run(lambda: None) if runner is not None else succeed(None)

    def open_to_all(self) -> list[tuple[Source, str]]:
        """The open datasources to which anybody may send who reaches them, each with the reason."""
        runners = self._running.values()
        return [(each.source, reason) for each in runners if (reason := each.open_to_all())]

    def datasource_name(self, id: str) -> str:
        """See `IPipeline.datasource_name`."""
        return self._sources.name(id)

    def status(self, id: str) -> dict[str, Any]:
        """See `IPipeline.status`."""
        runner = self._running.get(id)
        status = runner.status() if runner is not None else {"state": "stopped"}
        return {**status, "state": "elsewhere"} if self._places.is_elsewhere(id) else status

    def datasource(self, id: str) -> IDatasource | None:
        """See `IPipeline.datasource`."""
        return self._sources.running(id)

    async def inject(self, id: str, payload: bytes, metadata: Metadata) -> Answer:
        """See `IPipeline.inject`."""
        runner = self._running.get(id)
        if runner is None:
            raise NotFound(f"there is no datasource {id!r}")
        if runner.source.is_leaving:
            raise Conflict(f"datasource {runner.source.spec.name!r} is being deleted")
        done: Deferred[Answer] = Deferred()
        # whoever sends by hand proves nothing
        runner.intake.receive(payload, {**proof.without(metadata), "simulated": True}, done.callback)
        return await done

    async def release(self, message: Message, device: str, is_dropped: bool) -> State:
        """See `IPipeline.release`."""
        id = message.uplink.datasource
        runner = self._running.get(id)
        if runner is None:  # nobody can convert it any more: it waits no longer, over a restart neither
            self._journal.settle(id, self._journal.last_uplink, [dropped(message, device)])
            await self._journal.durable()
            raise NotFound("the message's datasource was deleted")
        return await runner.reprocessing.run(message, device, is_dropped)

    async def reprocess(self, message: Message) -> State:
        """See `IPipeline.reprocess`."""
        runner = self._running.get(message.uplink.datasource)
        if runner is None:
            raise NotFound("the message's datasource was deleted; its messages can't be converted again")
        return await runner.reprocessing.run(message)
