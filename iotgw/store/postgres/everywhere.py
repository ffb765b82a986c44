"""What users see of the messages of all nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.epochs import Epoch, Epochs
from iotgw.core.failures import FailureGroup, FoundFailures
from iotgw.core.message_query import FoundMessages, Instant, MessageQuery
from iotgw.core.model import Counters, Message, ParkedState, State
from iotgw.core.places import befores, is_walk, part_of, place, seq_of, walk, walk_of, walk_text
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import Flow, Held, IHistory, IMessages
from iotgw.core.ports.live import HappenedElsewhere
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.series import FoundSeries, SeriesQuery
from iotgw.core.times import DateMs, SteadyMs
from iotgw.store.postgres.connection import Address
from iotgw.store.postgres.every_reader import EveryReader
from iotgw.store.postgres.lookout import Lookout
from iotgw.store.worker import StoreThread

T = TypeVar("T")


class EveryEpochs(Epochs):
    """Names the messages of all partitions, and the places where lists of them go on. Keys of deliveries are the own partition's alone."""

    def __init__(self, own: Epochs) -> None:
        super().__init__()
        self._own = own
        self._others: dict[int, Epochs] = {}

    def learn(self, epochs: Mapping[int, list[Epoch]]) -> None:
        """These are the epochs of the other partitions, oldest first."""
        for part, found in epochs.items():
            self._others.setdefault(part, Epochs()).begin(found[:-1], found[-1])

    def message_id(self, seq: int) -> str:
        """See `Epochs.message_id`."""
        if is_walk(seq):
            return walk_text(seq)
        part = part_of(seq)
        return self._others[part].message_id(seq_of(seq)) if part else self._own.message_id(seq)

    def position(self, id: str) -> int | None:
        """See `Epochs.position`."""
        found = self._own.position(id)
        if found is not None:
            return found
        for part, epochs in self._others.items():
            seq = epochs.position(id)
            if seq is not None:
                return place(part, seq)
        return walk_of(id)


