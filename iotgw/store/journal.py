"""A journal as the reactor sees it, whatever database it is in.

Records gather in a `Group` while the writer commits the previous one. When the writer reports, the next group is
handed over. So batches form by themselves: a single message is committed at once, and under load a commit takes all
that arrived during the last one. There is no timer, Deferred, lock or thread hop per message.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.epochs import Epochs
from iotgw.core.errors import Unavailable
from iotgw.core.model import (
    DeliveryState,
    Outcome,
    Parked,
    ParkedState,
    Progress,
    StoredUplink,
    TelemetryRecord,
    Uplink,
)  # fmt: skip
from iotgw.core.ports.journal import IJournal, IJournalListener, Waiter
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.answers import JournalAnswers
from iotgw.store.group import Group, SettledUplinks
from iotgw.store.names import NameTable
from iotgw.store.readers import Query, Readers, T
from iotgw.store.reading import JournalReads
from iotgw.store.space import Space
from iotgw.store.telling import tell
from iotgw.store.writing import CommitReport, GroupWriter, Opened

SAY_AGAIN = 60.0
"""Seconds between two log lines that say that the journal is short of room: with a target that is away, it is so every
second."""
TICK = 1.0
"""Seconds between looks at what isn't urgent: progress, trimming, a disk that was full."""


