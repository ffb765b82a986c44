"""A target whose records are split: it gets their parts, and a record is delivered when all its parts are. What is sent after what is in
`iotgw.delivery.lanes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from iotgw.core.model import TelemetryRecord
from iotgw.core.parts import Split
from iotgw.core.ports.integrations import IIntegration, Settle
from iotgw.core.verdict import DELIVERED, Rejected, Verdict, unforeseen
from iotgw.delivery.accepted_parts import AcceptedParts
from iotgw.delivery.lanes import Lanes, OneByOne, SplitRecord, Together
from iotgw.delivery.splitting import Pieces, TooManyParts

TURN = 512
"""Parts that are sent before the reactor can do other work."""


@implementer(IIntegration)
class PartedTarget:
    """Sends records to a target in parts. ``key`` names a record, ``wants`` is what the route lets through of it."""

    def __init__(
        self,
        target: IIntegration,
        split: Split,
        wants: Sequence[str],
        accepted: AcceptedParts,
        key: Callable[[TelemetryRecord], str],
        clock: IReactorTime,
    ) -> None:
        self._target = target
        self._split = split
        self._wants = frozenset(wants)
        self._accepted = accepted
        self._key = key
        self._clock = clock
        self._lanes: Lanes = Together(self._end) if target.whole else OneByOne(self._end)
        self._open: set[SplitRecord] = set()
        self._ended: list[tuple[Settle, int, Verdict]] = []
        self._driving = self._is_stopped = False

    # --- IIntegration

    @property
    def whole(self) -> bool:
        """As the target's."""
        return self._target.whole

    @property
    def max_batch(self) -> int:
        """As the target's; a record counts as one, and what is more goes into further requests."""
        return self._target.max_batch

    @property
    def capacity(self) -> int:
        """As many records as the target takes parts."""
        if not self.whole:
            return self._target.capacity
        return len(self._open) + max(0, self._target.capacity - len(self._lanes))

    def start(self) -> Deferred[None]:
        """Read what was accepted before, and start the target."""
        self._accepted.load()
        return self._target.start()

    def stop(self) -> Deferred[None]:
        """Note what was accepted, and stop the target."""
        unanswered = self._lanes.unanswered()
        for run in self._open:
            self._note(run, run.accepted(unanswered.get(run, ())))
        self._open.clear()
        self._is_stopped = True
        self._accepted.write()
        return maybeDeferred(self._target.stop)

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Send the parts of these records, in order."""
        runs = []
        for record in records:
            try:
                pieces = Pieces(record, self._split, self._wants)
            except TooManyParts as error:
                self._ended.append((settle, record.seq, Rejected(str(error))))
                continue
            accepted = self._accepted.of(self._key(record)) if self._accepted.parts else 0
            run = SplitRecord(record, settle, pieces, accepted)
            self._open.add(run)
            if run.left:
                runs.append(run)
            else:
                self._end(run, DELIVERED, 0)
        if runs:
            self._lanes.add(runs)
        self._drive()

    def check(self) -> Deferred[dict[str, Any]]:
        """As the target's."""
        return self._target.check()

    def status(self) -> dict[str, Any]:
        """As the target's, and ``partly``: of how many messages it has accepted some parts."""
        return {**self._target.status(), "partly": len(self._accepted)}

    # --- out

    def _drive(self) -> None:
        """Send what may be sent, and report what ended. A target may answer at once, which must not go deeper and deeper."""
        if self._driving or self._is_stopped:
            return
        self._driving = True
        sent = 0
        try:
            while self._lanes.is_ready or self._ended:
                if sent >= TURN:
                    self._clock.callLater(0, self._drive)
                    return
                if self._lanes.is_ready:
                    sent += self._send_some()
                if self._ended:
                    self._report()
        finally:
            self._driving = False

    def _send_some(self) -> int:
        target = self._target
        chunk = self._lanes.take(target.max_batch)
        try:
            target.send(chunk, self._settled)
        except Exception as error:
            left = [part.seq for part in chunk if self._lanes.has(part.seq)]
            if left:
                self._settled(left, unforeseen("sending", error))
        return len(chunk)

    # --- what the target says

    def _settled(self, seqs: Sequence[int], verdict: Verdict) -> None:
        self._lanes.said(seqs, verdict)
        if not self._driving:
            self._drive()

    def _end(self, run: SplitRecord, verdict: Verdict, accepted: int) -> None:
        if run in self._open:  # else the target was stopped meanwhile
            self._open.discard(run)
            self._ended.append((run.settle, run.record.seq, verdict))
            self._note(run, accepted)

    def _note(self, run: SplitRecord, accepted: int) -> None:
        """Remember which parts were accepted of a record that is not delivered."""
        if run.record.seq > 0 and (accepted or self._accepted.parts):  # no test message
            self._accepted.put(self._key(run.record), accepted)

    def _report(self) -> None:
        ended, self._ended = self._ended, []
        delivered: dict[Settle, list[int]] = {}
        for settle, seq, verdict in ended:
            if verdict is DELIVERED:
                delivered.setdefault(settle, []).append(seq)
            else:
                settle([seq], verdict)
        for settle, seqs in delivered.items():
            settle(seqs, DELIVERED)
