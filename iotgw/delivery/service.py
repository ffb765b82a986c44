"""The delivery service: how the pipeline and the API reach the integrations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from zope.interface import implementer

from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import NotFound, Unavailable
from iotgw.core.message_query import MessageQuery
from iotgw.core.model import Delivery, Message, Outcome, Parked, TelemetryRecord
from iotgw.core.patience import within
from iotgw.core.places import part_of
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.debug import IDebug
from iotgw.core.ports.delivery import IDeliveries, IDelivery
from iotgw.core.ports.events import IEvents
from iotgw.core.ports.integrations import IIntegration, IIntegrationType
from iotgw.core.ports.journal import IElsewhere, ITelemetryStream
from iotgw.core.ports.meters import DurableAt, IMeters, Meter
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.ports.rates import Figures, ISampled
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.trace import ITrace
from iotgw.core.ports.usage import IMetered, Tally
from iotgw.core.recorder import Recorder
from iotgw.core.specs import IntegrationSpec, RouteSpec
from iotgw.core.times import DateMs
from iotgw.core.types import Types
from iotgw.delivery.elsewhere import StandingsElsewhere
from iotgw.delivery.lending import Place
from iotgw.delivery.outbox import Outbox, never
from iotgw.delivery.outboxes import Outboxes
from iotgw.delivery.running import Running
from iotgw.delivery.shared_target import SharedTargets
from iotgw.delivery.standing import Routed, Standings, narrowed
from iotgw.delivery.store_room import StoreRoom
from iotgw.delivery.targets import Queue, Targets, Unseal
from iotgw.delivery.trial import Trials, sample

NOTED = 5.0
"""Seconds that a caller waits for a change to be durable."""
SLOW = "it is done as soon as the journal can be written and read"


@implementer(IDelivery, IDeliveries, IMetered, IMeters, ISampled)
class DeliveryService(UplinkListener):
    """Delivers the telemetry stream to the integrations.

    ``datasource_name`` maps a datasource's id to its name. ``downlink`` queues what a target sends for a device;
    without it, such messages are ignored. ``unseal`` reveals the secrets of a configuration, ``seal``
    hides those that targets keep in files. ``data_dir`` is the
    directory in which targets may keep files of their own. ``trace`` follows single messages. ``store_bytes`` is the journal's size limit,
    0 for none, which the integrations share. ``durable_at`` says when an uplink was.

    Many methods: it has those of two ports, `IDelivery` and `IDeliveries`.
    """

    def __init__(
        self,
        journal: ITelemetryStream,
        types: Types[IIntegrationType],
        reactor: IReactor,
        events: IEvents,
        datasource_name: Callable[[str], str],
        downlink: Queue | None = None,
        unseal: Unseal | None = None,
        data_dir: str = "",
        trace: ITrace | None = None,
        store_bytes: int = 0,
        calendar: ICalendar | None = None,
        seal: Unseal | None = None,
        *,
        debug: IDebug | None = None,
        durable_at: DurableAt = never,
        elsewhere: IElsewhere | None = None,
        shared: SharedTargets | None = None,
        part: Callable[[], int] = lambda: 0,
    ) -> None:
        self._part = part
        self._journal = journal
        self._reactor = reactor
        self._calendar = calendar = calendar or PlainCalendar(reactor)
        recorder = Recorder(events, calendar)
        self._trials = Trials()
        self._targets = Targets(
            types, journal, reactor, recorder, datasource_name, downlink, unseal, data_dir, calendar,
            self._trials.show, seal, debug=debug, shared=shared, part=part,
        )  # fmt: skip
        self._standings = Standings(journal, reactor)
        self._elsewhere = StandingsElsewhere(elsewhere, reactor, calendar) if elsewhere is not None else None
        self._store = StoreRoom(journal, store_bytes)
        self._outboxes = Outboxes(
            journal,
            reactor,
            recorder,
            self._targets,
            datasource_name,
            trace,
            self._store,
            calendar,
            durable_at,
        )

    # --- life

    def lead(self, shared: SharedTargets) -> None:
        """Make the targets that all partitions share, as those of this one."""
        shared.make, shared.epochs = self._targets.make, self._journal.epochs

    def start(self) -> None:
        """Begin. The journal must have started."""
        self._outboxes.start()

    def stop(self) -> Deferred[None]:
        """Wait a few seconds for what is in flight, write the cursors, and stop the targets. Fires when done."""
        return self._outboxes.stop()

    def hold(self) -> None:
        """Start no target until `release`: nothing is delivered. Before the first `apply`."""
        self._outboxes.hold()

    def release(self) -> None:
        """Deliver."""
        self._outboxes.release()

    def apply(
        self, id_: str, name: str, tenant: str, spec: IntegrationSpec, is_saved: bool = False
    ) -> Deferred[None]:
        """Create or change an integration. What waits for it stays. Fires when the change is done.

        Raises SettingsError, and changes nothing, if the spec is invalid; unless it ``is_saved`` already: then its target is one that can't start.
        """
        applied = self._outboxes.apply(id_, name, tenant, spec, is_saved)
        running = self._outboxes.get(id_)
        for doubt in self._doubts(spec, id_):
            running.tell("settings" if doubt in running.warnings else "limits", doubt, "warning")
        return applied

    def follow(self, id_: str, route: RouteSpec) -> None:
        """A datasource has another name, and an integration's route means the same by this one. It does from now on, before anything else is
        delivered; `apply` with the route changes nothing then."""
        self._outboxes.follow(id_, route)

    def lend(self, id_: str, name: str, tenant: str, spec: IntegrationSpec) -> Deferred[None]:
        """Have another node deliver to an integration what is in this partition, too. Fires when it may."""
        return self._outboxes.lend(id_, name, tenant, spec)

    def take_back(self, id_: str) -> Deferred[None]:
        """End that. Fires when nobody else delivers for it; then `apply` goes on where it stands. Fails with Unavailable."""
        return self._outboxes.lending.take_back(id_)

    def keep(self, id_: str, place: Place) -> None:
        """Where an integration stands that isn't running yet, for `apply`."""
        self._outboxes.lending.keep(id_, place)

    def withdraw(self, id_: str) -> Deferred[Place | None]:
        """Deliver no more to an integration; what waits for it stays. Fires when its target has stopped."""
        return self._outboxes.withdraw(id_)

    def end_at(self, id_: str, position: int) -> None:
        """An integration is being deleted: it gets nothing after this stream position."""
        self._outboxes.end_at(id_, position)

    def runs(self, id_: str) -> bool:
        """Whether an integration is running."""
        return id_ in self._outboxes

    def is_counted(self, id_: str) -> bool:
        """Whether it is known how much waits for an integration. Raises NotFound if it isn't running."""
        return self._outboxes.is_counted(id_)

    def is_at_end(self, id_: str) -> bool:
        """Whether everything that an integration was to get is settled. Raises NotFound if it isn't running."""
        return self._outboxes.is_at_end(id_)

    def drop_others(self, ids: Collection[str]) -> dict[str, int]:
        """Have the journal forget all stored integrations except these.

        Returns how many records were not settled, by the id of each that was forgotten."""
        return self._outboxes.drop_others(ids)

    def remove(self, id_: str) -> Deferred[None]:
        """Delete an integration and what waits for it. Fires when the journal has forgotten it."""
        return self._outboxes.remove(id_)

    # --- for the pipeline

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """See `UplinkListener.settled`."""
        self.feed(records)

    def feed(self, records: list[TelemetryRecord]) -> None:
        """See `IDelivery.feed`."""
        if records:
            self._outboxes.feed(records)

    def room(self) -> bool:
        """See `IDelivery.room`."""
        return self._outboxes.have_room()

    def holding_up(self) -> list[str]:
        """See `IDelivery.holding_up`."""
        return self._outboxes.holding_up()

    @property
    def waiting(self) -> int:
        """How many records wait for integrations, or are on their way."""
        return sum(each.outbox.waiting for each in self._outboxes)

    # --- for usage

    def tallies(self) -> list[Tally]:
        """See `IMetered.tallies`."""
        return [
            Tally(("integration", each.tenant, id), each.name, each.outbox.accounts.amounts)
            for id, each in self._outboxes.items()
        ]

    def samples(self) -> list[Figures]:
        """See `ISampled.samples`."""
        return [
            Figures("integration", each.tenant, id, each.name, each.outbox.accounts.figures)
            for id, each in self._outboxes.items()
        ]

    # --- for the API

    def meters(self) -> dict[str, Meter]:
        """See `IMeters.meters`."""
        return {id: each.outbox.meter() for id, each in self._outboxes.items()}

    def validate(self, spec: IntegrationSpec) -> None:
        """See `IDeliveries.validate`."""
        self._targets.build("", "check", "", spec)
        self._store.check(spec)

    def deliveries(
        self, messages: Sequence[Message], ids: Collection[str] | None = None
    ) -> Deferred[list[list[Delivery]]]:
        """See `IDeliveries.deliveries`."""
        running: dict[str, Routed] = {**self._outboxes.now(), **self._outboxes.lending.elsewhere}
        if ids is not None:
            running = {id: running[id] for id in ids if id in running}
        return Deferred.fromCoroutine(self._deliveries(messages, running))

    async def _deliveries(
        self, messages: Sequence[Message], integrations: Mapping[str, Routed]
    ) -> list[list[Delivery]]:
        here = {id: self._outboxes.get(id) for id in integrations if id in self._outboxes}
        if self._elsewhere is None:
            return await self._standings.of(messages, here)
        far = [message for message in messages if part_of(message.seq)]
        near = [message for message in messages if not part_of(message.seq)]
        found = dict(zip((each.seq for each in near), await self._standings.of(near, here), strict=True))
        lent = {id: each for id, each in integrations.items() if id not in here}
        if near and lent:
            more = await self._elsewhere.of_part(self._part(), near, lent)
            for message, some in zip(near, more, strict=True):
                found[message.seq] = sorted([*found[message.seq], *some], key=lambda each: each.integration)
        if far:
            found |= zip((each.seq for each in far), await self._elsewhere.of(far, integrations), strict=True)
        return [found[message.seq] for message in messages]

    def narrowed(self, query: MessageQuery, state: str, ids: Sequence[str]) -> MessageQuery:
        """See `IDeliveries.narrowed`."""
        running = [id for id in ids if id in self._outboxes]
        return narrowed(query, state, running, lambda id: self._outbox(id).accounts.losses.ranges())

    def entry(self, id: str) -> Running:
        """An integration and its parts. Raises NotFound if it isn't running."""
        return self._outboxes.get(id)

    def _outbox(self, id: str) -> Outbox:
        return self._outboxes.get(id).outbox

    def stats(self, id: str) -> dict[str, Any]:
        """See `IDeliveries.stats`."""
        each = self._outboxes.get(id)
        target = each.target.status() if each.target is not None else {}
        stats = {**each.outbox.stats(each.spec.enabled, target), "warnings": self._doubts(each.spec, id)}
        return {**stats, "state": "held"} if self._outboxes.is_held and each.spec.enabled else stats

    def _doubts(self, spec: IntegrationSpec, id: str) -> list[str]:
        """What a user should know about an integration's limits and settings."""
        others = (other.spec for other_id, other in self._outboxes.items() if other_id != id)
        return [*self._store.doubts(spec, others), *self._outboxes.get(id).warnings]

    def pause(self, id: str) -> Deferred[None]:
        """See `IDeliveries.pause`."""
        outbox = self._outbox(id)
        outbox.pause()
        return self._noted(outbox)

    def resume(self, id: str) -> Deferred[None]:
        """See `IDeliveries.resume`."""
        outbox = self._outbox(id)
        outbox.resume()
        return self._noted(outbox)

    def _noted(self, outbox: Outbox) -> Deferred[None]:
        """Fires when the change is durable. Fails with Unavailable when that takes more than `NOTED` seconds."""
        outbox.flush()

        def too_long(result: object, timeout: float) -> None:
            raise Unavailable(
                "the change took effect, but a restart would forget it: the journal can't be written"
            )

        return self._journal.committed().addTimeout(NOTED, self._reactor, too_long)

    def drain(self, id: str) -> None:
        """See `IDeliveries.drain`."""
        self._outbox(id).nudge(parked=True)

    def purge(self, id: str) -> Deferred[int]:
        """See `IDeliveries.purge`."""
        outbox = self._outbox(id)

        def purged(count: int) -> Deferred[int]:
            return self._noted(outbox).addCallback(lambda _: count)

        return within(NOTED, outbox.purge().addCallback(purged), self._reactor, SLOW)

    def seek(self, id: str, ts_ms: int) -> Deferred[None]:
        """See `IDeliveries.seek`."""
        outbox = self._outbox(id)
        date_ms = DateMs(ts_ms)
        found = self._journal.time_to_seq(date_ms, self._calendar.moment_ms(date_ms))
        sought = found.addCallback(lambda seq: outbox.seek(max(0, seq - 1)))
        return within(NOTED, sought.addCallback(lambda _: self._noted(outbox)), self._reactor, SLOW)

    def dead_letters(self, id: str, after: int = 0, limit: int = 100) -> Deferred[list[Parked]]:
        """See `IDeliveries.dead_letters`."""
        return self._outbox(id).dead_letters(after, limit)

    def retry(self, id: str, seq: int | None = None) -> Deferred[None]:
        """See `IDeliveries.retry`."""
        outbox = self._outbox(id)
        if seq is None:
            outbox.retry(None)
            return succeed(None)

        def found(rows: list[Parked]) -> None:
            if not rows or rows[0].record.seq != seq:
                raise NotFound(f"no dead letter at {seq}")
            outbox.retry(rows[0])

        return outbox.dead_letters(seq - 1, 1).addCallback(found)

    def dismiss(
        self, id: str, position: int | None = None, device: str = "", before_ms: int = 0, error: str = ""
    ) -> Deferred[int]:
        """See `IDeliveries.dismiss`."""
        outbox = self._outbox(id)

        def matches(row: Parked) -> bool:
            record = row.record
            return (
                position in (None, record.seq)
                and device in ("", record.device_name)
                and (not before_ms or record.received_ms < before_ms)
                and error in row.error
            )

        def dismissed(count: int) -> Deferred[int]:
            if position is not None and not count:
                raise NotFound(f"no dead letter at {position}")
            return self._noted(outbox).addCallback(lambda _: count)

        return outbox.dismiss(matches).addCallback(dismissed)

    def check(self, id: str) -> Deferred[dict[str, Any]]:
        """See `IDeliveries.check`."""
        return maybeDeferred(self._target(id).check).addErrback(
            lambda failure: {"ok": False, "detail": failure.getErrorMessage()}
        )

    def test(self, id: str, record: TelemetryRecord | None = None) -> Deferred[dict[str, Any]]:
        """See `IDeliveries.test`."""
        target = self._target(id)
        if record is None:
            record = sample(self._outboxes.get(id).tenant, self._calendar.now_ms())
        return self._trials.try_out(target, record)

    def _target(self, id: str) -> IIntegration:
        target = self._outboxes.get(id).target
        if target is None:
            raise Unavailable("the integration is still starting")
        return target
