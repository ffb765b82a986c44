"""The parts of records on their way to a target: which may go now, and what becomes of their records by what the target says of them.

Where a target takes parts one by one (`OneByOne`), a record has one part with it at a time. Where a target takes a batch as one request (`Together`),
the parts of the records of a batch go in chunks, as many as a request takes. What the target says of a chunk is looked at when it has spoken of
all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from iotgw.core.model import TelemetryRecord
from iotgw.core.parts import MOST
from iotgw.core.ports.integrations import Settle
from iotgw.core.verdict import DELIVERED, Apart, Delivered, Rejected, Retry, Unavailable, Verdict
from iotgw.delivery.splitting import Pieces

CHUNK = 4 << 20
"""Bytes of a chunk, at least one part."""


class SplitRecord:
    """A record on its way. ``accepted`` are the numbers of its parts that the target took before, as bits; ``left`` are the places of those that
    are to be sent."""

    __slots__ = (
        "_accepted",
        "_pieces",
        "_places",
        "_refused",
        "left",
        "next_part",
        "record",
        "settle",
    )

    def __init__(self, record: TelemetryRecord, settle: Settle, pieces: Pieces, accepted: int) -> None:
        self.record = record
        self.settle = settle
        self._pieces = pieces
        self._accepted = accepted
        self._places: Sequence[int] = range(len(pieces))
        if accepted:
            numbers = pieces.numbers
            self._places = [place for place in self._places if not accepted >> numbers[place] & 1]
        self.left = deque(self._places)
        self.next_part = pieces.parts(self.left).__next__
        """Makes the part of the first place in ``left``."""
        self._refused: dict[int, Retry | Rejected] | None = None

    def refuse(self, place: int, verdict: Retry | Rejected) -> None:
        """The target refused the part at a place."""
        if self._refused is None:
            self._refused = {}
        self._refused[place] = verdict

    def place(self, seq: int) -> int:
        """The place of the part that has this position."""
        return self._pieces.place(seq % MOST)

    def accepted(self, at_target: Sequence[int] = ()) -> int:
        """The numbers of the parts that were accepted, as bits: those that were sent and not refused. ``at_target`` are the places of those that it
        hasn't accepted so far."""
        accepted, numbers = self._accepted, self._pieces.numbers
        unsure = {*self.left, *at_target, *(self._refused or ())}
        for place in self._places:
            if place not in unsure:
                accepted |= 1 << numbers[place]
        return accepted

    def verdict(self, delivered: Delivered) -> Verdict:
        """What becomes of the record, all of whose parts are settled. One that may be tried again outranks one that may not."""
        if self._refused is None:
            return delivered
        refused = list(self._refused.items())
        place, first = next((each for each in refused if isinstance(each[1], Retry)), refused[0])
        number, name, count = self._pieces.numbers[place], self._pieces.names[place], len(self._pieces)
        named = f" ({name})" if name else ""
        also = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        why = f"part {number} of {count}{named}{also}: {first.reason}" if count > 1 else first.reason
        return Rejected(why) if isinstance(first, Rejected) else Retry(why, first.after)


End = Callable[[SplitRecord, Verdict, int], None]
"""``end(run, verdict, accepted)``: a record is settled, and these parts of it were accepted, as bits; with 0 all were."""


class Lanes(Protocol):
    """The parts that may be sent, and those that the target has."""

    @property
    def is_ready(self) -> bool:
        """Whether a part may be sent."""

    def __len__(self) -> int:
        """How many parts the target has."""

    def add(self, runs: list[SplitRecord]) -> None:
        """Send the parts of these records."""

    def take(self, most: int) -> list[TelemetryRecord]:
        """The parts to be sent now, together, at most ``most``, and one at least."""

    def has(self, seq: int) -> bool:
        """Whether the target has the part at this position."""

    def said(self, seqs: Sequence[int], verdict: Verdict) -> None:
        """What the target says of these parts."""

    def unanswered(self) -> dict[SplitRecord, list[int]]:
        """The places of the parts that the target has, or that it hasn't accepted, by their records."""


class OneByOne:
    """Each record has one part with the target at a time. ``end`` is told of each that is settled. See `Lanes`."""

    def __init__(self, end: End) -> None:
        self._end = end
        self._ready: deque[SplitRecord] = deque()
        self._out: dict[int, SplitRecord] = {}

    @property
    def is_ready(self) -> bool:
        """See `Lanes.is_ready`."""
        return bool(self._ready)

    def __len__(self) -> int:
        """See `Lanes`."""
        return len(self._out)

    def add(self, runs: list[SplitRecord]) -> None:
        """See `Lanes.add`."""
        self._ready.extend(runs)

    def take(self, most: int) -> list[TelemetryRecord]:
        """See `Lanes.take`."""
        ready, out = self._ready, self._out
        chunk: list[TelemetryRecord] = []
        for _ in range(min(max(1, most), len(ready))):
            run = ready.popleft()
            part = run.next_part()
            out[part.seq] = run
            chunk.append(part)
        return chunk

    def has(self, seq: int) -> bool:
        """See `Lanes.has`."""
        return seq in self._out

    def said(self, seqs: Sequence[int], verdict: Verdict) -> None:
        """See `Lanes.said`."""
        out, ready, is_accepted = self._out, self._ready, isinstance(verdict, Delivered)
        for seq in seqs:
            run = out.pop(seq, None)
            if run is None:
                continue
            if not is_accepted:
                self._refused(run, run.place(seq), verdict)
            elif run.left:
                ready.append(run)
            else:
                self._settled(run, verdict)  # type: ignore[arg-type]  # as just looked at

    def _refused(self, run: SplitRecord, place: int, verdict: Verdict) -> None:
        if isinstance(verdict, Unavailable):
            self._end(run, verdict, run.accepted([place]))
            return
        run.refuse(place, verdict if isinstance(verdict, Retry | Rejected) else Retry(verdict.reason))  # type: ignore[union-attr]
        if run.left:
            self._ready.append(run)
        else:
            self._settled(run, DELIVERED)

    def _settled(self, run: SplitRecord, last: Delivered) -> None:
        verdict = run.verdict(last)
        self._end(run, verdict, 0 if verdict is last else run.accepted())

    def unanswered(self) -> dict[SplitRecord, list[int]]:
        """See `Lanes.unanswered`."""
        return {run: [run.place(seq)] for seq, run in self._out.items()}


