"""The accounts of an integration. Each figure is counted for itself, so that their sum can be checked:

``queued = delivered + expired + dropped + dead + inflight + waiting``
"""

from __future__ import annotations

from collections.abc import Sequence

from iotgw.core.model import Counters, TelemetryRecord
from iotgw.delivery.losses import Losses

DELIVERED = "delivered"
EXPIRED = "expired"
LOST = "unreadable"
"""Reason for what the journal could not read any more."""
TRIMMED = "trimmed"
"""Reason for what the journal let go before it was this integration's turn."""


class Accounts:
    """What an integration was given and what became of it, as of ``cursor`` to begin with.

    What is kept must be true as of what is kept of the place in the stream: a record delivered beyond it is met
    again after a crash. So its outcome stays in ``_ahead`` until a `snapshot` has it.

    Many methods: each way that a record may take is booked by one.
    """

    def __init__(self, counters: Counters, cursor: int) -> None:
        self.queued = counters.queued
        self.delivered = counters.delivered
        self.expired = counters.expired
        self.dead = counters.dead
        self.dropped = dict(counters.dropped)
        self.counted = counters.counted
        self.since = counters.since
        self.waiting_bytes = counters.waiting_bytes
        self.parked = 0
        """Records that failed, or wait behind one that did, with a row of their own."""
        self.parked_bytes = 0
        """Their size."""
        self.buried = 0
        """Records that were given up since the start."""
        self.in_stream = 0
        """Records that wait in the journal's stream, not yet taken."""
        self.stream_bytes = 0
        """Their size."""
        self.losses = Losses(counters.lost, cursor)
        self._ahead: dict[int, tuple[str, int]] = {}

    def begin(self) -> None:
        """After a restart, when those are known that are parked: what is not settled either waits in the stream."""
        self.in_stream = self.queued - self.settled - self.parked
        self.stream_bytes = self.waiting_bytes - self.parked_bytes

    def park(self, size: int) -> None:
        """A record has a row of its own."""
        self.parked += 1
        self.parked_bytes += size

    def unpark(self, size: int) -> None:
        """Its row goes."""
        self.parked -= 1
        self.parked_bytes -= size

    @property
    def held_bytes(self) -> int:
        """Size of the records that were taken from the stream and are in memory."""
        return self.waiting_bytes - self.stream_bytes - self.parked_bytes

    def count(self, records: int, size: int, counted: int) -> None:
        """Records up to ``counted`` came to wait in the stream."""
        self.counted = counted
        self.queued += records
        self.in_stream += records
        self.stream_bytes += size
        self.waiting_bytes += size

    def pass_over(self, seq: int) -> None:
        """The stream brought a record that is counted already."""
        self.counted = max(self.counted, seq)

    def take(self, size: int) -> None:
        """A record left the stream."""
        self.in_stream -= 1
        self.stream_bytes -= size

    def put_back(self, size: int) -> None:
        """A record that was taken waits in the stream again."""
        self.in_stream += 1
        self.stream_bytes += size

    def trim(self, unreadable: int = 0) -> int:
        """What waited in the stream is there no more, ``unreadable`` of it at most because it can't be read;
        returns how many that were."""
        lost = self.in_stream
        for reason, count in ((LOST, min(unreadable, lost)), (TRIMMED, max(0, lost - unreadable))):
            if count:
                self.drop(reason, count)
        self.waiting_bytes -= self.stream_bytes
        self.in_stream = self.stream_bytes = 0
        return lost

    @property
    def settled(self) -> int:
        """How many came to their end."""
        return self.delivered + self.expired + self.dead + sum(self.dropped.values())

    def settle(self, seq: int, outcome: str, size: int) -> None:
        """A record came to its end: `DELIVERED`, `EXPIRED`, or the reason why it was dropped."""
        self._ahead[seq] = (outcome, size)
        self.waiting_bytes -= size
        if outcome == DELIVERED:
            self.delivered += 1
            self.losses.deliver(seq)
            return
        if outcome == EXPIRED:
            self.expired += 1
        else:
            self.drop(outcome, 1)
        self.losses.lose(seq, outcome)

    def deliver(self, records: Sequence[TelemetryRecord]) -> None:
        """As `settle` of each, `DELIVERED`."""
        ahead, deliver, total = self._ahead, self.losses.deliver, 0
        for record in records:
            seq, size = record.seq, len(record.body)
            ahead[seq] = (DELIVERED, size)
            total += size
            deliver(seq)
        self.waiting_bytes -= total
        self.delivered += len(records)

    def sought(self, position: int) -> None:
        """What comes after ``position`` is this integration's, also if it began after it."""
        self.since = min(self.since, position)

    def bury(self, size: int) -> None:
        """A record became a dead letter; its row says so, so that it isn't met again."""
        self.dead += 1
        self.buried += 1
        self.waiting_bytes -= size

    def revive(self, seq: int) -> None:
        """A dead letter was delivered after all."""
        self.dead -= 1
        self.delivered += 1
        self._ahead[seq] = (DELIVERED, 0)

    def dismiss(self, seq: int, reason: str) -> None:
        """A dead letter is kept no longer."""
        self.dead -= 1
        self.settle(seq, reason, 0)

    def drop(self, reason: str, count: int) -> None:
        """Note records as dropped without knowing each."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def uncount(self, counted: int) -> None:
        """Forget what waits in the stream; it will be counted again from ``counted`` on."""
        self.queued -= self.in_stream
        self.waiting_bytes -= self.stream_bytes
        self.in_stream = self.stream_bytes = 0
        self.counted = counted

    def snapshot(self, cursor: int, paused: bool, done: int = 0, open: Sequence[int] = ()) -> Counters:
        """The accounts as of a cursor, to keep. ``paused`` is kept with them, and ``done`` and ``open`` as in
        `Counters`: what ended up to ``done`` isn't met again."""
        ahead, kept = self._ahead, max(cursor, done)
        if ahead:
            self._ahead = ahead = {seq: item for seq, item in ahead.items() if seq > kept}
        delivered, expired, waiting_bytes = self.delivered, self.expired, self.waiting_bytes
        dropped = dict(self.dropped)
        for outcome, size in ahead.values():
            waiting_bytes += size
            if outcome == DELIVERED:
                delivered -= 1
            elif outcome == EXPIRED:
                expired -= 1
            else:
                dropped[outcome] -= 1
        return Counters(
            self.queued, delivered, expired, self.dead, dropped, self.counted, self.since, waiting_bytes,
            self.losses.ranges(), paused, done, list(open),
        )  # fmt: skip

    @property
    def ahead(self) -> int:
        """How many are settled beyond what was kept."""
        return len(self._ahead)


def open_of(counters: Counters) -> int:
    """How many records had not come to their end."""
    over = counters.delivered + counters.expired + counters.dead + sum(counters.dropped.values())
    return counters.queued - over