@implementer(IJournal)
class GroupCommitJournal(JournalAnswers):
    """What the journals of all databases have in common. A subclass gives it its `_writer` and its readers.

    ``max_pending`` records and ``max_pending_bytes`` bytes may wait for the disk; beyond that `room` is False.

    Many methods: those of the port, and one for each stage of a commit.
    """

    _log = Logger()
    _writer: GroupWriter

    def __init__(self, reactor: IThreadedClock, max_pending: int, max_pending_bytes: int) -> None:
        self.epochs = Epochs()
        self.room = False
        self.head = self.last_uplink = self._durable_uplink = 0
        self._reactor = reactor
        self._max_pending = max_pending
        self._max_pending_bytes = max_pending_bytes
        self._names = NameTable()
        self._listener: IJournalListener
        self._pending = Group()
        self._writing: Group | None = None
        self._when_at_rest: list[Callable[[], None]] = []
        self._woken = False
        self._problem, self._space = "", Space()
        self._say_short_at = 0.0
        self._opened: Opened | None = None
        self._stopping: Deferred[None] | None = None
        self._readers = Readers(reactor)
        self._tick = LoopingCall(self._tend)
        self._tick.clock = reactor

    def erase(self, tenant: str, after: int, erased: Callable[[tuple[int, int] | Failure], None]) -> None:
        """See `GroupWriter.erase`."""
        self._writer.erase(tenant, after, erased)

    @abstractmethod
    def _new_reader(self) -> JournalReads:
        """Open a reader, in its thread."""

    def start(self, listener: IJournalListener) -> Deferred[None]:
        """See `IJournal.start`."""
        self._listener = listener
        done: Deferred[None] = Deferred()

        def opened(result: Opened | Failure) -> None:
            if isinstance(result, Failure):
                done.errback(result)
                return
            self._opened = result
            self.head, self.last_uplink = result.head, result.last_uplink
            self._durable_uplink = result.last_uplink
            self.epochs.begin(result.epochs, result.epoch)
            opening = self._readers.open(self._reactor, self._new_reader)
            opening.addCallback(ready).addErrback(done.errback)

        def ready(_: None) -> None:
            self.room = True
            self._tick.start(TICK, now=False)
            done.callback(None)

        self._writer.start(opened)
        return done

    def stop(self) -> Deferred[None]:
        """See `IJournal.stop`. What can't be written any more is refused."""
        if self._stopping is None:
            self._stopping = Deferred()
            self.room = False
            if self._tick.running:
                self._tick.stop()
            if self._opened is None:
                self._stopping.callback(None)
            elif self._writing is None:
                self._finish()
        return self._stopping

    def _finish(self) -> None:
        """Write the rest, then close."""
        if self._pending:
            self._hand_over()
            return
        stopping = cast(Deferred[None], self._stopping)
        self._opened = None
        self._readers.let_go()
        # The writer goes last: the last connection to close tidies up the WAL.
        self._readers.close().addBoth(lambda _: self._writer.stop(lambda: stopping.callback(None)))

    # --- writing ---

    def append(self, uplink: Uplink, token: Waiter) -> int:
        """See `IJournal.append`."""
        self.last_uplink = seq = self.last_uplink + 1
        pending = self._pending
        pending.append(StoredUplink(seq, uplink), token)
        if not self._woken and self._writing is None:
            self._wake()
        if pending.size >= self._max_pending or pending.weight >= self._max_pending_bytes:
            self.room = False
        return seq

    def settle(
        self, datasource: str, cursor: int, outcomes: list[Outcome], haste: bool = True, kept: int = 0, lost: int = 0
    ) -> None:  # fmt: skip
        """See `IJournal.settle`."""
        self._pending.settle(SettledUplinks(datasource, cursor, outcomes, kept, lost), haste)
        if haste and self._writing is None:
            self._wake_later()

    def emit(self, record: TelemetryRecord) -> None:
        """See `IJournal.emit`."""
        self._pending.emit(record)
        self._wake()

    def progress(self, progress: Progress) -> None:
        """See `IJournal.progress`."""
        self._pending.advance(progress)

    def forget(self, integration: str) -> None:
        """See `IJournal.forget`."""
        self._pending.forget(integration)
        self._wake()

    def hold(self, integration: str, max_age: float) -> None:
        """See `IJournal.hold`."""
        self._writer.hold(integration, int(max_age * 1000))

    def keep_clock(self, state: str) -> None:
        """See `IJournal.keep_clock`."""
        self._writer.keep_clock(state)

    def at_rest(self, callback: Callable[[], None]) -> None:
        """See `IJournal.at_rest`."""
        if self._writing is None:
            callback()
        else:
            self._when_at_rest.append(callback)

    def _rest(self) -> None:
        """The writer has nothing left to do."""
        self._writing = None
        waiting, self._when_at_rest = self._when_at_rest, []
        for callback in waiting:
            tell(callback)

    def _wake(self) -> None:
        """Give the idle writer, once, whatever this turn of the reactor brings."""
        if not self._woken and self._writing is None and not self._problem:
            self._woken = True
            self._reactor.callLater(0, self._hand_over)

    def _wake_later(self) -> None:
        """Like `_wake`, but after the reactor has read once more: devices that were just answered may send again and
        be part of the next group. Otherwise two half-empty groups would alternate, and the writer would compete with
        reading for the GIL."""
        if not self._woken and not self._problem:
            self._woken = True
            self._reactor.callLater(0, self._reactor.callLater, 0, self._hand_over)

    def _hand_over(self) -> None:
        self._woken = False
        if self._writing is None and self._opened is not None and (self._pending or self._problem):
            group, self._pending = self._pending, Group()
            self._writing = group
            if group.entries and not self._problem:
                tell(self._listener.storing, group.entries)
            self._writer.write(group, self._now_ms(), probe=bool(self._problem))

    def _tend(self) -> None:
        """Once a second: write what is not urgent, try the disk again, or let the writer trim."""
        if self._writing is None:
            if not self._pending and not self._problem:
                self._writer.tend(self._now_ms())
            self._hand_over()

    def _reported(self, done: CommitReport) -> None:
        """Take the writer's report of a commit.

        The listener is called before the next group is handed over. Otherwise the writer would compete for the GIL
        with the answers that are being sent.
        """
        group = done.group
        if done.committed is None:
            self._rest()
            self._failed(done)
            return
        if self._problem:
            self._log.info("the journal can be written again")
            self._problem = ""
        if group.entries:
            self._durable_uplink = group.entries[-1][0].seq
        self.head = done.committed.head
        if done.unfit:
            tell(self._listener.refused, done.unfit, "it can't be stored")
        if group.entries:
            tell(self._listener.stored, group.entries)
        if done.committed.outcomes or done.committed.records:
            tell(self._listener.settled, done.committed.outcomes, done.committed.records)
        for waiter in group.waiters:
            waiter.callback(None)
        self._rest()
        if self._pending.urgent:
            self._wake_later()
        self._look_for_room()
        if self._pending.weight < self._max_pending_bytes:
            self._readers.let_go()
        if self._stopping is not None and self._writing is None:
            self._finish()

    def _failed(self, done: CommitReport) -> None:
        """Nothing in the group is durable. Its uplinks are refused; everything else waits for the disk."""
        if not self._problem:
            self._log.error("the journal can't be written: {problem}", problem=done.problem)
        self._problem = done.problem
        self.room = False
        refused = [*done.unfit, *done.group.entries]
        done.group.keep_for(self._pending)
        if refused:
            tell(self._listener.refused, refused, done.problem)
        if self._stopping is not None:
            self._give_up()
            self._finish()

    def _give_up(self) -> None:
        """The journal is closing and can't write the rest. It is converted and delivered again after the next
        start."""
        group, self._pending = self._pending, Group()
        if group.entries:
            tell(self._listener.refused, group.entries, self._problem)
        if group.results:
            self._log.warn("outcomes could not be written; their uplinks will be converted again")
        for waiter in group.waiters:
            waiter.errback(Unavailable(f"the journal can't be written: {self._problem}"))

    def _spaced(self, space: Space) -> None:
        """Less of the size limit is left, or more."""
        before, self._space = self._space, space
        if space.full and not before.full:
            self.room = False
            self._log.error("the journal is full, and nothing in it may be deleted yet; uplinks are refused")
        if space.short and not before.short and self._reactor.seconds() >= self._say_short_at:
            self._say_short_at = self._reactor.seconds() + SAY_AGAIN
            self._log.warn(
                "the journal is at its size limit; integrations have to give up their oldest messages"
            )
        if not space.full:
            self._look_for_room()

    def _damaged(self, table: str, first: int, last: int, what: str) -> None:
        """Damage keeps something from being written or deleted."""
        self._readers.damage.append(what)
        tell(self._listener.damaged, table, first, last, what)

    def _look_for_room(self) -> None:
        if self.room or self._space.full or self._problem or self._stopping is not None:
            return
        pending = self._pending
        if pending.size <= self._max_pending // 2 and pending.weight <= self._max_pending_bytes // 2:
            self.room = True
            tell(self._listener.room_again)

    def _now_ms(self) -> int:
        return int(self._reactor.seconds() * 1000)

    @property
    def problem(self) -> str:
        """See `IUplinkStream.problem`."""
        if self._problem or self._space.full:
            return (
                self._problem or "full: what waits to be converted or delivered takes too much of max-bytes"
            )
        return "" if self.room else "too much waits for the disk"

    @property
    def short(self) -> int:
        """See `ITelemetryStream.short`."""
        return self._space.short

    # --- reading ---

    def read_uplinks(self, datasource: str, after: int, limit: int) -> Deferred[list[StoredUplink]]:
        """See `IJournal.read_uplinks`."""
        last = self._durable_uplink
        return self._read_stream(lambda reader: reader.uplinks(datasource, after, last, limit))

    def read_telemetry(self, after: int, limit: int) -> Deferred[list[TelemetryRecord]]:
        """See `IJournal.read_telemetry`."""
        last = self.head
        return self._read_stream(lambda reader: reader.telemetry(after, last, limit))

    def read_parked(
        self, integration: str, state: DeliveryState | None, after: int, limit: int
    ) -> Deferred[list[Parked]]:
        """See `IJournal.read_parked`."""
        return self._after_progress(lambda reader: reader.parked(integration, state, after, limit))

    def parked_among(
        self, wanted: Mapping[str, Sequence[int]]
    ) -> Deferred[dict[tuple[str, int], ParkedState]]:
        """See `IJournal.parked_among`."""
        return self._after_progress(lambda reader: reader.among(wanted))

    def parked_behind(self, integration: str, device: str, after: int, limit: int) -> Deferred[list[Parked]]:
        """See `IJournal.parked_behind`."""
        return self._after_progress(lambda reader: reader.behind(integration, device, after, limit))

    def stats(self) -> Deferred[dict[str, Any]]:
        """See `IJournal.stats`."""
        pending = self._pending.size + (self._writing.size if self._writing is not None else 0)
        state = {"room": self.room, "problem": self.problem, "pending": pending, "short": self.short > 0}
        return self._readers.stats().addCallback(lambda found: {**found, **state})

    def _read_stream(self, query: Query[T]) -> Deferred[T]:
        """Read records that a consumer will work on, up to the position that was announced when this was requested, whatever
        is committed when it runs. So a consumer that also hears of live records neither misses one nor gets one twice.

        While too many results of earlier work wait for the disk, reads wait as well.
        """
        if self._pending.weight < self._max_pending_bytes or self._opened is None:
            return self._readers.stream(query)
        return self._readers.stream_later(query)

    def _after_progress(self, query: Query[T]) -> Deferred[T]:
        """Read parked deliveries once queued changes to them are written, so that nobody sees the state before."""
        return self.committed().addCallback(lambda _: self._readers.stream(query))

    def committed(self) -> Deferred[None]:
        """See `IJournal.committed`."""
        return self._once_written(lambda group: bool(group.progress or group.forgotten))

    def durable(self) -> Deferred[None]:
        """See `IJournal.durable`."""
        return self._once_written(bool)

    def _once_written(self, concerns: Callable[[Group], bool]) -> Deferred[None]:
        for group in (self._pending, self._writing):
            if group is not None and concerns(group):
                self._wake()
                return group.once_written()
        return succeed(None)
