"""Decides when to send: while there is a target that may be used and has room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.integrations import IIntegration, Settle
from iotgw.core.ports.trace import ITrace
from iotgw.core.specs import IntegrationSpec
from iotgw.core.times import SteadyMs
from iotgw.core.verdict import Delivered, Verdict, unforeseen
from iotgw.delivery.alarm import Alarm
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.dating import dated
from iotgw.delivery.flight import Flight
from iotgw.delivery.limits import QueueLimits
from iotgw.delivery.parking import Parking
from iotgw.delivery.rate import RateOf
from iotgw.delivery.scheduler import Scheduler
from iotgw.delivery.settlement import Settlement
from iotgw.delivery.target_health import TargetHealth

SLICE = 512
"""How many records are sent before the reactor can do other work."""


class Pump:
    """Sends one integration's records to its target, which may be replaced.

    ``now_ms()`` is gateway time. ``rate`` gives the limit that holds. ``dirty()`` is called when there is progress to write."""

    def __init__(
        self,
        *,
        spec: IntegrationSpec,
        paused: bool,
        clock: IReactorTime,
        flight: Flight,
        backlog: Backlog,
        parking: Parking,
        scheduler: Scheduler,
        settlement: Settlement,
        health: TargetHealth,
        limits: QueueLimits,
        now_ms: Callable[[], SteadyMs],
        calendar: ICalendar,
        dirty: Callable[[], None],
        trace: ITrace | None,
        rate: RateOf,
    ) -> None:
        self._name = spec.name
        self._paused = paused
        self._clock = clock
        self._flight = flight
        self._backlog = backlog
        self._parking = parking
        self._scheduler = scheduler
        self._settlement = settlement
        self._health = health
        self._limits = limits
        self._now_ms = now_ms
        self._calendar = calendar
        self._dirty = dirty
        self._trace = trace
        self._rate_of = rate
        self._rate = rate(spec)
        self._target: IIntegration | None = None
        self._generation = 0
        self._settle_now = self._settler()
        self._held = 0
        self._quiet: list[Deferred[None]] = []
        self._pumping = self._again = False
        self._alarm = Alarm(clock, self.pump)

    # --- life

    @property
    def is_paused(self) -> bool:
        """Whether a user paused the integration. This survives a restart."""
        return self._paused

    def pause(self) -> None:
        """Send nothing until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Send again."""
        self._paused = False
        self.pump()

    def configure(self, spec: IntegrationSpec) -> None:
        """Use these settings from now on."""
        self._name = spec.name
        self._rate = self._rate_of(spec)

    def use(self, target: IIntegration) -> None:
        """Deliver to this target from now on."""
        self._target = target
        self._generation += 1
        self._settle_now = self._settler()
        self._backlog.read_on()
        self.pump()

    def release_target(self) -> IIntegration | None:
        """Send nothing more to the target. What is in flight is sent again later. Returns the target, if there was one."""
        target, self._target = self._target, None
        self._generation += 1
        self._settlement.put_back_all()
        self._tell_quiet()
        return target

    def quiet(self) -> Deferred[None]:
        """Send nothing more until `go_on`, which is due once for each call. Fires when nothing is in flight."""
        self._held += 1
        if not self._scheduler.at_target:
            return succeed(None)
        self._quiet.append(Deferred())
        return self._quiet[-1]

    def _tell_quiet(self) -> None:
        while self._quiet and not self._scheduler.at_target:
            self._quiet.pop(0).callback(None)

    def go_on(self) -> None:
        """End one `quiet`."""
        self._held = max(0, self._held - 1)
        self.pump()

    def close(self) -> None:
        """Send nothing more, ever."""
        self._held += 1
        self.release_target()
        self._alarm.stop()

    # --- out

    def pump(self) -> None:
        """Send what may be sent, at most about `SLICE` records at once; the rest follows in the next reactor turn."""
        if self._pumping:
            self._again = True
            return
        if self._paused or self._held or self._target is None:
            return
        self._pumping = True
        try:
            sent = self._pump(self._target)
            while self._again and sent < SLICE and self._target is not None:
                sent = self._pump(self._target)
        finally:
            self._pumping = False
        if sent >= SLICE:
            self._clock.callLater(0, self.pump)
        else:
            self._plan()

    def _pump(self, target: IIntegration) -> int:
        self._again = False
        now = self._clock.seconds()
        health, scheduler = self._health, self._scheduler
        sent, taken = 0, self._backlog.taken
        now_ms = self._now_ms()
        oldest_ms = self._limits.oldest_ms(now_ms)
        self._parking.look(now_ms)
        while sent < SLICE and health.allows(now):
            in_flight = scheduler.at_target
            room = min(target.capacity - in_flight, target.max_batch, SLICE - sent)
            fresh_first = False
            if health.is_down:  # a probe
                is_whole = health.probes_whole
                room = 0 if in_flight else room if is_whole else 1
                fresh_first = health.wants_another_probe and not is_whole
            room = self._rate.room(room, now)
            if room <= 0:
                break
            batch = scheduler.next(room, oldest_ms, target.whole, fresh_first)
            if not batch:
                break
            sent += len(batch)
            self._rate.spend(len(batch))
            self._send(target, batch)
            if self._target is not target:
                break
        if self._backlog.taken != taken:
            self._dirty()
        return sent

    def _send(self, target: IIntegration, batch: list[TelemetryRecord]) -> None:
        """Give a batch to the target. If it raises, settle those records that it did not settle itself."""
        settle = self._settle_now
        try:
            target.send(dated(self._calendar, batch) if self._calendar.has_doubts else batch, settle)
        except Exception as error:
            left = [record.seq for record in batch if self._scheduler.has_in_flight(record.seq)]
            if left:
                settle(left, unforeseen("sending", error))

    # --- what the target says

    def _settler(self) -> Settle:
        """The callback for the current target. It does nothing once that target was released."""
        generation = self._generation

        def settle(seqs: Sequence[int], verdict: Verdict) -> None:
            if generation == self._generation:
                self._settle(seqs, verdict)

        return settle

    def _settle(self, seqs: Sequence[int], verdict: Verdict) -> None:
        if self._trace is not None and self._trace.on:
            reason = "" if isinstance(verdict, Delivered) else f": {verdict.reason}"
            said = f"{type(verdict).__name__.lower()}{reason}"
            self._trace.delivered(self._flight.in_flight_of(seqs), self._name, said)
        self._settlement.settle(seqs, verdict)
        self._dirty()
        if self._quiet:
            self._tell_quiet()
        self.pump()

    # --- times

    def _plan(self) -> None:
        """Set the alarm for when the breaker, a parked record or the rate limit lets something through."""
        now, retry_at = self._clock.seconds(), self._health.retry_at
        if retry_at is not None:
            self._alarm.at(retry_at)
            return
        due_ms = self._parking.next_due_ms()
        if due_ms is not None and due_ms > now * 1000:
            self._alarm.at(due_ms / 1000)
        allowed = self._rate.next(now)
        if allowed is not None and self._scheduler.waiting:
            self._alarm.at(allowed)
