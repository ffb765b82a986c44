"""A target whose records are split: it gets their parts, and a record is delivered when all its parts are.

A `Lane` is what is sent one after another: the parts of one record, or of all records of a batch where the target takes a batch as
one request. Of each lane one chunk is with the target at a time: one part, or as many as a request takes. What the target says of a
chunk is looked at when it has spoken of all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from iotgw.core.model import TelemetryRecord
from iotgw.core.parts import Split
from iotgw.core.ports.integrations import IIntegration, Settle
from iotgw.core.verdict import DELIVERED, Apart, Delivered, Rejected, Retry, Unavailable, Verdict, unforeseen
from iotgw.delivery.accepted_parts import AcceptedParts
from iotgw.delivery.splitting import Pieces, TooManyParts

TURN = 512
"""Parts that are sent before the reactor can do other work."""
CHUNK = 4 << 20
"""Bytes of a chunk, at least one part."""


class _Run:
    """A record on its way: ``left`` are the places of its parts that are to be sent, ``accepted`` the numbers of those that the target has
    taken, as bits."""

    __slots__ = (
        "accepted",
        "delivered",
        "is_over",
        "is_single",
        "left",
        "pieces",
        "record",
        "refused",
        "settle",
        "under_way",
    )

    def __init__(self, record: TelemetryRecord, settle: Settle, pieces: Pieces, accepted: int) -> None:
        self.record = record
        self.settle = settle
        self.pieces = pieces
        self.accepted = accepted
        self.delivered = DELIVERED
        """What the target said last of a part that it took."""
        self.left = deque(
            place for place, piece in enumerate(pieces.pieces) if not accepted >> piece.number & 1
        )
        self.under_way = 0
        self.refused: list[tuple[int, Retry | Rejected]] = []
        self.is_single = False
        """Whether each part is sent by itself, because they failed together."""
        self.is_over = False

    def verdict(self) -> Verdict:
        """What becomes of the record, all of whose parts are settled. One that may be tried again outranks one that may not."""
        if not self.refused:
            return self.delivered
        place, first = next((each for each in self.refused if isinstance(each[1], Retry)), self.refused[0])
        piece, count = self.pieces.pieces[place], len(self.pieces.pieces)
        named = f" ({piece.name})" if piece.name else ""
        also = f", and {len(self.refused) - 1} more" if len(self.refused) > 1 else ""
        why = f"part {piece.number} of {count}{named}{also}: {first.reason}" if count > 1 else first.reason
        return Rejected(why) if isinstance(first, Rejected) else Retry(why, first.after)


class _Lane:
    """Runs one after another, and what the target said of the chunk that it has."""

    __slots__ = ("at_target", "runs", "said")

    def __init__(self, runs: list[_Run]) -> None:
        self.runs = deque(runs)
        self.at_target = 0
        """How many parts the target has."""
        self.said: list[tuple[_Run, int, Verdict]] = []

    def next_part(self, out: dict[int, tuple[_Lane, _Run, int]]) -> TelemetryRecord:
        """The next part of a lane of one run; see `chunk`."""
        run = self.runs[0]
        place = run.left.popleft()
        part = run.pieces.part(place)
        out[part.seq] = self, run, place
        self.at_target += 1
        run.under_way += 1
        return part

    def chunk(self, most: int, out: dict[int, tuple[_Lane, _Run, int]]) -> list[TelemetryRecord]:
        """The next parts to be sent together, at most ``most``. Where each belongs is added to ``out``, by its position."""
        chunk: list[TelemetryRecord] = []
        size = 0
        for run in self.runs:
            while run.left and len(chunk) < most and size < CHUNK:
                place = run.left.popleft()
                part = run.pieces.part(place)
                out[part.seq] = self, run, place
                self.at_target += 1
                run.under_way += 1
                chunk.append(part)
                size += len(part.body)
                if run.is_single:
                    return chunk
            if run.left:
                break
        return chunk


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
        self._out: dict[int, tuple[_Lane, _Run, int]] = {}
        """The lane, the run and the place of each part that the target has."""
        self._open: set[_Run] = set()
        self._ready: deque[_Lane] = deque()
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
        return len(self._open) + max(0, self._target.capacity - len(self._out))

    def start(self) -> Deferred[None]:
        """Read what was accepted before, and start the target."""
        self._accepted.load()
        return self._target.start()

    def stop(self) -> Deferred[None]:
        """Note what was accepted, and stop the target."""
        for run in self._open:
            self._note(run)
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
            accepted = self._accepted.of(self._key(record)) if self._accepted else 0
            run = _Run(record, settle, pieces, accepted)
            self._open.add(run)
            if run.left:
                runs.append(run)
            else:
                self._end(run, DELIVERED)
        if self.whole and runs:
            self._ready.append(_Lane(runs))
        else:
            self._ready.extend(_Lane([run]) for run in runs)
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
            while self._ready or self._ended:
                if sent >= TURN:
                    self._clock.callLater(0, self._drive)
                    return
                if self._ready:
                    sent += self._send_some()
                if self._ended:
                    self._report()
        finally:
            self._driving = False

    def _send_some(self) -> int:
        target, out = self._target, self._out
        most = target.max_batch
        if target.whole:
            chunk = self._ready.popleft().chunk(max(1, most), out)
        else:
            ready = self._ready
            chunk = [ready.popleft().next_part(out)]
            while ready and len(chunk) < most:
                chunk.append(ready.popleft().next_part(out))
        try:
            target.send(chunk, self._settled)
        except Exception as error:
            left = [part.seq for part in chunk if part.seq in out]
            if left:
                self._settled(left, unforeseen("sending", error))
        return len(chunk)

    # --- what the target says

    def _settled(self, seqs: Sequence[int], verdict: Verdict) -> None:
        out, is_accepted = self._out, isinstance(verdict, Delivered)
        for seq in seqs:
            found = out.pop(seq, None)
            if found is None:
                continue
            lane, run, place = found
            lane.at_target -= 1
            if is_accepted and not lane.at_target and not lane.said:
                self._accept(lane, run, place, verdict)  # type: ignore[arg-type]  # as just looked at
                continue
            lane.said.append((run, place, verdict))
            if not lane.at_target:
                self._look(lane)
        if not self._driving:
            self._drive()

    def _accept(self, lane: _Lane, run: _Run, place: int, verdict: Delivered) -> None:
        """The target took the only part of a lane's chunk, as it nearly always does."""
        run.under_way = 0
        run.delivered = verdict
        run.accepted |= 1 << run.pieces.pieces[place].number
        if run.left:
            self._ready.append(lane)
            return
        self._end(run, run.verdict())
        lane.runs.remove(run)
        if lane.runs:
            self._ready.append(lane)

    def _look(self, lane: _Lane) -> None:
        """The target has spoken of all of a lane's chunk."""
        said, lane.said = lane.said, []
        down: Unavailable | None = None
        apart: dict[_Run, list[int]] = {}
        why = ""
        for run, place, verdict in said:
            run.under_way -= 1
            if isinstance(verdict, Delivered):
                run.delivered = verdict
                run.accepted |= 1 << run.pieces.pieces[place].number
            elif isinstance(verdict, Unavailable):
                down = verdict
                run.left.appendleft(place)
            elif isinstance(verdict, Apart):
                why = verdict.reason
                apart.setdefault(run, []).append(place)
            else:
                run.refused.append((place, verdict))
        for run, places in apart.items():
            if len(apart) > 1:
                self._end(run, Apart(why))
            elif len(places) > 1:
                run.is_single = True
                run.left.extendleft(reversed(places))
            else:
                run.refused.append((places[0], Retry(why)))
        for run in lane.runs:
            if not run.is_over and not run.left and not run.under_way:
                self._end(run, run.verdict())
            elif down is not None and not run.is_over:
                self._end(run, down)
        lane.runs = deque(run for run in lane.runs if not run.is_over)
        if lane.runs:
            self._ready.append(lane)

    def _end(self, run: _Run, verdict: Verdict) -> None:
        run.is_over = True
        if run in self._open:  # else the target was stopped meanwhile
            self._open.discard(run)
            self._ended.append((run.settle, run.record.seq, verdict))
            if not isinstance(verdict, Delivered):
                self._note(run)
            elif self._accepted:
                self._accepted.put(self._key(run.record), 0)

    def _note(self, run: _Run) -> None:
        if run.record.seq > 0:  # no test message
            self._accepted.put(self._key(run.record), run.accepted)

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