class _Batch:
    """The records of a batch, and what the target said of the chunk that it has."""

    __slots__ = ("at_target", "delivered", "runs", "said", "singles")

    def __init__(self, runs: list[SplitRecord]) -> None:
        self.runs = runs
        self.at_target = 0
        """How many parts the target has."""
        self.said: list[tuple[SplitRecord, int, Verdict]] = []
        self.delivered: dict[SplitRecord, Delivered] = {}
        """What the target said last of a record's part that it took."""
        self.singles: set[SplitRecord] = set()
        """Those whose parts are sent each by itself, because they failed together."""


class Together:
    """The parts of a batch go in chunks, of each batch one at a time. ``end`` is told of each record that is settled. See `Lanes`."""

    def __init__(self, end: End) -> None:
        self._end = end
        self._ready: deque[_Batch] = deque()
        self._out: dict[int, SplitRecord] = {}
        self._of: dict[SplitRecord, _Batch] = {}

    @property
    def is_ready(self) -> bool:
        """See `Lanes.is_ready`."""
        return bool(self._ready)

    def __len__(self) -> int:
        """See `Lanes`."""
        return len(self._out)

    def add(self, runs: list[SplitRecord]) -> None:
        """See `Lanes.add`."""
        batch = _Batch(runs)
        self._of |= dict.fromkeys(runs, batch)
        self._ready.append(batch)

    def take(self, most: int) -> list[TelemetryRecord]:
        """See `Lanes.take`."""
        batch = self._ready.popleft()
        chunk: list[TelemetryRecord] = []
        size = 0
        for run in batch.runs:
            while run.left and len(chunk) < max(1, most) and size < CHUNK:
                part = run.next_part()
                self._out[part.seq] = run
                chunk.append(part)
                size += len(part.body)
                if run in batch.singles:
                    break
            if run.left:
                break
        batch.at_target = len(chunk)
        return chunk

    def has(self, seq: int) -> bool:
        """See `Lanes.has`."""
        return seq in self._out

    def said(self, seqs: Sequence[int], verdict: Verdict) -> None:
        """See `Lanes.said`."""
        for seq in seqs:
            run = self._out.pop(seq, None)
            if run is None:
                continue
            batch = self._of[run]
            batch.at_target -= 1
            batch.said.append((run, seq, verdict))
            if not batch.at_target:
                self._look(batch)

    def _look(self, batch: _Batch) -> None:
        """The target has spoken of all of a batch's chunk."""
        said, batch.said = batch.said, []
        down: Unavailable | None = None
        apart: dict[SplitRecord, list[int]] = {}
        why = ""
        for run, seq, verdict in said:
            if isinstance(verdict, Delivered):
                batch.delivered[run] = verdict
            elif isinstance(verdict, Unavailable):
                down = verdict
                run.left.appendleft(run.place(seq))
            elif isinstance(verdict, Apart):
                why = verdict.reason
                apart.setdefault(run, []).append(run.place(seq))
            else:
                run.refuse(run.place(seq), verdict)
        over: set[SplitRecord] = set()
        for run, places in apart.items():
            if len(apart) > 1:
                self._over(run, Apart(why), run.accepted(places), over)
            elif len(places) > 1:
                batch.singles.add(run)
                run.left.extendleft(reversed(places))
            else:
                run.refuse(places[0], Retry(why))
        for run in batch.runs:
            if run in over:
                continue
            if not run.left:
                last = batch.delivered.get(run, DELIVERED)
                verdict = run.verdict(last)
                self._over(run, verdict, 0 if verdict is last else run.accepted(), over)
            elif down is not None:
                self._over(run, down, run.accepted(), over)
        batch.runs = [run for run in batch.runs if run not in over]
        if batch.runs:
            self._ready.append(batch)

    def _over(self, run: SplitRecord, verdict: Verdict, accepted: int, over: set[SplitRecord]) -> None:
        over.add(run)
        del self._of[run]
        self._end(run, verdict, accepted)

    def unanswered(self) -> dict[SplitRecord, list[int]]:
        """See `Lanes.unanswered`."""
        found: dict[SplitRecord, list[int]] = {}
        for seq, run in self._out.items():
            found.setdefault(run, []).append(run.place(seq))
        for batch in set(self._of.values()):
            for run, seq, verdict in batch.said:
                if not isinstance(verdict, Delivered):
                    found.setdefault(run, []).append(run.place(seq))
        return found
