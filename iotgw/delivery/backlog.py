"""The records that wait for one integration in the telemetry stream, and how many there are.

Every record that the route matches is counted once, when it becomes durable. So the depth is known without holding a
million records in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.stream import StreamReader
from iotgw.core.times import DateMs
from iotgw.delivery.accounts import EXPIRED, LOST, Accounts
from iotgw.delivery.ages import IsBefore
from iotgw.delivery.known import Known
from iotgw.delivery.route import Match

CAPACITY = 4096
"""How many records may be in memory, ready to take."""
PAGE = 1000
SWEEP = 20_000
"""How many records one sweep settles at most, so that the reactor can do other work in between."""

UNREADABLE = Kind.UNREADABLE  # an enum's member is slow to look up


def _weight(records: Iterable[TelemetryRecord]) -> int:
    return sum([len(record.body) for record in records])


class Backlog:
    """The records after ``position`` that ``match`` lets through.

    ``ready()`` is called when there is something to take.

    Many methods: it both hands out records and counts them, because a record that is handed out before it was
    counted has to be counted at that moment.
    """

    _log = Logger()

    def __init__(
        self,
        journal: ITelemetryStream,
        accounts: Accounts,
        position: int,
        match: Match,
        ready: Callable[[], None],
        is_before: IsBefore,
    ) -> None:
        self._journal = journal
        self._is_before = is_before
        self._accounts = accounts
        self._match = match
        self.taken = position
        """The last position that was taken or skipped."""
        self._known = Known()
        self._knows = False
        """Whether the next records may be among the known ones."""
        self._passed_by: list[TelemetryRecord] = []
        self._unreadable = 0
        self._was_at_end = False
        self._fed = 0
        self._begun = False
        """False until the first `count`. Live records are not counted before, because it covers the whole stream."""
        self._counting = False
        self._counted_by: list[Deferred[None]] = []
        self._reader: StreamReader[TelemetryRecord] = StreamReader(
            journal.read_telemetry, position, CAPACITY, ready, _weight
        )

    def lets_through(self, record: TelemetryRecord) -> bool:
        """Whether the integration gets this record."""
        return self._match(record)

    @property
    def next(self) -> TelemetryRecord | None:
        """The next record of the stream, if it is in memory."""
        return self._reader.peek()

    def read_on(self) -> None:
        """Read ahead if few records are in memory. A read that failed is repeated."""
        if not self._reader.behind:
            return
        if self._begun and self._accounts.counted < self.last:
            self.count()
        if self._reader.is_low:
            self._reader.fill()

    def feed(self, records: Sequence[TelemetryRecord]) -> None:
        """Take in records that have just become durable, in order."""
        self._fed = records[-1].seq
        if self._begun and not self._counting:
            self._count(records)
        self._reader.offer(records)

    def leaves_out(self, records: Sequence[TelemetryRecord], may_match: bool) -> bool:
        """Whether none of these records, which have just become durable, is for the integration, which has come to the end of the
        stream. Then they need not be fed: they are behind it. They aren't looked at if it is known that they don't match."""
        if self._knows or self._counting or not (self._begun and self._reader.is_at_rest):
            return False
        if may_match and any(map(self._match, records)):
            return False
        self._fed = self.taken = last = records[-1].seq
        self._accounts.pass_over(last)
        self._reader.pass_by(last)
        return True

    def take(self, limit: int, oldest_ms: DateMs) -> list[TelemetryRecord]:
        """The next records, at most ``limit``. Fewer doesn't mean that there are no more.

        Records received before ``oldest_ms`` (milliseconds since 1970) are settled as expired."""
        taken: list[TelemetryRecord] = []
        accounts, match, known, knows = self._accounts, self._match, self._known, self._knows
        while not taken:
            records = self._reader.take(limit)
            if not records:
                break
            mine = size = 0
            for record in records:
                seq = record.seq
                if not match(record):
                    if record.kind is UNREADABLE:
                        self._pass_by(record)
                    continue
                if knows and seq in known:
                    accounts.pass_over(seq)
                    continue
                if seq > accounts.counted:  # read from the journal before it was fed
                    accounts.count(1, len(record.body), seq)
                mine += 1
                size += len(record.body)
                if record.received_ms < oldest_ms and self._is_before(record.received_ms, oldest_ms):
                    accounts.settle(seq, EXPIRED, len(record.body))
                else:
                    taken.append(record)
            accounts.take(mine, size)
            self.taken = records[-1].seq
        if knows and self.taken >= known.until:
            self._knows = False
        return taken

    def pass_over(self, known: Known) -> None:
        """Skip the known positions when the stream brings them again."""
        self._known = known
        self._knows = known.until > 0

    @property
    def done(self) -> int:
        """A record taken from the stream up to this position was still open when the last process ended."""
        return self._known.done

    def still_open(self) -> tuple[int, list[int]]:
        """The position up to which everything is settled unless it is in flight or open, and the positions known to be
        open beyond `taken`."""
        if not self._knows or self._known.done <= self.taken:
            return self.taken, []
        return self._known.done, self._known.open_after(self.taken)

    def unreadable(self) -> list[TelemetryRecord]:
        """Placeholders for the records that turned out to be unreadable since the last call."""
        passed_by, self._passed_by = self._passed_by, []
        return passed_by

    def _pass_by(self, record: TelemetryRecord) -> None:
        """Skip a record that can't be read. Only the count can tell whether it was for this integration: see `reconcile`."""
        if record.seq > self._accounts.counted:
            self._accounts.count(1, 0, record.seq)
        if self._knows and record.seq in self._known:
            return
        self._accounts.losses.lose(record.seq, LOST)
        self._unreadable += 1
        self._passed_by.append(record)

    def sweep(self, reason_of: Callable[[TelemetryRecord], str | None]) -> int:
        """Settle the oldest records without sending them, for as long as ``reason_of`` gives an outcome.

        Returns how many were settled. Stops after `SWEEP`, or when the next record isn't in memory yet."""
        swept = 0
        while swept < SWEEP:
            records = self._reader.take(256)
            if not records:
                break
            for place, record in enumerate(records):
                seq = record.seq
                if record.kind is UNREADABLE:
                    self._pass_by(record)
                elif self._match(record) and not (self._knows and seq in self._known):
                    reason = reason_of(record)
                    if reason is None:
                        self._reader.unread(records[place:])
                        return swept
                    if seq > self._accounts.counted:
                        self._accounts.count(1, len(record.body), seq)
                    self._accounts.take(1, len(record.body))
                    self._accounts.settle(seq, reason, len(record.body))
                    swept += 1
                self.taken = seq
        return swept

    def seek(self, position: int) -> Deferred[None]:
        """Move back in the stream and go on after ``position``. Fires when the depth is known again."""
        self._accounts.uncount(position)
        self._accounts.losses.forget(position)
        self.taken = position
        self._reader.seek(position)
        return self.count()

    def follow(self, match: Match) -> None:
        """Use ``match`` from now on, which says the same in other words: nothing is counted anew."""
        self._match = match

    def reroute(self, match: Match) -> Deferred[None]:
        """Use ``match`` from now on. Fires when the depth is known again."""
        self._match = match
        # Which of the earlier records the old route let through can no longer be told.
        self._accounts.losses.doubt(self.taken)
        self._accounts.uncount(self.taken)
        return self.count()

    def count(self) -> Deferred[None]:
        """Count the records in the journal that were not counted yet. Fires when done."""
        self._begun = True
        if not self._counting:
            if self._accounts.counted >= self.last:
                return succeed(None)
            self._counting = True
            self._count_page()
        self._counted_by.append(Deferred())
        return self._counted_by[-1]

    @property
    def last(self) -> int:
        """The last position known to be durable."""
        return max(int(self._journal.head), self._fed)

    @property
    def is_at_end(self) -> bool:
        """Whether the stream is known to hold nothing more."""
        return self._reader.caught_up and not self._counting

    @property
    def is_counting(self) -> bool:
        """Whether the depth is still being counted."""
        return self._counting or not self._begun

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is handed out."""
        return self._reader.closed

    def reconcile(self) -> int:
        """Write off what counts as waiting although the stream has ended, both now and at the last call. Such records
        could not be read, or the journal trimmed them to keep its size limit. Returns how many that were."""
        was_at_end, self._was_at_end = self._was_at_end, self.is_at_end
        if not (was_at_end and self._was_at_end and self.taken >= self._fed):
            return 0
        unreadable, self._unreadable = self._unreadable, 0
        return self._accounts.trim(unreadable) if self._accounts.in_stream > 0 else 0

    def close(self) -> None:
        """Hand out nothing more."""
        self._reader.close()

    def _count(self, records: Sequence[TelemetryRecord]) -> None:
        counted, match = self._accounts.counted, self._match
        last = max(counted, records[-1].seq)
        if self._knows or records[0].seq <= counted:
            known = self._known
            records = [record for record in records if record.seq > counted and record.seq not in known]
        sizes = [len(record.body) for record in records if match(record)]
        self._accounts.count(len(sizes), sum(sizes), last)

    def _count_page(self) -> None:
        after = self._accounts.counted
        self._journal.read_telemetry(after, PAGE).addCallbacks(
            self._page, self._no_page, callbackArgs=(after,)
        ).addErrback(lambda failure: self._log.failure("the backlog could not be counted", failure))

    def _page(self, records: list[TelemetryRecord], after: int) -> None:
        again = self._accounts.counted < after  # `seek` or `reroute` was called meanwhile
        if records and not again:
            lost = sum([record.kind is UNREADABLE and record.seq > after for record in records])
            self._count(records)
            if lost:
                self._accounts.count(lost, 0, self._accounts.counted)
        if self._reader.closed:
            return
        if again or (records and self._accounts.counted < self.last):
            self._count_page()
        else:
            self._all_counted()

    def _no_page(self, failure: Failure) -> None:
        if not self._reader.closed:
            self._log.failure("the backlog could not be counted", failure)
        self._all_counted()

    def _all_counted(self) -> None:
        self._counting = False
        waiters, self._counted_by = self._counted_by, []
        for waiter in waiters:
            waiter.callback(None)
