"""What waits for one integration in the journal's stream, and how much it is.

Every record that its route matches is counted once, when it became durable; so the depth is known although
nobody holds a million records in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.stream import Tail
from iotgw.delivery.accounts import EXPIRED, LOST, Accounts
from iotgw.delivery.known import Known

CAPACITY = 4096
"""Records of the stream in memory, ready to take."""
PAGE = 1000
SWEEP = 20_000
"""Records that one sweep settles at most, so that the reactor has its turn."""

UNREADABLE = Kind.UNREADABLE  # an enum's member is slow to look up

Match = Callable[[TelemetryRecord], bool]


def _weight(record: TelemetryRecord) -> int:
    return len(record.body)


class Backlog:
    """The records after ``taken`` that ``match`` lets through. ``ready()``: there is something to take.

    Many methods: it both hands them out and counts them, because what is handed out before it was counted is counted
    then.
    """

    _log = Logger()

    def __init__(
        self,
        journal: ITelemetryStream,
        accounts: Accounts,
        position: int,
        match: Match,
        ready: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._accounts = accounts
        self._match = match
        self.taken = position
        """The last position that was taken, or passed over."""
        self._known = Known()
        self._knows = False
        """Whether what comes next may be known."""
        self._passed_by: list[TelemetryRecord] = []
        self._unreadable = 0
        self._was_at_end = False
        self._fed = 0
        self._begun = False
        """Until the first `count`, live records are left to it: it goes through all of the stream."""
        self._counting = False
        self._counted_by: list[Deferred[None]] = []
        self._tail: Tail[TelemetryRecord] = Tail(journal.read_telemetry, position, CAPACITY, ready, _weight)

    def lets_through(self, record: TelemetryRecord) -> bool:
        """Whether the integration gets this record."""
        return self._match(record)

    @property
    def next(self) -> TelemetryRecord | None:
        """The next record that may be taken, if it is in memory."""
        return self._tail.peek()

    def read_on(self) -> None:
        """Have records at hand. Where a read failed, it is made again."""
        if not self._tail.behind:
            return
        if self._begun and self._accounts.counted < self.last:
            self.count()
        if self._tail.is_low:
            self._tail.fill()

    def feed(self, records: Sequence[TelemetryRecord]) -> None:
        """Live records, durable, in order."""
        self._fed = records[-1].seq
        if self._begun and not self._counting:
            self._count(records)
        self._tail.offer(records)

    def take(self, limit: int, oldest_ms: int) -> list[TelemetryRecord]:
        """The next records, at most ``limit``; fewer doesn't mean that there are no more. Those received
        before ``oldest_ms`` are expired."""
        taken: list[TelemetryRecord] = []
        accounts, match, known, knows = self._accounts, self._match, self._known, self._knows
        while not taken:
            records = self._tail.take(limit)
            if not records:
                break
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
                accounts.take(len(record.body))
                if record.received_ms < oldest_ms:
                    accounts.settle(seq, EXPIRED, len(record.body))
                else:
                    taken.append(record)
            self.taken = records[-1].seq
        if knows and self.taken >= known.until:
            self._knows = False
        return taken

    def pass_over(self, known: Known) -> None:
        """These positions don't count when they are met again."""
        self._known = known
        self._knows = known.until > 0

    @property
    def done(self) -> int:
        """Up to here a record that is taken was open when the last process ended: it had not been settled."""
        return self._known.done

    def still_open(self) -> tuple[int, list[int]]:
        """Up to where all of the stream came to an end that isn't in flight, and what is known to be open beyond
        what was taken."""
        if not self._knows or self._known.done <= self.taken:
            return self.taken, []
        return self._known.done, self._known.open_after(self.taken)

    def unreadable(self) -> list[TelemetryRecord]:
        """The stand-ins of what could not be read since the last call."""
        passed_by, self._passed_by = self._passed_by, []
        return passed_by

    def _pass_by(self, record: TelemetryRecord) -> None:
        """A record can't be read. Whether it is this integration's nobody knows, but by the count: see `reconcile`."""
        if record.seq > self._accounts.counted:
            self._accounts.count(1, 0, record.seq)
        if self._knows and record.seq in self._known:
            return
        self._accounts.losses.lose(record.seq, LOST)
        self._unreadable += 1
        self._passed_by.append(record)

    def sweep(self, reason_of: Callable[[TelemetryRecord], str | None]) -> int:
        """Settle the oldest records, without sending them, while ``reason_of`` gives an outcome for them;
        returns how many. Stops after `SWEEP`, or where the rest isn't in memory yet."""
        swept = 0
        while swept < SWEEP:
            records = self._tail.take(256)
            if not records:
                break
            for place, record in enumerate(records):
                seq = record.seq
                if record.kind is UNREADABLE:
                    self._pass_by(record)
                elif self._match(record) and not (self._knows and seq in self._known):
                    reason = reason_of(record)
                    if reason is None:
                        self._tail.unread(records[place:])
                        return swept
                    if seq > self._accounts.counted:
                        self._accounts.count(1, len(record.body), seq)
                    self._accounts.take(len(record.body))
                    self._accounts.settle(seq, reason, len(record.body))
                    swept += 1
                self.taken = seq
        return swept

    def seek(self, position: int) -> Deferred[None]:
        """Go on after ``position``, back in the stream; fires when it is known again how much waits."""
        self._accounts.uncount(position)
        self._accounts.losses.forget(position)
        self.taken = position
        self._tail.seek(position)
        return self.count()

    def reroute(self, match: Match) -> Deferred[None]:
        """Let through what ``match`` says from now on; fires when it is known again how much waits."""
        self._match = match
        # Whether the old route let them through is forgotten with it.
        self._accounts.losses.doubt(self.taken)
        self._accounts.uncount(self.taken)
        return self.count()

    def count(self) -> Deferred[None]:
        """Count what the journal holds beyond what was counted; fires when done."""
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
        """The last position that is known to be durable."""
        return max(int(self._journal.head), self._fed)

    @property
    def is_at_end(self) -> bool:
        """Whether the stream holds nothing more as far as anybody knows."""
        return self._tail.caught_up and not self._counting

    @property
    def is_counting(self) -> bool:
        """Whether it isn't known yet how much waits."""
        return self._counting or not self._begun

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is handed out."""
        return self._tail.closed

    def reconcile(self) -> int:
        """When the stream is at its end, now and at the last call, whatever still counts as waiting in it could not
        be read, or was trimmed by the journal (its size limit); returns how many that were."""
        was_at_end, self._was_at_end = self._was_at_end, self.is_at_end
        if not (was_at_end and self._was_at_end and self.taken >= self._fed):
            return 0
        unreadable, self._unreadable = self._unreadable, 0
        return self._accounts.trim(unreadable) if self._accounts.in_stream > 0 else 0

    def close(self) -> None:
        """Hand out nothing more."""
        self._tail.close()

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
        again = self._accounts.counted < after  # somebody sought meanwhile
        if records and not again:
            lost = sum([record.kind is UNREADABLE and record.seq > after for record in records])
            self._count(records)
            if lost:
                self._accounts.count(lost, 0, self._accounts.counted)
        if self._tail.closed:
            return
        if again or (records and self._accounts.counted < self.last):
            self._count_page()
        else:
            self._all_counted()

    def _no_page(self, failure: Failure) -> None:
        if not self._tail.closed:
            self._log.failure("the backlog could not be counted", failure)
        self._all_counted()

    def _all_counted(self) -> None:
        self._counting = False
        waiters, self._counted_by = self._counted_by, []
        for waiter in waiters:
            waiter.callback(None)
