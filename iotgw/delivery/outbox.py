"""One integration's part of the delivery machine: what it still has to deliver, and what is done about it.

Records come in stream order from the `Backlog`. Many devices are in flight; of each device one record (or
one batch) at most, where order matters. A record that fails for its own reason goes to the `Parking`; a
target that is down opens the breaker in `TargetHealth`, and the cursor stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from iotgw.core.model import Counters, Delivery, Parked, TelemetryRecord
from iotgw.core.ports.integrations import IIntegration, Tell
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.ports.trace import ITrace
from iotgw.core.specs import IntegrationSpec
from iotgw.delivery.accounts import Accounts
from iotgw.delivery.backlog import Backlog, Match
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.dead_letters import Match as LetterMatch
from iotgw.delivery.flight import Flight
from iotgw.delivery.known import Known
from iotgw.delivery.limits import QueueLimits
from iotgw.delivery.loss_report import LossReport
from iotgw.delivery.parking import Parking
from iotgw.delivery.progress import ProgressWriter
from iotgw.delivery.pump import Pump
from iotgw.delivery.retries import Retries
from iotgw.delivery.row_changes import RowChanges
from iotgw.delivery.scheduler import Scheduler
from iotgw.delivery.seeking import Seeking
from iotgw.delivery.setbacks import Setbacks
from iotgw.delivery.settlement import Settlement
from iotgw.delivery.standing import Standing
from iotgw.delivery.target_health import TargetHealth

OPEN = 2048
"""Records whose fate is open behind others that came to an end: so many are kept by position."""


class Outbox:
    """One integration's deliveries. Its target may be exchanged; its records stay.

    ``cursor`` and ``counters`` are those that the journal kept.

    Many methods: it puts the parts together, and has a short verb for each thing that the service wants of them.
    """

    def __init__(
        self,
        id_: str,
        journal: ITelemetryStream,
        clock: IReactorTime,
        cursor: int,
        counters: Counters,
        spec: IntegrationSpec,
        match: Match,
        tell: Tell,
        trace: ITrace | None = None,
    ) -> None:
        self._clock = clock
        now_ms, ready, ordered = self._now_ms, self._ready, spec.order == "device"
        self.rows = rows = RowChanges(id_)
        self.accounts = accounts = Accounts(counters, cursor)
        self._health = health = TargetHealth(spec.retry, clock.seconds, now_ms, tell)
        self._retries = Retries(spec.retry)
        self.flight = flight = Flight(ordered)
        self.backlog = backlog = Backlog(journal, accounts, cursor, match, ready)
        self._dead = dead = DeadLetters(id_, journal, rows, accounts, ready)
        self._parking = parking = Parking(id_, journal, rows, accounts, dead, flight.key_of, now_ms, ready)
        self._progress = progress = ProgressWriter(id_, journal, clock, rows, self.place)
        self._limits = QueueLimits(spec, accounts, backlog, parking, dead, rows, now_ms, progress)
        self._seeking = Seeking(clock, flight, backlog, parking, accounts, self._progress)
        self._standing = Standing(id_, journal, flight, backlog, parking, accounts)
        self._losses = LossReport(accounts, backlog, health, tell)
        self._kept = counters
        setbacks = Setbacks()
        self._scheduler = Scheduler(ordered, flight, backlog, parking, dead, accounts, setbacks)
        settlement = Settlement(
            flight, parking, dead, accounts, health, self._retries, setbacks, self._scheduler, now_ms
        )
        self._pump = Pump(
            spec=spec, paused=counters.paused, clock=clock, flight=flight, backlog=backlog, parking=parking,
            scheduler=self._scheduler, settlement=settlement, health=health, limits=self._limits,
            now_ms=now_ms, dirty=self._progress.dirty, trace=trace,
        )  # fmt: skip

    def _now_ms(self) -> int:
        return int(self._clock.seconds() * 1000)

    def _ready(self) -> None:
        self._pump.pump()

    # --- life

    def load(self) -> Deferred[None]:
        """Find what waits since before a restart; fires when deliveries may begin."""
        # Its place in the stream is kept from now on: reading parked records waits for that.
        self.backlog.pass_over(Known(frozenset(), self._kept.done, self._kept.open))
        self.flush()

        def loaded(parked: set[int]) -> None:
            self.backlog.pass_over(Known(parked, kept.done, kept.open))
            self.accounts.begin()
            self.backlog.count()

        kept, cursor = self._kept, self.backlog.taken
        return self._parking.load().addCallback(lambda _: self._parking.beyond(cursor)).addCallback(loaded)

    def configure(self, spec: IntegrationSpec) -> None:
        """Work by these settings from now on; the order stays."""
        self._health.configure(spec.retry)
        self._retries.configure(spec.retry)
        self._limits.configure(spec)
        self._pump.configure(spec)

    def reroute(self, match: Match) -> None:
        """Deliver what ``match`` lets through from now on."""
        self.backlog.reroute(match)

    def use(self, target: IIntegration) -> None:
        """Deliver to this target from now on."""
        self._pump.use(target)

    def release_target(self) -> IIntegration | None:
        """Send nothing more to the target; what is in flight there comes again. Returns the target."""
        return self._pump.release_target()

    def not_started(self, reason: str) -> None:
        """The target could not start."""
        self._health.note(reason)

    def quiet(self) -> Deferred[None]:
        """Send nothing more until `go_on`, once for each call; fires when nothing is in flight."""
        return self._pump.quiet()

    def go_on(self) -> None:
        """Send again after `quiet`."""
        self._pump.go_on()

    def close(self) -> None:
        """Write the cursor and end."""
        self._pump.close()
        self.backlog.close()
        self._progress.close()

    def place(self) -> tuple[int, Counters]:
        """Where the integration is, to keep: the position up to which every record is settled or parked, and
        the accounts as of it, with what came to an end beyond it."""
        paused, held = self._pump.is_paused, [record.seq for record in islice(self.flight, OPEN + 1)]
        cursor = held[0] - 1 if held else self.backlog.taken
        if len(held) > OPEN:
            done, open_ = held.pop() - 1, held
        else:
            done, later = self.backlog.still_open()
            open_ = held + later
        if done <= cursor:
            return cursor, self.accounts.snapshot(cursor, paused)
        return cursor, self.accounts.snapshot(cursor, paused, done, open_)

    def flush(self) -> None:
        """Hand over to the journal, now, what has to be kept."""
        self._progress.flush()

    # --- in

    def feed(self, records: Sequence[TelemetryRecord]) -> None:
        """Live records, durable, in order."""
        self.backlog.feed(records)
        self._progress.dirty()
        if self.flight.first is None:
            self._pump.pump()

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may."""
        return self._limits.is_full

    @property
    def is_done(self) -> bool:
        """Whether everything that it was to get is settled, once that is counted; dead letters are."""
        return not self._scheduler.in_flight and not self._scheduler.waiting

    # --- now and then

    def tick(self) -> None:
        """Once a second: keep the queue within its limits, tell what was lost, send what may be sent."""
        if self._limits.enforce():
            self._progress.dirty()
        self.backlog.read_on()
        if self.backlog.reconcile():
            self._progress.dirty()
        self._losses.look()
        self._pump.pump()

    def nudge(self, parked: bool = False) -> None:
        """The target is said to be back: try now; with ``parked`` also what waits for its own next try."""
        self._health.nudge()
        if parked:
            self._parking.hurry()
        self._pump.pump()

    # --- what a person wants

    def pause(self) -> None:
        """Send nothing until `resume`."""
        self._pump.pause()

    def resume(self) -> None:
        """Send again."""
        self._pump.resume()

    def purge(self) -> Deferred[int]:
        """Drop all that waits; fires with how many that were. What is in flight goes on."""
        return self._seeking.purge()

    def seek(self, position: int) -> Deferred[None]:
        """Go on after ``position`` of the stream: back to send history again, or forth to skip some."""
        self.accounts.sought(position)

        def go_on(result: Failure | None) -> Failure | None:
            self._progress.dirty()
            self._pump.go_on()
            return result

        return self._pump.quiet().addCallback(lambda _: self._seeking.seek(position)).addBoth(go_on)

    def dead_letters(self, after: int, limit: int) -> Deferred[list[Parked]]:
        """Messages that were given up, after a position."""
        self.flush()  # who died just now has no row yet
        return self._dead.read(after, limit)

    def retry(self, row: Parked | None) -> None:
        """Send a dead letter again, or all that there are now."""
        if row is None:
            self.flush()
            self._dead.retry_all()
        else:
            self._dead.retry(row)

    def dismiss(self, match: LetterMatch) -> Deferred[int]:
        """Drop the dead letters that match; fires with how many that were."""
        self.flush()

        def dismissed(count: int) -> int:
            self._progress.dirty()
            return count

        return self._dead.dismiss(match).addCallback(dismissed)

    def standing(self, record: TelemetryRecord, name: str) -> Deferred[Delivery] | None:
        """As `Standing.of`."""
        return self._standing.of(record, name)

    def stats(self, enabled: bool, target: dict[str, Any]) -> dict[str, Any]:
        """The accounts and the state of the integration, as JSON."""
        accounts, last, scheduler, health = self.accounts, self._health.last, self._scheduler, self._health
        oldest = self.flight.first or self.backlog.next
        inflight, waiting = scheduler.in_flight, scheduler.waiting
        if not enabled:
            state = "disabled"
        elif self._pump.is_paused:
            state = "paused"
        else:
            state = "unavailable" if health.is_down else "running"
        retry_at = health.retry_at
        return {
            "state": state,
            "queued": accounts.queued,
            "delivered": accounts.delivered,
            "inflight": inflight,
            "waiting": waiting,
            "expired": accounts.expired,
            "dropped": dict(accounts.dropped),
            "dead": accounts.dead,
            "deadBytes": self._dead.bytes,
            "balanced": accounts.queued == accounts.settled + inflight + waiting,
            "retrying": accounts.parked,
            "waitingBytes": accounts.waiting_bytes,
            "oldestAge": None if oldest is None else max(0, self._now_ms() - oldest.received_ms) / 1000,
            "lastError": last.error or None,
            "lastErrorAt": last.error_ms or None,
            "lastDeliveredAt": last.delivered_ms or None,
            "lastResponse": last.response or None,
            "retryIn": None if retry_at is None else max(0.0, retry_at - self._clock.seconds()),
            "target": target,
        }
