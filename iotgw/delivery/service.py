"""The delivery service: an outbox per integration, and what the API asks of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.errors import NotFound, Unavailable
from iotgw.core.model import (
    Counters,
    Delivery,
    DeliveryState,
    Event,
    Message,
    Outcome,
    Parked,
    TelemetryRecord,
)
from iotgw.core.ports.delivery import IDeliveries, IDelivery
from iotgw.core.ports.integrations import IntegrationContext
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.secrets import revealed
from iotgw.core.specs import DownlinkSpec, IntegrationSpec
from iotgw.core.types import Types
from iotgw.core.validate import convert
from iotgw.delivery.outbox import Outbox
from iotgw.delivery.route import route
from iotgw.delivery.standing import deliveries
from iotgw.delivery.trial import sample, try_out
from iotgw.delivery.upkeep import Upkeep

DRAIN = 3.0
"""Seconds that what is in flight gets when the service stops."""
NOTED = 5.0
"""Seconds that somebody waits to hear that the journal has it."""


class Entry(Struct):
    """An integration and its parts."""

    name: str
    tenant: str
    spec: IntegrationSpec
    outbox: Outbox
    upkeep: Upkeep
    target: Any
    loaded: Deferred[None]


@implementer(IDelivery, IDeliveries)
class DeliveryService(UplinkListener):
    """Delivers the telemetry stream to the integrations.

    ``types`` is the `iotgw.core.types.Types` of integrations, ``events`` an `iotgw.core.ports.events.IEvents`,
    ``datasource_name`` maps a datasource's id to its name, ``downlink`` and ``unseal`` as in
    `iotgw.core.types.IntegrationContext`.
    """

    _log = Logger()

    def __init__(
        self,
        journal: Any,
        types: Types,
        reactor: Any,
        events: Any,
        datasource_name: Callable[[str], str],
        downlink: Callable[..., Any] | None = None,
        unseal: Callable[[str], str] | None = None,
        data_dir: str = "",
    ) -> None:
        self.trace: Any = None
        """An `iotgw.observe.trace.Trace` that follows single messages, or None."""
        self._journal = journal
        self._types = types
        self._reactor = reactor
        self._events = events
        self._datasource_name = datasource_name
        self._downlink = downlink
        self._unseal = unseal
        self._data_dir = data_dir
        self._entries: dict[str, Entry] = {}
        self._strict: list[Entry] = []
        self._kept: dict[str, tuple[int, Counters]] = {}
        self._loop = LoopingCall(self._tick)
        self._loop.clock = reactor
        self._trials = 0

    # --- life

    def start(self) -> None:
        """Begin; the journal has started."""
        self._kept = dict(self._journal.integrations())
        self._loop.start(1.0, now=False).addErrback(
            lambda failure: self._log.failure("the upkeep of deliveries stopped", failure)
        )

    def stop(self) -> Deferred[None]:
        """Let what is in flight end (for seconds, not minutes), keep the cursors, close the targets."""
        if self._loop.running:
            self._loop.stop()
        entries, self._entries = list(self._entries.values()), {}
        self._know_the_strict()
        quiet = DeferredList([entry.outbox.quiet() for entry in entries], consumeErrors=True)
        quiet.addTimeout(DRAIN, self._reactor, lambda result, timeout: None)

        def close(_: object) -> Any:
            for entry in entries:
                entry.outbox.close()
            stopped = [maybeDeferred(entry.target.stop) for entry in entries if entry.target]
            ended = DeferredList(stopped, consumeErrors=True)
            return ended.addTimeout(DRAIN / 2, self._reactor, lambda result, timeout: None)

        return quiet.addBoth(close).addCallback(lambda _: None)

    def validate(self, spec: IntegrationSpec) -> None:
        """Raise SettingsError when an integration of this spec could not run."""
        self._build("", "check", "", spec, lambda *args, **detail: None)

    def apply(self, id_: str, name: str, tenant: str, spec: IntegrationSpec) -> Deferred[None]:
        """Create or change an integration; what waits for it stays. Fires when the change is done.

        Raises SettingsError, and changes nothing, when the spec is wrong.
        """

        tell = self._teller(id_)
        target = self._build(id_, name, tenant, spec, tell)
        match = route(spec.route, tenant, self._datasource_name)
        entry = self._entries.get(id_)
        if entry is None:
            opened = self._open(id_, name, tenant, spec, tell)
            return opened.loaded.addCallback(lambda _: self._run(opened, target))
        rerouted = (entry.spec.route, entry.tenant) != (spec.route, tenant)
        reordered = entry.spec.order != spec.order
        entry.name, entry.tenant, entry.spec = name, tenant, spec
        self._know_the_strict()
        quiet = entry.outbox.quiet()
        quiet.addTimeout(DRAIN, self._reactor, lambda result, timeout: None)

        def change(_: object) -> Any:
            old = entry.outbox.release_target()
            if reordered:
                return self._reorder(entry, tell, old)
            entry.outbox.configure(spec)
            self._journal.hold(id_, spec.queue.max_age)
            if rerouted:
                entry.outbox.backlog.reroute(match)
            return old.stop() if old is not None else None

        def run(_: object) -> None:
            self._run(entry, target)
            entry.outbox.go_on()

        return quiet.addBoth(change).addCallback(run)

    def remove(self, id_: str) -> Deferred[None]:
        """Delete an integration and what waits for it."""
        entry = self._entries.pop(id_, None)
        self._kept.pop(id_, None)
        self._know_the_strict()
        if entry is None:
            return succeed(None)
        entry.outbox.paused = True
        target = entry.outbox.release_target()
        entry.outbox.close()
        self._journal.forget(id_)
        return maybeDeferred(target.stop) if target is not None else succeed(None)

    def _build(
        self, id_: str, name: str, tenant: str, spec: IntegrationSpec, tell: Callable[..., None]
    ) -> Any:
        type_ = self._types.get(spec.type)
        configuration = spec.configuration
        if self._unseal is not None:
            configuration = revealed(configuration, type_.settings, self._unseal)
        settings = self._types.configure(spec.type, configuration)
        return type_.build(
            settings,
            IntegrationContext(
                id=id_, name=name, tenant=tenant, spec=spec, epoch=self._journal.epoch, reactor=self._reactor,
                datasource_name=self._datasource_name, event=tell, downlink=self._push,
                data_dir=self._data_dir, available=lambda: self._available(id_),
            ),
        )  # fmt: skip

    def _open(
        self, id_: str, name: str, tenant: str, spec: IntegrationSpec, tell: Callable[..., None]
    ) -> Entry:
        head = self._journal.head
        cursor, counters = self._kept.pop(id_, (head, Counters(counted=head, since=head)))
        match = route(spec.route, tenant, self._datasource_name)
        self._journal.hold(id_, spec.queue.max_age)
        outbox = Outbox(id_, self._journal, self._reactor, cursor, counters, spec, match, tell)
        outbox.trace = self.trace
        outbox.flush()  # its place in the stream is kept from now on: reading parked records waits for that
        entry = Entry(name, tenant, spec, outbox, Upkeep(outbox, tell), None, outbox.load())
        self._entries[id_] = entry
        self._know_the_strict()
        return entry

    def _reorder(self, entry: Entry, tell: Callable[..., None], old: Any) -> Any:
        """Another order has other lines: begin anew from what the journal holds."""
        outbox = entry.outbox
        outbox.close()

        def reopen(_: object) -> Deferred[None]:
            self._kept[outbox.id] = (outbox.cursor, outbox.counters)
            fresh = self._open(outbox.id, entry.name, entry.tenant, entry.spec, tell)
            entry.outbox, entry.upkeep = fresh.outbox, fresh.upkeep
            self._entries[outbox.id] = entry
            self._know_the_strict()
            return fresh.loaded

        stopped = maybeDeferred(old.stop) if old is not None else succeed(None)
        return stopped.addCallback(lambda _: self._journal.committed()).addCallback(reopen)

    def _run(self, entry: Entry, target: Any) -> None:
        entry.target = target
        if not entry.spec.enabled:
            return
        maybeDeferred(target.start).addCallbacks(
            lambda _: entry.outbox.use(target) if entry.target is target else None,
            lambda failure: self._not_started(entry, failure),
        )

    def _not_started(self, entry: Entry, failure: Failure) -> None:
        self._log.failure("integration {name} could not start", failure, name=entry.name)
        entry.outbox.last.error = failure.getErrorMessage()
        self._teller(entry.outbox.id)("integration.failed", failure.getErrorMessage(), "error")

    def _push(self, tenant: str, device: str, item: dict[str, Any]) -> None:
        """Queue what a target sent for a device."""
        if self._downlink is None:
            return
        now_ms = int(self._reactor.seconds() * 1000)

        def refused(failure: Failure) -> None:
            reason = failure.getErrorMessage()
            self._events.emit(
                Event(now_ms, "downlink.refused", "device", device, reason, tenant, "warning", device)
            )

        try:
            spec = convert(item, DownlinkSpec)
        except (
            Exception
        ):  # a target's answer may hold anything; what became of its message doesn't depend on it
            refused(Failure())
        else:
            maybeDeferred(self._downlink, tenant, device, spec).addErrback(refused)

    def _available(self, id_: str) -> None:
        entry = self._entries.get(id_)
        if entry is not None:
            entry.outbox.breaker.nudge(self._reactor.seconds())
            entry.outbox.pump()

    def _teller(self, id_: str) -> Callable[..., None]:
        """A function that records events of an integration, under the name that it has then."""

        def tell(type_: str, message: str, severity: Any = "info", **detail: Any) -> None:
            entry = self._entries.get(id_)
            if entry is not None:
                now_ms = int(self._reactor.seconds() * 1000)
                self._events.emit(
                    Event(
                        now_ms,
                        type_,
                        "integration",
                        entry.name,
                        message,
                        entry.tenant,
                        severity,
                        detail=detail,
                    )
                )

        return tell

    def _tick(self) -> None:
        for entry in list(self._entries.values()):
            entry.upkeep.tick()

    # --- IDelivery

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """See `UplinkListener.settled`."""
        self.feed(records)

    def feed(self, records: Sequence[TelemetryRecord]) -> None:
        """These records are durable."""
        if records:
            for entry in self._entries.values():
                entry.outbox.feed(records)

    def room(self) -> bool:
        """False while an integration that would rather have nothing new than lose the old is full."""
        return not self._strict or all(
            entry.outbox.accounts.waiting_bytes < entry.spec.queue.max_bytes for entry in self._strict
        )

    def _know_the_strict(self) -> None:
        """Keep at hand those that `room` must look at: it is asked for each uplink."""
        self._strict = [entry for entry in self._entries.values() if entry.spec.queue.overflow == "rejectNew"]

    def deliveries(self, message: Message) -> Deferred[list[Delivery]]:
        """What became of a message, per integration; of several outputs the one that is least far."""
        outboxes = [(entry.name, entry.outbox) for entry in self._entries.values()]
        return deliveries(self._journal, outboxes, message)

    # --- what the API asks

    def entry(self, id_: str) -> Entry:
        """The parts of an integration; raises NotFound."""
        entry = self._entries.get(id_)
        if entry is None:
            raise NotFound(f"no integration {id_!r} is running")
        return entry

    def stats(self, id_: str) -> dict[str, Any]:
        """The accounts and the state of an integration, as JSON."""
        entry = self.entry(id_)
        target = entry.target.status() if entry.target is not None else {}
        return entry.upkeep.stats(entry.spec.enabled, target)

    def pause(self, id_: str) -> Deferred[None]:
        """Send nothing until `resume`; fires when a restart would not change that."""
        entry = self.entry(id_)
        entry.outbox.paused = True
        return self._noted(entry)

    def resume(self, id_: str) -> Deferred[None]:
        """Send again; fires as `pause` does."""
        entry = self.entry(id_)
        entry.outbox.paused = False
        entry.outbox.pump()
        return self._noted(entry)

    def _noted(self, entry: Entry) -> Deferred[None]:
        """Fires when the journal has it; fails with Unavailable when that takes too long."""
        entry.outbox.flush()

        def too_long(result: object, timeout: float) -> None:
            raise Unavailable("it is done, but a restart would forget it: the journal can't be written")

        noted: Deferred[None] = self._journal.committed()
        return noted.addTimeout(NOTED, self._reactor, too_long)

    def drain(self, id_: str) -> None:
        """Try everything that waits now, without waiting out any backoff."""
        outbox = self.entry(id_).outbox
        outbox.breaker.nudge(self._reactor.seconds())
        outbox.parking.hurry()
        outbox.pump()

    def purge(self, id_: str) -> Deferred[int]:
        """Drop all that waits; fires, once that is durable, with how many that were."""
        entry = self.entry(id_)

        def purged(count: int) -> Deferred[int]:
            return self._noted(entry).addCallback(lambda _: count)

        return entry.upkeep.purge().addCallback(purged)

    def seek(self, id_: str, ts_ms: int) -> Deferred[None]:
        """Go on with what was received at or after a time: sends history again, or skips some. Fires when
        the new position is durable."""
        entry = self.entry(id_)
        sought = self._journal.time_to_seq(ts_ms).addCallback(lambda seq: entry.upkeep.seek(max(0, seq - 1)))
        return sought.addCallback(lambda _: self._noted(entry))

    def dead_letters(self, id_: str, after: int = 0, limit: int = 100) -> Deferred[list[Parked]]:
        """Messages that were given up, by position."""
        self.entry(id_).outbox.flush()
        return self._journal.read_parked(id_, DeliveryState.DEAD, after, limit)

    def retry(self, id_: str, seq: int | None = None) -> Deferred[None]:
        """Send one dead letter again, or all of them; fails with NotFound."""
        outbox = self.entry(id_).outbox
        redrive = outbox.redrive
        if seq is None:
            outbox.flush()  # who died just now has no row yet
            redrive.all()
            return succeed(None)

        def found(rows: list[Parked]) -> None:
            if not rows or rows[0].record.seq != seq:
                raise NotFound(f"no dead letter at {seq}")
            redrive.one(rows[0])

        return self.dead_letters(id_, seq - 1, 1).addCallback(found)

    def check(self, id_: str) -> Deferred[dict[str, Any]]:
        """Connect and authenticate, deliver nothing: ``{"ok", "detail"}``."""
        return maybeDeferred(self.entry(id_).target.check).addErrback(
            lambda failure: {"ok": False, "detail": failure.getErrorMessage()}
        )

    def test(self, id_: str, record: TelemetryRecord | None = None) -> Deferred[dict[str, Any]]:
        """Send one message now, outside of all accounts: ``{"ok", "detail"}``."""
        entry = self.entry(id_)
        self._trials += 1
        if record is None:
            record = sample(entry.tenant, int(self._reactor.seconds() * 1000))
        return try_out(entry.target, record, -self._trials)
