"""Creates, changes and removes the running integrations. Each has an outbox and a target."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import starmap

import msgspec
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.errors import Conflict, IotgwError, NotFound, Unavailable
from iotgw.core.model import Counters, TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.integrations import IIntegration, Tell
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.ports.meters import DurableAt
from iotgw.core.ports.trace import ITrace
from iotgw.core.recorder import Recorder
from iotgw.core.specs import IntegrationSpec, RouteSpec
from iotgw.delivery.accounts import open_of
from iotgw.delivery.lending import Lending, Place
from iotgw.delivery.outbox import Outbox
from iotgw.delivery.route import RecordRoute, route
from iotgw.delivery.running import Elsewhere, Running
from iotgw.delivery.store_room import StoreRoom
from iotgw.delivery.targets import Targets
from iotgw.delivery.tell import teller
from iotgw.delivery.unbuilt import Unbuilt

FEW = 4
"""Integrations whose routes are asked of each record; of more it is found out first where records come from."""
DRAIN = 3.0
"""Seconds that records in flight get to finish when the service stops or an integration changes."""
RELEASE = 1.0  # the same when another node goes on


class Outboxes:
    """The running integrations, by id. ``datasource_name`` maps a datasource's id to its name.

    Many methods: integrations are created, changed, ended and removed, and the service asks about each.
    """

    _log = Logger()

    def __init__(
        self,
        journal: ITelemetryStream,
        clock: IReactorTime,
        recorder: Recorder,
        targets: Targets,
        datasource_name: Callable[[str], str],
        trace: ITrace | None,
        store: StoreRoom,
        calendar: ICalendar,
        durable_at: DurableAt,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._recorder = recorder
        self._targets = targets
        self._datasource_name = datasource_name
        self._trace = trace
        self._store = store
        self._calendar = calendar
        self._durable_at = durable_at
        self._running: dict[str, Running] = {}
        self._strict: list[Outbox] = []
        self._is_stopping = False
        self.is_held = False
        """Whether no target is started: the gateway is paused."""
        self._kept: dict[str, tuple[int, Counters]] = {}
        self._ends: dict[str, int] = {}
        """The last position that an integration gets, for each that is being deleted."""
        self.lending = Lending(journal, self._kept, self.withdraw)
        self._made_room_to = 0
        """The position up to which the journal last wanted what waits to be given up."""
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock

    def __iter__(self) -> Iterator[Running]:
        """All running integrations."""
        return iter(self._running.values())

    def items(self) -> Iterable[tuple[str, Running]]:
        """All running integrations with their ids."""
        return self._running.items()

    def now(self) -> dict[str, Running]:
        """Those that are running now, by id."""
        return dict(self._running)

    def __contains__(self, id_: str) -> bool:
        """Whether an integration is running."""
        return id_ in self._running

    def get(self, id_: str) -> Running:
        """The integration with this id. Raises NotFound if it isn't running, and Unavailable while the gateway stops."""
        running = self._running.get(id_)
        if running is None and self._is_stopping:
            raise Unavailable("the gateway is stopping")
        if running is None and id_ in self.lending.elsewhere:
            raise Conflict(f"another node delivers to integration {self.lending.elsewhere[id_].name!r}")
        if running is None:
            raise NotFound(f"no integration {id_!r} is running")
        return running

    def have_room(self) -> bool:
        """False while an integration whose overflow is ``rejectNew`` is full."""
        return not self._strict or not any(outbox.is_full for outbox in self._strict)

    def holding_up(self) -> list[str]:
        """The names of the integrations that make `have_room` False."""
        return [each.name for each in self if each.outbox in self._strict and each.outbox.is_full]

    def _know_the_strict(self) -> None:
        """Collect the outboxes that `have_room` has to look at, because it is called for each uplink."""
        self._strict = [
            each.outbox
            for id_, each in self._running.items()
            if each.spec.queue.overflow == "rejectNew" and id_ not in self._ends
        ]

    # --- start and stop

    def start(self) -> None:
        """Begin. The journal must have started."""
        self._kept.update(self._journal.integrations())
        self.lending.start()
        self._loop.start(1.0, now=False).addErrback(
            lambda failure: self._log.failure("the periodic check of the integrations stopped", failure)
        )

    def stop(self) -> Deferred[None]:
        """Wait a few seconds for what is in flight, write the cursors, and stop the targets. Fires when done."""
        if self._loop.running:
            self._loop.stop()
        self._is_stopping = True
        all_, self._running = list(self), {}
        self._know_the_strict()
        quiet = DeferredList([each.outbox.quiet() for each in all_], consumeErrors=True)
        quiet.addTimeout(DRAIN, self._clock, lambda result, timeout: None)

        def close(_: object) -> Deferred[None]:
            for each in all_:
                each.outbox.close()
            stopped = DeferredList([_stopped(each.target) for each in all_], consumeErrors=True)
            stopped.addTimeout(DRAIN / 2, self._clock, lambda result, timeout: None)
            return stopped.addCallback(lambda _: None)

        return quiet.addBoth(close).addCallback(lambda _: None)

    def _tick(self) -> None:
        self._store.divide([each.outbox for each in self])
        for each in list(self):
            each.outbox.tick()

    def feed(self, records: Sequence[TelemetryRecord]) -> None:
        """Take in records that have just become durable, in order, and make room for more where the journal is short."""
        if len(self._running) <= FEW:
            for each in self:
                each.outbox.feed(records)
        else:
            origins = {(record.tenant, record.datasource) for record in records}
            for each in self:
                each.outbox.feed(records, any(starmap(each.route.leads_from, origins)))
        short = self._store.short
        if short > self._made_room_to:
            self._store.divide([each.outbox for each in self])
            for each in list(self):
                each.outbox.make_room()
        self._made_room_to = short

    # --- changes

    def apply(
        self, id_: str, name: str, tenant: str, spec: IntegrationSpec, is_saved: bool = False
    ) -> Deferred[None]:
        """Create or change an integration. What waits for it stays. Fires when the change is done.

        Raises SettingsError, and changes nothing, if the spec is invalid; unless it ``is_saved`` already: then its target is one that can't start.
        """
        running = self._running.get(id_)
        tell = running.tell if running is not None else self._teller(id_)
        warnings: list[str] = []
        try:
            target = self._targets.build(
                id_, name, tenant, spec, tell, lambda: self._available(id_), warnings.append
            )
        except Exception as error:  # a type may be anybody's
            if not is_saved:
                raise
            target = Unbuilt(error)
        if running is None:
            route = self._route(id_, tenant, spec)
            outbox = self._open(id_, spec, tell, route)
            running = self._running[id_] = Running(name, tenant, spec, tell, route, outbox, None, warnings)
            self._know_the_strict()
            return outbox.load().addCallback(lambda _: self._run(id_, running, target))
        running.warnings = warnings
        return self._change(id_, running, name, tenant, spec, target)

    def _change(
        self,
        id_: str,
        running: Running,
        name: str,
        tenant: str,
        spec: IntegrationSpec,
        target: IIntegration,
    ) -> Deferred[None]:
        rerouted = (running.spec.route, running.tenant) != (spec.route, tenant)
        reordered = running.spec.order != spec.order
        running.name, running.tenant, running.spec = name, tenant, spec
        self._know_the_strict()
        quiet = running.outbox.quiet()
        quiet.addTimeout(DRAIN, self._clock, lambda result, timeout: None)

        def change(_: object) -> Deferred[None]:
            old = running.outbox.release_target()
            if self._running.get(id_) is not running:
                return _stopped(old)
            if reordered:
                return self._reorder(id_, running, old)
            running.outbox.configure(spec)
            self._journal.hold(id_, spec.queue.max_age)
            if rerouted:
                running.route = self._route(id_, tenant, running.spec)
                running.outbox.reroute(running.route.match)
            return _stopped(old)

        def run(_: object) -> None:
            self._run(id_, running, target)
            running.outbox.go_on()

        return quiet.addBoth(change).addCallback(run)

    def follow(self, id_: str, route: RouteSpec) -> None:
        """A route says what it said in other words, as a datasource was renamed."""
        running = self._running.get(id_)
        if running is not None and running.spec.route != route:
            running.spec = msgspec.structs.replace(running.spec, route=route)
            running.route = self._route(id_, running.tenant, running.spec)
            running.outbox.follow(running.route.match)

    def end_at(self, id_: str, position: int) -> None:
        """An integration is being deleted: it gets nothing after this stream position."""
        if id_ in self._ends:
            return
        self._ends[id_] = position
        running = self._running.get(id_)
        if running is not None:
            running.route = running.route.until(position)
            running.outbox.reroute(running.route.match)
            self._know_the_strict()

    def is_counted(self, id_: str) -> bool:
        """Whether it is known how much waits for an integration. Raises as `get`."""
        return not self.get(id_).outbox.backlog.is_counting

    def is_at_end(self, id_: str) -> bool:
        """Whether everything that an integration was to get is settled. Raises as `get`."""
        return self.get(id_).outbox.is_done

    def _route(self, id_: str, tenant: str, spec: IntegrationSpec) -> RecordRoute:
        found, end = route(spec.route, tenant, self._datasource_name), self._ends.get(id_)
        return found if end is None else found.until(end)

    def drop_others(self, ids: Collection[str]) -> dict[str, int]:
        """Have the journal forget all stored integrations except these.

        Returns how many records were not settled, by the id of each that was forgotten."""
        others = {id_: counters for id_, (_, counters) in self._kept.items() if id_ not in ids}
        for id_ in others:
            del self._kept[id_]
            self._targets.forget(id_)
            self._journal.forget(id_)
        return {id_: open_of(counters) for id_, counters in others.items()}

    def remove(self, id_: str) -> Deferred[None]:
        """Delete an integration, what waits for it, and its target's files. Fires when the journal has forgotten it; until then the
        caller keeps in mind that it is being deleted, and says so again after a crash."""
        running = self._running.pop(id_, None)
        self._kept.pop(id_, None)
        self._ends.pop(id_, None)
        self._know_the_strict()
        self.lending.remove(id_)
        if running is None:
            self._targets.forget(id_)
            return succeed(None)
        target = running.outbox.release_target()
        running.outbox.close()
        self._journal.forget(id_)

        def forget(_: object) -> Deferred[None]:
            self._targets.forget(id_)
            return self._journal.committed()

        return _stopped(target).addCallback(forget)

    def _open(self, id_: str, spec: IntegrationSpec, tell: Tell, route: RecordRoute) -> Outbox:
        head = self._journal.head
        cursor, counters = self._kept.pop(id_, (head, Counters(counted=head, since=head)))
        self._journal.hold(id_, spec.queue.max_age)
        return Outbox(
            id_, self._journal, self._clock, cursor, counters, spec, route.match, tell, self._trace, self._calendar,
            self._durable_at, self._targets.rate_of(id_, spec),
        )  # fmt: skip

    def lend(self, id_: str, name: str, tenant: str, spec: IntegrationSpec) -> Deferred[None]:
        """Have another node deliver to an integration. Fires when it may, and nothing is done for it here any more."""
        found = Elsewhere(name, self._route(id_, tenant, spec))
        return self.lending.lend(id_, id_ in self._running, found, spec.queue.max_age)

    def withdraw(self, id_: str) -> Deferred[Place | None]:
        """Deliver no more to an integration. Fires with where it stands; None where it wasn't running, or the service stops."""
        running = self._running.get(id_)
        if running is None:
            return succeed(None)
        quiet = running.outbox.quiet()
        quiet.addTimeout(RELEASE, self._clock, lambda result, timeout: None)

        def ended(_: object) -> Deferred[Place | None]:
            if self._running.get(id_) is not running:
                return succeed(None)
            del self._running[id_]
            self._know_the_strict()
            target = running.outbox.release_target()
            running.outbox.close()
            stopped = _stopped(target).addTimeout(RELEASE, self._clock, lambda result, timeout: None)
            stopped.addErrback(lambda failure: self._log.failure("a target could not be stopped", failure))
            return stopped.addCallback(lambda _: running.outbox.place())

        return quiet.addBoth(ended)

    def _reorder(self, id_: str, running: Running, old: IIntegration | None) -> Deferred[None]:
        """Begin again from what the journal holds, because a different order needs different lines."""
        running.outbox.close()

        def reopen(_: object) -> Deferred[None]:
            if self._running.get(id_) is not running:
                return succeed(None)  # meanwhile it was removed, or the service stopped
            self._kept[id_] = running.outbox.place()
            running.route = self._route(id_, running.tenant, running.spec)
            running.outbox = self._open(id_, running.spec, running.tell, running.route)
            self._know_the_strict()
            return running.outbox.load()

        return _stopped(old).addCallback(lambda _: self._journal.committed()).addCallback(reopen)

    def _run(self, id_: str, running: Running, target: IIntegration) -> None:
        if self._running.get(id_) is not running:
            return  # meanwhile it was removed, or the service stopped
        running.target = target
        if running.spec.enabled and not self.is_held:
            self._start(running, target)

    def hold(self) -> None:
        """Start no target until `release`."""
        self.is_held = True

    def release(self) -> None:
        """Start the targets that were held back."""
        was_held, self.is_held = self.is_held, False
        for running in list(self) if was_held else []:
            if running.target is not None and running.spec.enabled:
                self._start(running, running.target)

    def _start(self, running: Running, target: IIntegration) -> None:
        maybeDeferred(target.start).addCallbacks(
            lambda _: running.outbox.use(target) if running.target is target else None,
            lambda failure: self._not_started(running, failure),
        )

    def _not_started(self, running: Running, failure: Failure) -> None:
        if failure.check(IotgwError) is None:
            self._log.failure("integration {name} could not start", failure, name=running.name)
        running.outbox.not_started(failure.getErrorMessage())
        running.tell("integration.failed", failure.getErrorMessage(), "error")

    def _available(self, id_: str) -> None:
        running = self._running.get(id_)
        if running is not None:
            running.outbox.nudge()

    def _teller(self, id_: str) -> Tell:
        def who() -> tuple[str, str] | None:
            running = self._running.get(id_)
            return (running.name, running.tenant) if running is not None else None

        return teller(self._recorder, who)


def _stopped(target: IIntegration | None) -> Deferred[None]:
    """Stop a target, if there is one."""
    return maybeDeferred(target.stop) if target is not None else succeed(None)