@implementer(IHistory)
class EveryPartition:
    """An `IHistory`. ``own`` is the process's own journal, in the partition ``part``, which answers alone where ``is_alone`` says that there is no other.

    Many methods: those of both ports.
    """

    def __init__(
        self, reactor: IThreadedClock, address: Address, own: IMessages, part: Callable[[], int], is_alone: Callable[[], bool], calendar: ICalendar
    ) -> None:  # fmt: skip
        self._reactor = reactor
        self._own = own
        self._part = part
        self._is_alone = is_alone
        self._calendar = calendar
        self._reader = EveryReader(address, part)
        self._thread: StoreThread | None = None
        self._lookout: Lookout | None = None
        self.epochs = EveryEpochs(own.epochs)

    def stop(self) -> Deferred[None]:
        """See `IHistory.stop`."""
        thread, self._thread = self._thread, None
        return succeed(None) if thread is None else thread.end(self._reader.close)

    def _ask(self, query: Callable[[EveryReader], T]) -> Deferred[T]:
        if self._thread is None:
            self._thread = StoreThread(self._reactor, "all-partitions")

        def ask() -> tuple[T, dict[int, list[Epoch]]]:
            return self._reader.ask(query), self._reader.epochs

        def answered(found: tuple[T, dict[int, list[Epoch]]]) -> T:
            self.epochs.learn(found[1])
            return found[0]

        return self._thread.call(ask).addCallback(answered)

    def _is_own(self, position: int) -> bool:
        return not is_walk(position) and not part_of(position)

    # --- IMessages

    @property
    def head(self) -> int:
        """See `IMessages.head`."""
        return self._own.head

    @property
    def faults(self) -> list[str]:
        """See `IMessages.faults`."""
        return self._own.faults

    def where(self, id: str) -> Deferred[int | None]:
        """See `IMessages.where`."""
        found = self.epochs.position(id)
        if found is not None or self._is_alone():
            return succeed(found)
        return self._ask(lambda _: None).addCallback(lambda _: self.epochs.position(id))

    def message(self, seq: int) -> Deferred[Message | None]:
        """See `IMessages.message`."""
        if self._is_own(seq):
            return self._own.message(seq)
        return self._ask(lambda reader: reader.message(part_of(seq), seq_of(seq)))

    def messages(
        self, tenant: str, before: int, limit: int, datasource: str | None = None, state: State | None = None,
        device: str | None = None,
    ) -> Deferred[list[Message]]:  # fmt: skip
        """See `IMessages.messages`: of the own partition."""
        return self._own.messages(tenant, before, limit, datasource, state, device)

    def search(self, query: MessageQuery, before: int, limit: int) -> Deferred[FoundMessages]:
        """See `IMessages.search`. Where telemetry positions are asked for, they are the own partition's."""
        if query.records is not None or (self._is_alone() and self._is_own(before)):
            return self._own.search(query, before, limit)

        def ask(reader: EveryReader) -> FoundMessages:
            starts, other = self._starts(reader, before)
            messages, left, looked_back_to = reader.search(query, starts, limit, other)
            return FoundMessages(messages, walk(left), looked_back_to)

        return self._ask(ask)

    def _starts(self, reader: EveryReader, before: int) -> tuple[dict[int, int], tuple[int, DateMs] | None]:
        """Before which positions a list goes on; and a partition and a date, before which messages of the others are."""
        if is_walk(before):
            return befores(before), None
        part = part_of(before) or self._part()
        starts, date_ms = reader.starts((part, seq_of(before)) if before else None)
        return starts, None if date_ms is None else (part, date_ms)

    def quarantined(self, after: int, limit: int) -> Deferred[list[Held]]:
        """See `IMessages.quarantined`: of the own partition."""
        return self._own.quarantined(after, limit)

    def series(self, query: SeriesQuery, before: int, limit: int) -> Deferred[FoundSeries]:
        """See `IMessages.series`."""
        if self._is_alone() and self._is_own(before):
            return self._own.series(query, before, limit)

        def ask(reader: EveryReader) -> FoundSeries:
            found, left = reader.series(query, self._starts(reader, before)[0], limit)
            return replace(found, next=walk(left))

        return self._ask(ask)

    def failures(self, query: MessageQuery, before: int) -> Deferred[FoundFailures]:
        """See `IMessages.failures`."""
        if self._is_alone() and self._is_own(before):
            return self._own.failures(query, before)

        def ask(reader: EveryReader) -> FoundFailures:
            found, left = reader.failures(query, self._starts(reader, before)[0])
            return replace(found, next=walk(left))

        return self._ask(ask)

    def dead_deliveries(
        self, query: MessageQuery, integrations: tuple[str, ...]
    ) -> Deferred[list[FailureGroup]]:
        """See `IMessages.dead_deliveries`."""
        if self._is_alone():
            return self._own.dead_deliveries(query, integrations)
        return self._ask(lambda reader: reader.dead_deliveries(query, integrations))

    def flow(self, since_ms: SteadyMs, until_ms: SteadyMs, step_ms: int) -> Deferred[list[Flow]]:
        """See `IMessages.flow`."""
        if self._is_alone():
            return self._own.flow(since_ms, until_ms, step_ms)
        since = Instant(self._calendar.date_ms(since_ms), since_ms)
        until = Instant(self._calendar.date_ms(until_ms), until_ms)
        return self._ask(lambda reader: reader.flow(since, until, step_ms))

    def stats(self) -> Deferred[dict[str, Any]]:
        """See `IMessages.stats`: of the own partition."""
        return self._own.stats()

    # --- IHistory

    def happened(self, messages: bool, events: bool) -> Deferred[HappenedElsewhere]:
        """See `IHistory.happened`."""
        if self._is_alone():
            return succeed(HappenedElsewhere())
        if self._lookout is None:
            self._lookout = Lookout(self._part())
        look = self._lookout.look
        return self._ask(lambda reader: look(reader, messages, events))

    # --- IElsewhere

    def progress(self, part: int) -> Deferred[dict[str, tuple[int, Counters]]]:
        """See `IElsewhere.progress`."""
        return self._ask(lambda reader: reader.progress(part))

    def parked_among(
        self, part: int, wanted: Mapping[str, Sequence[int]]
    ) -> Deferred[dict[tuple[str, int], ParkedState]]:
        """See `IElsewhere.parked_among`."""
        now_ms = self._calendar.now_ms()
        now = Instant(now_ms, self._calendar.moment_ms(now_ms))
        return self._ask(lambda reader: reader.among(part, wanted, now))
