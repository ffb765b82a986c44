"""What is done to an outbox now and then: limits of age and size, purge, seek; and what a person is told."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from iotgw.core.model import TelemetryRecord
from iotgw.delivery.accounts import EXPIRED
from iotgw.delivery.outbox import Outbox

FULL = "queue full"
PURGED = "purged"
SKIPPED = "skipped"


class Upkeep:
    """Keeps one `Outbox` within its limits. `tick` is called every second."""

    def __init__(self, outbox: Outbox, tell: Any) -> None:
        self._outbox = outbox
        self._tell = tell
        self._dropped: dict[str, int] = dict(outbox.accounts.dropped)
        self._dead = outbox.accounts.dead
        self._expired = outbox.accounts.expired
        self._at_end = False

    def tick(self) -> None:
        """Expire, shed, reconcile; tell what was lost since the last time, in one event each."""
        outbox = self._outbox
        accounts, queue = outbox.accounts, outbox.spec.queue
        oldest_ms = outbox.now_ms() - int(queue.max_age * 1000)
        shed = queue.overflow == "dropOldest"

        def reason_of(record: TelemetryRecord) -> str | None:
            if record.received_ms < oldest_ms:
                return EXPIRED
            return FULL if shed and accounts.waiting_bytes > queue.max_bytes else None

        if accounts.in_stream and outbox.backlog.sweep(reason_of):
            outbox.dirty()
        at_end, self._at_end = self._at_end, outbox.backlog.settled()
        if at_end and self._at_end and outbox.backlog.reconcile():
            outbox.dirty()
        self._report()
        outbox.pump()

    def _report(self) -> None:
        accounts = self._outbox.accounts
        for reason, count in accounts.dropped.items():
            new = count - self._dropped.get(reason, 0)
            if new > 0:
                self._tell(
                    "delivery.dropped",
                    f"{new} messages dropped: {reason}",
                    "warning",
                    count=new,
                    reason=reason,
                )
        self._dropped = dict(accounts.dropped)
        if accounts.expired > self._expired:
            new = accounts.expired - self._expired
            self._tell("delivery.expired", f"{new} messages older than maxAge", "warning", count=new)
        self._expired = accounts.expired
        if accounts.dead > self._dead:
            new = accounts.dead - self._dead
            self._tell(
                "delivery.dead", f"{new} messages given up: {self._outbox.last.error}", "error", count=new
            )
        self._dead = accounts.dead

    def purge(self) -> Deferred[int]:
        """Drop all that waits; fires with how many that were. What is in flight goes on."""
        outbox = self._outbox
        accounts = outbox.accounts
        waiting = sorted(outbox.lines.clear(), key=lambda record: record.seq)
        for record in waiting:
            del outbox.open[record.seq]
            accounts.settle(record.seq, PURGED, len(record.body))
        until = outbox.backlog.last

        def parked(count: int) -> Deferred[int]:
            return self._pass(until, PURGED).addCallback(lambda passed: passed + count + len(waiting))

        outbox.flush()
        return outbox.parking.purge(PURGED).addCallback(parked)

    def seek(self, position: int) -> Deferred[None]:
        """Go on after ``position`` of the stream: back to send history again, or forth to skip some."""
        outbox = self._outbox
        outbox.accounts.since = min(outbox.accounts.since, position)

        def quiet(_: object) -> Deferred[Any]:
            for record in outbox.lines.clear():
                del outbox.open[record.seq]
                outbox.accounts.put_back(len(record.body))
            if position > outbox.backlog.taken:
                return self._pass(position, SKIPPED)
            outbox.flush()
            return outbox.parking.beyond(position).addCallback(back)

        def back(known: set[int]) -> None:
            outbox.backlog.pass_over(known)
            outbox.backlog.seek(position)

        def go_on(result: object) -> object:
            outbox.dirty()
            outbox.go_on()
            return result

        return outbox.quiet().addCallback(quiet).addBoth(go_on)

    def _pass(self, until: int, reason: str) -> Deferred[int]:
        """Settle what waits in the stream up to a position."""
        outbox = self._outbox
        done: Deferred[int] = Deferred()
        total = 0

        def step() -> None:
            nonlocal total
            total += outbox.backlog.sweep(lambda record: reason if record.seq <= until else None)
            outbox.dirty()
            if outbox.backlog.taken >= until or outbox.backlog.settled() or outbox.backlog.tail.closed:
                done.callback(total)
            else:
                outbox.later(0.05, step)

        step()
        return done

    def stats(self, enabled: bool, target: dict[str, Any]) -> dict[str, Any]:
        """The accounts and the state of the integration, as JSON."""
        outbox = self._outbox
        accounts, last, breaker = outbox.accounts, outbox.last, outbox.breaker
        now_ms = outbox.now_ms()
        oldest = outbox.oldest_ms
        if not enabled:
            state = "disabled"
        elif outbox.paused:
            state = "paused"
        else:
            state = "unavailable" if breaker.state != "closed" else "running"
        return {
            "state": state,
            "queued": accounts.queued,
            "delivered": accounts.delivered,
            "inflight": outbox.inflight,
            "waiting": outbox.waiting,
            "expired": accounts.expired,
            "dropped": dict(accounts.dropped),
            "dead": accounts.dead,
            "balanced": outbox.balanced,
            "retrying": accounts.parked,
            "waitingBytes": accounts.waiting_bytes,
            "oldestAge": None if oldest is None else max(0, now_ms - oldest) / 1000,
            "lastError": last.error or None,
            "lastErrorAt": last.error_ms or None,
            "lastDeliveredAt": last.delivered_ms or None,
            "lastResponse": last.response or None,
            "retryIn": max(0.0, breaker.retry_at - now_ms / 1000) if breaker.state == "open" else None,
            "target": target,
        }
