"""The accounts of an integration. Each figure is counted separately, so that the sum can be checked:

``queued = delivered + expired + dropped + dead + inflight + waiting``
"""

from __future__ import annotations

from collections.abc import Sequence

from iotgw.core.model import Counters, TelemetryRecord
from iotgw.core.ports.usage import Amounts
from iotgw.delivery.losses import Losses

DELIVERED = "delivered"
EXPIRED = "expired"
LOST = "unreadable"
"""The reason given for records that the journal could no longer read."""
TRIMMED = "trimmed"
"""The reason given for records that the journal deleted before this integration got to them."""


class Accounts:
    """Counts the records that an integration was given and what became of them.

    ``counters`` are the figures that the journal kept, as of the stream position ``cursor``. Sizes are in bytes.

    The stored figures must match the stored cursor, because a record settled beyond the cursor comes again after a
    crash. So the outcome of such a record stays in ``_ahead`` until a `snapshot` includes it.

    Many methods: one for each thing that can happen to a record.
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
        self.delivered_bytes = 0
        """Size of the records that were delivered since the process started."""
        self.parked = 0
        """Records that failed or wait behind one that did. Each has a row in the journal."""
        self.parked_bytes = 0
        """Size of the parked records."""
        self.buried = 0
        """Records given up since the process started."""
        self.dismissed = 0
        """Dead letters that were dropped since then, which count as given up once."""
        self.in_stream = 0
        """Records that wait in the stream and were not taken yet."""
        self.stream_bytes = 0
        """Size of the records in the stream."""
        self.losses = Losses(counters.lost, cursor)
        self._ahead: dict[int, tuple[str, int]] = {}
        self._before = counters

    def begin(self) -> None:
        """Derive what waits in the stream after a restart: all that is neither settled nor parked. Call this once the
        parked records are known."""
        self.in_stream = self.queued - self.settled - self.parked
        self.stream_bytes = self.waiting_bytes - self.parked_bytes

    def park(self, size: int) -> None:
        """A record was parked."""
        self.parked += 1
        self.parked_bytes += size

    def unpark(self, size: int) -> None:
        """A record is parked no longer."""
        self.parked -= 1
        self.parked_bytes -= size

    @property
    def held_bytes(self) -> int:
        """Size of the records that were taken from the stream and are held in memory."""
        return self.waiting_bytes - self.stream_bytes - self.parked_bytes

    def count(self, records: int, size: int, counted: int) -> None:
        """Add ``records`` that now wait in the stream. Everything up to position ``counted`` is counted then."""
        self.counted = counted
        self.queued += records
        self.in_stream += records
        self.stream_bytes += size
        self.waiting_bytes += size

    def pass_over(self, seq: int) -> None:
        """The stream brought a record that was counted before."""
        self.counted = max(self.counted, seq)

    def take(self, records: int, size: int) -> None:
        """Records were taken from the stream."""
        self.in_stream -= records
        self.stream_bytes -= size

    def put_back(self, size: int) -> None:
        """A record that was taken waits in the stream again, to be read once more."""
        self.in_stream += 1
        self.stream_bytes += size

    def trim(self, unreadable: int = 0) -> int:
        """All that still counts as waiting in the stream is gone. At most ``unreadable`` of it could not be read, and
        the journal trimmed the rest. Returns how many records that were."""
        lost = self.in_stream
        for reason, count in ((LOST, min(unreadable, lost)), (TRIMMED, max(0, lost - unreadable))):
            if count:
                self.drop(reason, count)
        self.waiting_bytes -= self.stream_bytes
        self.in_stream = self.stream_bytes = 0
        return lost

    @property
    def amounts(self) -> Amounts:
        """What was used of the integration so far."""
        given_up = self.buried + self.expired + sum(self.dropped.values()) - self.dismissed
        return Amounts(bytes=self.delivered_bytes, errors=given_up, deliveries=self.delivered)

    @property
    def ended(self) -> dict[str, int]:
        """How many deliveries ended since the process started, by their end. These never go back: a dead letter that is sent again after all counts twice."""
        before = self._before
        dropped = sum(self.dropped.values()) - sum(before.dropped.values()) - self.dismissed
        return {
            DELIVERED: self.delivered - before.delivered,
            EXPIRED: self.expired - before.expired,
            "dead": self.buried,
            "dropped": dropped,
        }

    @property
    def figures(self) -> tuple[int, ...]:
        """What `iotgw.core.ports.rates.FIGURES` names. What is in flight waits, too."""
        dropped = sum(self.dropped.values())
        open_ = max(0, self.queued - self.settled)
        return self.queued, self.delivered, self.expired, self.dead, dropped, open_

    @property
    def settled(self) -> int:
        """How many records are settled: delivered, expired, dropped or dead."""
        return self.delivered + self.expired + self.dead + sum(self.dropped.values())

    def settle(self, seq: int, outcome: str, size: int) -> None:
        """A record is settled. ``outcome`` is `DELIVERED`, `EXPIRED`, or the reason why it was dropped."""
        self._ahead[seq] = (outcome, size)
        self.waiting_bytes -= size
        if outcome == DELIVERED:
            self.delivered += 1
            self.delivered_bytes += size
            self.losses.deliver([seq])
            return
        if outcome == EXPIRED:
            self.expired += 1
        else:
            self.drop(outcome, 1)
        self.losses.lose(seq, outcome)

    def deliver(self, records: Sequence[TelemetryRecord]) -> None:
        """Settle all of these as `DELIVERED`."""
        if not records:
            return
        ahead, total = self._ahead, 0
        for record in records:
            size = len(record.body)
            ahead[record.seq] = DELIVERED, size
            total += size
        self.losses.deliver([record.seq for record in records])
        self.waiting_bytes -= total
        self.delivered_bytes += total
        self.delivered += len(records)

    def sought(self, position: int) -> None:
        """Records after ``position`` belong to this integration, even those from before it was created."""
        self.since = min(self.since, position)

    def bury(self, size: int) -> None:
        """A record became a dead letter. Its row in the journal says so, and it is skipped when the stream brings it again."""
        self.dead += 1
        self.buried += 1
        self.waiting_bytes -= size

    def revive(self, seq: int) -> None:
        """A dead letter was delivered after all."""
        self.dead -= 1
        self.delivered += 1
        self._ahead[seq] = (DELIVERED, 0)

    def dismiss(self, seq: int, reason: str) -> None:
        """A dead letter was dropped, for this reason."""
        self.dismissed += 1
        self.dead -= 1
        self.settle(seq, reason, 0)

    def drop(self, reason: str, count: int) -> None:
        """Count records as dropped when their positions are not known."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def uncount(self, counted: int) -> None:
        """Forget what waits in the stream. It will be counted again, from position ``counted`` on."""
        self.queued -= self.in_stream
        self.waiting_bytes -= self.stream_bytes
        self.in_stream = self.stream_bytes = 0
        self.counted = counted

    def snapshot(self, cursor: int, paused: bool, done: int = 0, open: Sequence[int] = ()) -> Counters:
        """The accounts as of ``cursor``, to be stored with it. ``paused``, ``done`` and ``open`` are stored as well, as
        in `Counters`. What was settled up to ``done`` does not count again after a restart."""
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
        """How many records are settled beyond the last snapshot."""
        return len(self._ahead)


def open_of(counters: Counters) -> int:
    """How many records were not settled when these counters were stored."""
    over = counters.delivered + counters.expired + counters.dead + sum(counters.dropped.values())
    return counters.queued - over
