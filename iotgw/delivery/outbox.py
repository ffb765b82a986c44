"""One integration's part of the delivery machine, put together from the parts in this room.

Records come in stream order from the `Backlog`. Many devices may be in flight at once. Where order matters, each
device has at most one record (or one batch) in flight. A record that fails for its own reason goes to the `Parking`.
A target that is down opens the breaker in `TargetHealth`, and the cursor stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from iotgw.core.clock import PlainCalendar
from iotgw.core.model import Counters, Parked, TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.integrations import IIntegration, Tell
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.ports.meters import DurableAt, Meter
from iotgw.core.ports.trace import ITrace
from iotgw.core.specs import IntegrationSpec
from iotgw.core.times import SteadyMs
from iotgw.delivery.accounts import Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.dead_letters import DeadLetters
from iotgw.delivery.dead_letters import Match as LetterMatch
from iotgw.delivery.flight import Flight
from iotgw.delivery.known import Known
from iotgw.delivery.limits import QueueLimits
from iotgw.delivery.loss_report import LossReport
from iotgw.delivery.parking import Parking
from iotgw.delivery.progress import ProgressWriter
from iotgw.delivery.pump import Pump
from iotgw.delivery.rate import RateOf, own_rate
from iotgw.delivery.retries import Retries
from iotgw.delivery.route import Match
from iotgw.delivery.row_changes import RowChanges
from iotgw.delivery.scheduler import Scheduler
from iotgw.delivery.seeking import Seeking
from iotgw.delivery.setbacks import Setbacks
from iotgw.delivery.settlement import Settlement
from iotgw.delivery.standing import Standing
from iotgw.delivery.store_room import Allotment, Holding
from iotgw.delivery.target_health import TargetHealth
from iotgw.delivery.waits import Waits

OPEN = 2048
"""How many positions of unsettled records are stored at most, where later records are settled already."""


def never(position: int) -> None:
    """No commit is remembered."""


class Outbox:
    """One integration's deliveries. The target may be replaced; the records stay.

    ``cursor`` and ``counters`` are those that the journal stored. ``match`` says which records the integration gets.
    ``tell`` records events.

    Many methods: it puts the parts together, and has a short method for each thing that the service asks of them.
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
        calendar: ICalendar | None = None,
        durable_at: DurableAt = never,
        rate: RateOf = own_rate,
    ) -> None:
        self._clock = clock
        self._calendar = calendar = calendar or PlainCalendar(clock)
        now_ms, ready, ordered = self._now_ms, self._ready, spec.order == "device"
        self.rows = rows = RowChanges(id_)
        self.accounts = accounts = Accounts(counters, cursor)
        self._health = health = TargetHealth(spec.retry, clock.seconds, calendar.now_ms, tell)
        self._retries = Retries(spec.retry)
        self.flight = flight = Flight(ordered)
        self.backlog = backlog = Backlog(journal, accounts, cursor, match, ready, calendar.is_before)
        self._dead = dead = DeadLetters(id_, journal, rows, accounts, ready, calendar.moment_ms)
        self._parking = parking = Parking(id_, journal, rows, accounts, dead, flight.key_of, now_ms, ready)
        self._progress = progress = ProgressWriter(id_, journal, clock, rows, self.place)
        self._limits = QueueLimits(
            spec, accounts, flight, backlog, parking, dead, rows, now_ms, progress, calendar
        )
        self._seeking = Seeking(clock, flight, backlog, parking, accounts, self._progress)
        self.standing = Standing(flight, backlog, parking, accounts, calendar)
        self._losses = LossReport(accounts, backlog, health, tell, clock.seconds)
        self._kept = counters
        setbacks = Setbacks()
        self._scheduler = Scheduler(
            ordered, flight, backlog, parking, dead, accounts, setbacks, calendar.is_before
        )
        self._waits = waits = Waits(durable_at, calendar, now_ms)
        settlement = Settlement(
            flight, parking, dead, accounts, health, self._retries, setbacks, self._scheduler, now_ms, waits
        )
        self._is_unstarted = False
        self._pump = Pump(
            spec=spec, paused=counters.paused, clock=clock, flight=flight, backlog=backlog, parking=parking,
            scheduler=self._scheduler, settlement=settlement, health=health, limits=self._limits,
            now_ms=now_ms, calendar=calendar, dirty=self._progress.dirty, trace=trace, rate=rate,
        )  # fmt: skip

    def _now_ms(self) -> SteadyMs:
        return SteadyMs(int(self._clock.seconds() * 1000))

    def _age(self, record: TelemetryRecord) -> float:
        return max(0, self._now_ms() - self._calendar.moment_ms(record.received_ms)) / 1000

    def _ready(self) -> None:
        if self._limits.wants_more and self._limits.enforce():
            self._progress.dirty()
        self._pump.pump()

    # --- life

    def load(self) -> Deferred[None]:
        """Find the records that the journal held at the start. Fires when deliveries may begin."""
        # From now on the journal knows this cursor. Reading parked records waits for that.
        self.backlog.pass_over(Known(frozenset(), self._kept.done, self._kept.open))
        self.flush()

        def loaded(parked: set[int]) -> None:
            self.backlog.pass_over(Known(parked, kept.done, kept.open))
            self.accounts.begin()
            self.backlog.count()

        kept, cursor = self._kept, self.backlog.taken
        return self._parking.load().addCallback(lambda _: self._parking.beyond(cursor)).addCallback(loaded)

    def configure(self, spec: IntegrationSpec) -> None:
        """Use these settings from now on, except for the order, which stays as it is."""
        self._health.configure(spec.retry)
        self._retries.configure(spec.retry)
        self._limits.configure(spec)
        self._pump.configure(spec)

    def reroute(self, match: Match) -> None:
        """Deliver the records that ``match`` lets through, from now on."""
        self.backlog.reroute(match)

    def follow(self, match: Match) -> None:
        """Ask ``match``, which lets through the same as the one before, and what becomes of that when datasources have other names."""
        self.backlog.follow(match)

    def use(self, target: IIntegration) -> None:
        """Deliver to this target from now on."""
        self._is_unstarted = False
        self._pump.use(target)

    def release_target(self) -> IIntegration | None:
        """Send nothing more to the target. What is in flight is sent again later. Returns the target, if there was one."""
        return self._pump.release_target()

    def not_started(self, reason: str) -> None:
        """Note why the target could not start."""
        self._is_unstarted = True
        self._health.note(reason)

    def quiet(self) -> Deferred[None]:
        """Send nothing more until `go_on`, which is due once for each call. Fires when nothing is in flight."""
        return self._pump.quiet()

    def go_on(self) -> None:
        """End one `quiet`."""
        self._pump.go_on()

    def close(self) -> None:
        """Send nothing more, and write the cursor a last time."""
        self._pump.close()
        self.backlog.close()
        self._progress.close()

    def place(self) -> tuple[int, Counters]:
        """The cursor and the accounts as of it, to be stored. Every record up to the cursor is settled or parked. The
        accounts also say what is settled beyond it."""
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

    def holding(self) -> Holding:
        """What the integration takes of the journal's room."""
        first, accounts, dead = self.flight.first, self.accounts, self._dead
        return Holding(
            self._limits.drops, first.seq - 1 if first is not None else self.backlog.taken,
            accounts.dead, dead.bytes, accounts.parked, accounts.parked_bytes,
        )  # fmt: skip

    def allot(self, allotment: Allotment) -> None:
        """Take no more of the journal's room than this from now on."""
        if allotment.holds_up and not self._limits.holds_up_store:
            self._losses.holds_up()
        self._limits.allot(allotment)

    def make_room(self) -> None:
        """Give up at once what the journal has no room for."""
        if self._limits.has_to_give_up and self._limits.enforce():
            self._progress.flush()

    def flush(self) -> None:
        """Hand all changes to the journal now."""
        self._progress.flush()

    # --- in

    def feed(self, records: Sequence[TelemetryRecord], may_match: bool = True) -> None:
        """Take in records that have just become durable, in order. ``may_match`` is False where the route leads from none of their datasources."""
        if self.backlog.leaves_out(records, may_match):
            self._progress.moved()
            return
        self.backlog.feed(records)
        self._progress.dirty()
        if self.flight.first is None:
            self._pump.pump()

    @property
    def is_full(self) -> bool:
        """Whether the queue is full."""
        return self._limits.is_full

    @property
    def is_done(self) -> bool:
        """Whether every record counted so far is settled. Dead letters count as settled."""
        return not self._scheduler.in_flight and not self._scheduler.waiting

    @property
    def waiting(self) -> int:
        """How many records wait, or are on their way."""
        return self._scheduler.in_flight + self._scheduler.waiting

    # --- upkeep

    def tick(self) -> None:
        """Called once a second: enforce the limits, report losses, and send what may be sent."""
        if self._limits.enforce():
            self._progress.dirty()
        self.backlog.read_on()
        if self.backlog.reconcile():
            self._progress.dirty()
        self._losses.look()
        self._pump.pump()
        self._progress.tick()

    def nudge(self, parked: bool = False) -> None:
        """Try the target now. With ``parked``, also retry parked records without waiting out their backoff."""
        self._health.nudge()
        if parked:
            self._parking.hurry()
        self._pump.pump()

    # --- what a user asks for

    def pause(self) -> None:
        """Send nothing until `resume`."""
        self._pump.pause()

    def resume(self) -> None:
        """Send again."""
        self._pump.resume()

    def purge(self) -> Deferred[int]:
        """Drop everything that waits. Fires with the number dropped. What is in flight is not affected."""
        return self._seeking.purge()

    def seek(self, position: int) -> Deferred[None]:
        """Go on after this stream position: backwards to send history again, forwards to skip records. Fires when done."""
        self.accounts.sought(position)

        def go_on(result: Failure | None) -> Failure | None:
            self._progress.dirty()
            self._pump.go_on()
            return result

        return self._pump.quiet().addCallback(lambda _: self._seeking.seek(position)).addBoth(go_on)

    def dead_letters(self, after: int, limit: int) -> Deferred[list[Parked]]:
        """Fires with at most ``limit`` dead letters after a position, in order."""
        self.flush()  # a letter that was added just now has no row yet
        return self._dead.read(after, limit)

    def retry(self, row: Parked | None) -> None:
        """Send this dead letter again, or with None all that there are now."""
        if row is None:
            self.flush()
            self._dead.retry_all()
        else:
            self._dead.retry(row)

    def dismiss(self, match: LetterMatch) -> Deferred[int]:
        """Drop the dead letters that match. Fires with the number dropped."""
        self.flush()

        def dismissed(count: int) -> int:
            self._progress.dirty()
            return count

        return self._dead.dismiss(match).addCallback(dismissed)

    def meter(self) -> Meter:
        """What it has counted since the process started."""
        return Meter(self.accounts.ended, self._waits.histogram)

    def stats(self, enabled: bool, target: dict[str, Any]) -> dict[str, Any]:
        """The accounts and the state of the integration, as JSON. ``target`` is the target's own status."""
        accounts, last, scheduler, health = self.accounts, self._health.last, self._scheduler, self._health
        oldest = self.flight.first or self.backlog.next
        inflight, waiting = scheduler.in_flight, scheduler.waiting
        if not enabled:
            state = "disabled"
        elif self._pump.is_paused:
            state = "paused"
        else:
            state = "unavailable" if health.is_down or self._is_unstarted else "running"
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
            "oldestAge": None if oldest is None else self._age(oldest),
            "lastError": last.error or None,
            "lastErrorAt": last.error_ms or None,
            "lastDeliveredAt": last.delivered_ms or None,
            "lastResponse": last.response or None,
            "retryIn": None if retry_at is None else max(0.0, retry_at - self._clock.seconds()),
            "target": target,
        }
