"""What a target's verdict does to the records that it is about: delivered, parked, dead, or back in line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from iotgw.core.model import TelemetryRecord
from iotgw.core.verdict import Apart, Delivered, Rejected, Retry, Unavailable, Verdict
from iotgw.delivery.accounts import DELIVERED
from iotgw.delivery.setbacks import Setbacks

if TYPE_CHECKING:
    from iotgw.delivery.outbox import Outbox


class Settlement:
    """Settles the records of one `Outbox`. A record may fail for its own reason, which costs it a try, or
    because the target is down, which costs nobody anything."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._setbacks = Setbacks()

    def settle(self, seqs: Sequence[int], verdict: Verdict) -> None:
        """The target's word on records in flight."""
        if isinstance(verdict, Delivered):
            self._delivered(seqs, verdict)
        elif isinstance(verdict, Unavailable):
            self._unavailable(seqs, verdict)
        else:
            self._close_breaker()
            self._note(verdict.reason)
            if isinstance(verdict, Apart):
                self._outbox.lines.single.update(dict.fromkeys(seqs, False))
                self.put_back([seq for seq in seqs if seq in self._outbox.flying])
            else:
                for seq in seqs:
                    self._failed(seq, verdict)

    def end_parked(self, record: TelemetryRecord, outcome: str) -> None:
        """A parked record in flight came to its end."""
        outbox = self._outbox
        outbox.accounts.settle(record.seq, outcome, len(record.body))
        self._setbacks.forget([record.seq])
        outbox.parking.release(record.seq)

    def put_back(self, seqs: Sequence[int]) -> None:
        """Records come back from their flight, to be sent again."""
        outbox = self._outbox
        for seq in seqs:
            record = outbox.flying.pop(seq)
            outbox.lines.back(outbox.key_of(record), record)

    def _delivered(self, seqs: Sequence[int], verdict: Delivered) -> None:
        self._close_breaker()
        outbox = self._outbox
        flying, open_, accounts, lines = outbox.flying, outbox.open, outbox.accounts, outbox.lines
        key_of = outbox.key_of
        for seq in seqs:
            record = flying.pop(seq, None)
            if record is None:
                self._delivered_again(seq)
                continue
            del open_[seq]
            accounts.settle(seq, DELIVERED, len(record.body))
            lines.done(key_of(record))
        self._setbacks.forget(seqs)
        if lines.single:
            for seq in seqs:
                lines.single.pop(seq, None)
        outbox.last.delivered_ms = outbox.now_ms()
        if verdict.response:
            outbox.last.response = verdict.response

    def _delivered_again(self, seq: int) -> None:
        outbox = self._outbox
        line = outbox.parking.flying.get(seq)
        if line is not None:
            self.end_parked(line.rows[0].record, DELIVERED)
        elif seq in outbox.redrive.flying:
            outbox.redrive.delivered(seq)

    def _failed(self, seq: int, verdict: Retry | Rejected) -> None:
        """A record failed for its own reason."""
        outbox = self._outbox
        parking, retry = outbox.parking, outbox.spec.retry
        if seq in outbox.redrive.flying:
            outbox.redrive.failed(seq, verdict.reason)
            return
        line = parking.flying.get(seq)
        record = outbox.flying.pop(seq, None) if line is None else line.rows[0].record
        if record is None:
            return
        self._setbacks.forget([seq])
        attempts = 1 + (line.attempts if line is not None else 0)
        next_try_ms = 0  # never: it is dead
        if isinstance(verdict, Retry) and attempts < retry.max_attempts:
            next_try_ms = outbox.now_ms() + 1 + int(1000 * outbox.backoff.wait(attempts - 1, verdict.after))
        else:
            outbox.accounts.bury(len(record.body))
        if line is None:
            self._park(record, attempts, verdict.reason, next_try_ms)
        elif next_try_ms:
            parking.retry(seq, verdict.reason, next_try_ms)
        else:
            parking.give_up(seq, verdict.reason)

    def _park(self, record: TelemetryRecord, attempts: int, reason: str, next_try_ms: int) -> None:
        """A record leaves the stream for a row of its own, and those of its device that wait follow it."""
        outbox = self._outbox
        parking, lines, open_ = outbox.parking, outbox.lines, outbox.open
        key = outbox.key_of(record)
        del open_[record.seq]
        lines.single.pop(record.seq, None)
        if not next_try_ms:
            parking.bury(record, attempts, reason)
        elif key in parking.lines:  # an earlier one of the same batch is parked already
            parking.park_behind(parking.lines[key], record)
        else:
            parking.park(record, attempts, reason, next_try_ms)
            parked = parking.lines[key]
            for later in lines.empty(key):
                del open_[later.seq]
                parking.park_behind(parked, later)
        lines.done(key)

    def _unavailable(self, seqs: Sequence[int], verdict: Unavailable) -> None:
        """The target is down. Nobody's fault; but see `Setbacks`."""
        outbox = self._outbox
        self._note(verdict.reason)
        if outbox.breaker.failed(outbox.now, verdict.after):
            outbox.tell("delivery.unavailable", f"the target is down: {verdict.reason}", "warning")
        guilty = [seq for seq in seqs if self._set_back(seq)]
        for seq in guilty:
            self._failed(seq, Retry(verdict.reason, verdict.after))
        self.put_back([seq for seq in seqs if seq in outbox.flying])
        for seq in seqs:
            if seq in outbox.parking.flying:
                outbox.parking.back(seq)
                outbox.scheduler.parked_rest = True
            elif seq in outbox.redrive.flying:
                outbox.redrive.back(seq)
                outbox.scheduler.parked_rest = True

    def _set_back(self, seq: int) -> bool:
        """Note that a record found the target down; True when it alone must be the reason."""
        outbox = self._outbox
        if not self._setbacks.note(seq, outbox.accounts.delivered) or seq in outbox.redrive.flying:
            return False
        if seq in outbox.parking.flying or outbox.lines.single.get(seq):
            return True
        outbox.lines.single[seq] = True  # a suspect: alone next time
        return False

    def _close_breaker(self) -> None:
        outbox = self._outbox
        breaker = outbox.breaker
        if breaker.state != "closed" or breaker.shaken:
            outbox.scheduler.parked_rest = False
            if breaker.succeeded():
                outbox.tell("delivery.available", "the target is back", "info")

    def _note(self, reason: str) -> None:
        last = self._outbox.last
        last.error = reason
        last.error_ms = self._outbox.now_ms()
