"""What one integration still has to deliver: what is in flight, what waits for its device, how far it is.

Records come in stream order from the `Backlog`. Many devices are in flight; of each device one record (or
one batch) at most, where order matters. A record that fails for its own reason goes to the `Parking`; a
target that is down opens the `Breaker`, and the cursor stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from iotgw.core.backoff import Backoff
from iotgw.core.breaker import Breaker
from iotgw.core.model import Counters, Progress, TelemetryRecord
from iotgw.core.specs import IntegrationSpec
from iotgw.core.verdict import Delivered, Verdict, unforeseen
from iotgw.delivery.accounts import Accounts
from iotgw.delivery.backlog import Backlog, Match
from iotgw.delivery.lines import Lines
from iotgw.delivery.parking import Parking
from iotgw.delivery.rate import Rate
from iotgw.delivery.redrive import Redrive
from iotgw.delivery.scheduler import Scheduler, by_device, by_itself
from iotgw.delivery.settlement import Settlement

SLICE = 512
"""Records sent before the reactor has its turn."""
FLUSH = 0.2
"""Seconds between two writes of the cursor: what may come twice after a crash."""


class Last(Struct):
    """What a person asks first. Times are milliseconds since 1970, 0 for never."""

    error: str = ""
    error_ms: int = 0
    delivered_ms: int = 0
    response: str = ""


class Outbox:
    """One integration's deliveries. Its target may be exchanged; its records stay.

    ``tell(type, message, severity, **detail)`` records an event.
    """

    _log = Logger()

    def __init__(
        self,
        id_: str,
        journal: Any,
        reactor: Any,
        cursor: int,
        counters: Counters,
        spec: IntegrationSpec,
        match: Match,
        tell: Callable[..., None],
    ) -> None:
        self.id = id_
        self.spec = spec
        self._journal = journal
        self._reactor = reactor
        self.tell = tell
        self.accounts = Accounts(counters, cursor)
        self.last = Last()
        self.paused = counters.paused
        """A person wants nothing to be sent; a restart doesn't change that."""
        self.trace: Any = None
        """An `iotgw.observe.trace.Trace`, or None."""
        self._held = 0
        self.backoff = Backoff(spec.retry)
        self.breaker = Breaker(self.backoff)
        self._rate = Rate(spec.queue.rate)
        self.lines = Lines()
        self.open: dict[int, TelemetryRecord] = {}
        """Taken and neither settled nor parked, in stream order: its first is the low-water mark."""
        self.flying: dict[int, TelemetryRecord] = {}
        """Of those, what the target has and didn't answer yet."""
        self._target: Any = None
        self._generation = 0
        self._settle_now = self._settler()
        self._pumping = self._again = False
        self._wake_call: Any = None
        self._flush_call: Any = None
        self._written: tuple[int, Counters] | None = None
        self._quiet: list[Deferred[None]] = []
        self.backlog = Backlog(journal, self.accounts, cursor, match, self.pump)
        ordered = spec.order == "device"
        self.key_of = key_of = by_device if ordered else by_itself
        self.parking = Parking(id_, journal, self.accounts, key_of, self.now_ms, self.pump)
        self.redrive = Redrive(id_, journal, self.parking, self.accounts, self.pump)
        self._settlement = Settlement(self)
        self.scheduler = Scheduler(
            ordered, self.lines, self.backlog, self.parking, self.redrive, self.accounts, self.open,
            self.flying, self._settlement.end_parked,
        )  # fmt: skip

    # --- life

    def load(self) -> Deferred[None]:
        """Find what waits since before a restart; fires when deliveries may begin."""

        def loaded(known: set[int]) -> None:
            self.backlog.pass_over(known)
            self.accounts.begin()
            self.backlog.count()

        return self.parking.load().addCallback(lambda _: self.parking.beyond(self.cursor)).addCallback(loaded)

    def configure(self, spec: IntegrationSpec) -> None:
        """Work by these settings from now on; the order stays."""
        self.spec = spec
        self.backoff = Backoff(spec.retry)
        self.breaker = Breaker(self.backoff)
        self._rate = Rate(spec.queue.rate)

    def use(self, target: Any) -> None:
        """Deliver to this target from now on."""
        self._target = target
        self._generation += 1
        self._settle_now = self._settler()
        self.backlog.tail.fill()
        self.pump()

    def release_target(self) -> Any:
        """Send nothing more to the target; what is in flight there comes again. Returns the target."""
        target, self._target = self._target, None
        self._generation += 1
        self._settlement.put_back(list(self.flying))
        for seq in list(self.parking.flying):
            self.parking.back(seq)
        self.redrive.back()
        self._tell_quiet()
        return target

    def quiet(self) -> Deferred[None]:
        """Take nothing more until `go_on`, once for each call; fires when nothing is in flight."""
        self._held += 1
        if not self.inflight:
            return succeed(None)
        self._quiet.append(Deferred())
        return self._quiet[-1]

    def _tell_quiet(self) -> None:
        while self._quiet and not self.inflight:
            self._quiet.pop(0).callback(None)

    def go_on(self) -> None:
        """Send again after `quiet`."""
        self._held = max(0, self._held - 1)
        self.pump()

    def close(self) -> None:
        """Write the cursor and end."""
        self.release_target()
        self.backlog.close()
        self.flush()
        for call in (self._wake_call, self._flush_call):
            if call is not None and call.active():
                call.cancel()

    # --- in

    def feed(self, records: Sequence[TelemetryRecord]) -> None:
        """Live records, durable, in order."""
        self.backlog.feed(records)
        self.dirty()
        if not self.open:
            self.pump()

    # --- what there is

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self._reactor.seconds() * 1000)

    @property
    def cursor(self) -> int:
        """Every record up to here is settled or parked."""
        return next(iter(self.open)) - 1 if self.open else self.backlog.taken

    @property
    def now(self) -> float:
        """The reactor's seconds."""
        return float(self._reactor.seconds())

    @property
    def counters(self) -> Counters:
        """The accounts as of the cursor, to keep."""
        return self.accounts.snapshot(self.cursor, self.paused)

    @property
    def inflight(self) -> int:
        """Records that the target has and didn't answer yet."""
        return len(self.flying) + len(self.parking.flying)

    def has_in_flight(self, seq: int) -> bool:
        """Whether a record is in flight."""
        return seq in self.flying or seq in self.parking.flying

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest was received that is open and in memory; None when nothing is."""
        first = next(iter(self.open.values()), None) or self.backlog.tail.peek()
        return first.received_ms if first is not None else None

    @property
    def waiting(self) -> int:
        """Records that wait: in the stream, for their device, or parked."""
        return (
            self.accounts.in_stream + len(self.lines) + self.accounts.parked - len(self.parking.flying)
        )  # fmt: skip

    @property
    def balanced(self) -> bool:
        """Whether the accounts add up."""
        return self.accounts.queued == self.accounts.settled + self.inflight + self.waiting

    # --- out

    def pump(self) -> None:
        """Send what may be sent, a slice of it."""
        if self._pumping:
            self._again = True
            return
        if self.paused or self._held or self._target is None:
            return
        self._pumping = True
        try:
            more = True
            while more:
                self._again = False
                sent = self._pump(self._reactor.seconds())
                more = self._again and sent < SLICE and self._target is not None
        finally:
            self._pumping = False
        if sent >= SLICE:
            self._reactor.callLater(0, self.pump)
        else:
            self._plan()

    def _pump(self, now: float) -> int:
        target, breaker = self._target, self.breaker
        sent, taken = 0, self.backlog.taken
        oldest_ms = int((now - self.spec.queue.max_age) * 1000)
        self.parking.look()
        while sent < SLICE and breaker.allows(now):
            room: int = min(target.capacity - self.inflight, target.max_batch, SLICE - sent)
            if breaker.state == "half-open":
                room = 0 if self.inflight else 1
            room = self._rate.room(room, now)
            fresh_first = breaker.state == "half-open" and breaker.opened % 2 == 0
            batch = self.scheduler.next(room, oldest_ms, target.whole, fresh_first) if room > 0 else None
            if not batch:
                break
            sent += len(batch)
            self._rate.spend(len(batch))
            self._send(target, batch)
            if self._target is not target:
                break
        if self.backlog.taken != taken:
            self.dirty()
        return sent

    def _send(self, target: Any, batch: Sequence[TelemetryRecord]) -> None:
        """Give a batch to the target. One that raises says nothing more of what it didn't settle yet."""
        settle = self._settle_now
        try:
            target.send(batch, settle)
        except Exception as error:
            left = [record.seq for record in batch if self.has_in_flight(record.seq)]
            if left:
                settle(left, unforeseen("sending", error))

    def _settler(self) -> Callable[[Sequence[int], Verdict], None]:
        generation = self._generation

        def settle(seqs: Sequence[int], verdict: Verdict) -> None:
            if generation == self._generation:
                self._settle(seqs, verdict)

        return settle

    # --- what the target says

    def _settle(self, seqs: Sequence[int], verdict: Verdict) -> None:
        if self.trace is not None and self.trace.on:
            sent = [self.flying[seq] for seq in seqs if seq in self.flying]
            reason = "" if isinstance(verdict, Delivered) else f": {verdict.reason}"
            self.trace.delivered(sent, self.spec.name, f"{type(verdict).__name__.lower()}{reason}")
        self._settlement.settle(seqs, verdict)
        self.dirty()
        self._tell_quiet()
        self.pump()

    # --- times

    def _plan(self) -> None:
        """Be called when the breaker, a parked record or the rate lets something go."""
        now = self._reactor.seconds()
        when: float | None = None
        if self.breaker.state == "open":
            when = self.breaker.retry_at
        else:
            due_ms = self.parking.next_due_ms()
            if due_ms is not None and due_ms > now * 1000:
                when = due_ms / 1000
            allowed = self._rate.next(now) if self.waiting else None
            if allowed is not None:
                when = allowed if when is None else min(allowed, when)
        if when is None:
            return
        call = self._wake_call
        if call is not None and call.active():
            if call.getTime() <= when + 0.001:
                return
            call.cancel()
        self._wake_call = self._reactor.callLater(max(0.001, when - now), self.pump)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call in a while."""
        self._reactor.callLater(seconds, call)

    def dirty(self) -> None:
        """Something changed that has to be kept."""
        if self._flush_call is None:
            self._flush_call = self._reactor.callLater(FLUSH, self.flush)

    def flush(self) -> None:
        """Hand cursor, accounts and parked records to the journal."""
        if self._flush_call is not None and self._flush_call.active():
            self._flush_call.cancel()
        self._flush_call = None
        parked, released = self.parking.changes()
        cursor, counters = self.cursor, self.counters
        if parked or released or self._written != (cursor, counters):
            self._written = (cursor, counters)
            self._journal.progress(Progress(self.id, cursor, counters, parked, released))
