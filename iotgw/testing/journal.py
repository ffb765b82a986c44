"""`IJournal` in memory: the two streams with their cursors, committed in the next turn of the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from msgspec import Struct, json
from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from iotgw.core.epochs import Epoch, Epochs
from iotgw.core.model import (
    DEFAULT_TENANT,
    Counters,
    DeliveryState,
    Outcome,
    Parked,
    ParkedState,
    Progress,
    StoredUplink,
    TelemetryRecord,
    Uplink,
)
from iotgw.core.ports.journal import Entries, Held, IJournal, IJournalListener, Waiter
from iotgw.core.times import DateMs, SteadyMs
from iotgw.testing.journal_answers import MemoryAnswers
from iotgw.testing.journal_storage import Storage
from iotgw.testing.reactor import clock as new_clock

T = TypeVar("T")


class Silent:
    """A listener of a journal that hears nothing."""

    def _hear(self, *what: Any) -> None:
        """Nothing."""

    storing = stored = refused = settled = room_again = damaged = _hear


class _Group(Struct):
    """What is committed together."""

    entries: Entries = []
    settlements: list[tuple[str, int, list[Outcome], int, int]] = []
    events: list[TelemetryRecord] = []

    def __bool__(self) -> bool:
        return bool(self.entries or self.settlements or self.events)


@implementer(IJournal)
class MemoryJournal(MemoryAnswers):
    """A journal on a clock: queued records are being written in the next turn, and durable in the one after.

    ``storage`` is what is durable, and what another journal can be opened on; a copy of it is what a crash leaves.
    ``epoch`` names the storage's first epoch. While ``problem`` says something, nothing is stored and uplinks are refused for that reason. ``held`` are the ages
    that `hold` was told.

    Many methods: it has the three parts of the journal's port.
    """

    def __init__(
        self, clock: IReactorTime | None = None, storage: Storage | None = None, epoch: str = "e1"
    ) -> None:
        self._clock = clock or new_clock()
        self.storage = Storage() if storage is None else storage
        self.room = True
        self.spillers: dict[str, bool] = {}
        """What `when_away` was told."""
        self.is_away = False
        """Whether there is no room as the database is away."""
        self.problem = ""
        self.short = 0
        self.faults: list[str] = []
        self.held: dict[str, float] = {}
        self.looks = 100_000
        self.last_uplink = self.storage.last_uplink
        self.head = self.storage.head
        self.epochs = Epochs()
        self._open_epoch(epoch)
        self._cursors, self._integrations = dict(self.storage.cursors), dict(self.storage.integrations)
        self._unconverted = sorted(
            {
                uplink.datasource
                for seq, uplink in self.storage.uplinks.items()
                if seq > self._cursors.get(uplink.datasource, 0)
            }
        )
        self._counts: dict[str, dict[str, int]] = {}
        for seq, uplink in self.storage.uplinks.items():
            counts = self._counts.setdefault(uplink.datasource, {})
            for word in {"received", self.storage.state(seq).name.lower()}:
                counts[word] = counts.get(word, 0) + 1
        self._listener: IJournalListener | Silent = Silent()
        self._pending = _Group()
        self._writing: _Group | None = None
        self._woken = False
        self._when_at_rest: list[Callable[[], None]] = []
        self._closed = False

    def _open_epoch(self, name: str) -> None:
        self._epoch, earlier = name, self.storage.epochs
        current = Epoch(f"{name}x{len(earlier)}" if earlier else name, self.last_uplink, self.head)
        self.epochs.begin(list(earlier), current)
        earlier.append(current)

    def crashed(self) -> Self:
        """Another journal, on what is durable now."""
        return type(self)(self._clock, self.storage.copy(), self._epoch)

    def put(self, records: Sequence[TelemetryRecord]) -> None:
        """Put records into the telemetry stream as they are, without an uplink; nobody is told."""
        self.storage.records |= {record.seq: record for record in records}
        self.head = max([self.head, *(record.seq for record in records)])

    # --- life ---

    def start(self, listener: IJournalListener) -> Deferred[None]:
        """See `IJournal.start`."""
        self._listener = listener
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See `IJournal.stop`."""
        self.flush()
        self._closed = True
        self.room = False
        return succeed(None)

    # --- committing ---

    def flush(self) -> None:
        """Make everything durable now."""
        while self._writing is not None or self._pending:
            self.turn()

    def turn(self) -> None:
        """One turn of the writer: records being written become durable, or else queued ones begin to be
        written."""
        self._woken = False
        if self._writing is not None:
            self._commit(self._writing)
        elif self._pending:
            self._writing, self._pending = self._pending, _Group()
            if self._writing.entries and not self.problem:
                self._listener.storing(self._writing.entries)
        self._wake()

    def _wake(self) -> None:
        if not self._woken and not self._closed and (self._writing is not None or self._pending):
            self._woken = True
            self._clock.callLater(0, self._woke)

    def _woke(self) -> None:
        if self._woken:
            self.turn()

    def _commit(self, group: _Group) -> None:
        if self.problem:
            if group.entries:
                self._listener.refused(group.entries, self.problem)
        else:
            self.storage.uplinks |= {stored.seq: stored.uplink for stored, _ in group.entries}
            outcomes, records = self._settle(group)
            if group.entries:
                self._listener.stored(group.entries)
            if outcomes or records:
                self._listener.settled(outcomes, records)
        self._writing = None
        waiting, self._when_at_rest = self._when_at_rest, []
        for callback in waiting:
            callback()

    def _settle(self, group: _Group) -> tuple[list[Outcome], list[TelemetryRecord]]:
        storage, records = self.storage, list[TelemetryRecord]()
        outcomes: list[Outcome] = []
        for datasource, cursor, settled, kept, lost in group.settlements:
            before = storage.cursors.get(datasource, 0)
            storage.cursors[datasource] = max(before, cursor)
            for outcome in settled:
                made = self._records(datasource, outcome)
                storage.outcomes[outcome.seq], storage.made[outcome.seq] = outcome, tuple(made)
                outcomes.append(outcome)
                records += made
            done = {seq for seq, uplink in storage.uplinks.items() if uplink.datasource == datasource}
            for count, where in ((kept, storage.kept), (lost, storage.lost)):
                where |= {seq for seq in done if count and before < seq <= cursor}
        records += [self._record(event) for event in group.events]
        return outcomes, records

    def _records(self, datasource: str, outcome: Outcome) -> list[TelemetryRecord]:
        gone = Uplink(DEFAULT_TENANT, datasource, DateMs(self._now_ms()), b"", b"{}")
        uplink = self.storage.uplinks.get(outcome.seq, gone)
        at_ms = outcome.received_ms or uplink.received_ms
        return [
            self._record(
                TelemetryRecord(
                    0,
                    outcome.seq,
                    uplink.tenant,
                    datasource,
                    at_ms,
                    each.device_name,
                    each.device_type,
                    each.body,
                )
            )
            for each in outcome.outputs
        ]

    def _record(self, record: TelemetryRecord) -> TelemetryRecord:
        self.head += 1
        self.storage.records[self.head] = placed = replace(record, seq=self.head)
        return placed

    # --- IUplinkStream ---

    def when_away(self, datasource: str, spills: bool) -> None:
        """See `IUplinkStream.when_away`."""
        self.spillers[datasource] = spills

    def spills(self, datasource: str) -> bool:
        """See `IUplinkStream.spills`."""
        return not self.room and self.is_away and self.spillers.get(datasource, False)

    def append(self, uplink: Uplink, token: Waiter) -> int:
        """See `IUplinkStream.append`."""
        self.last_uplink += 1
        self._pending.entries.append((StoredUplink(self.last_uplink, uplink), token))
        self._wake()
        return self.last_uplink

    def settle(
        self,
        datasource: str,
        cursor: int,
        outcomes: list[Outcome],
        haste: bool = True,
        kept: int = 0,
        lost: int = 0,
    ) -> None:
        """See `IUplinkStream.settle`."""
        self._pending.settlements.append((datasource, cursor, outcomes, kept, lost))
        if haste:
            self._wake()
        else:
            self._clock.callLater(1.0, self._wake)

    def at_rest(self, callback: Callable[[], None]) -> None:
        """See `IUplinkStream.at_rest`."""
        if self._writing is None:
            callback()
        else:
            self._when_at_rest.append(callback)

    def make_room(self) -> None:
        """For a test that set `room` to False."""
        self.room = True
        self._listener.room_again()

    def conversion_cursors(self) -> dict[str, int]:
        """See `IUplinkStream.conversion_cursors`."""
        return self._cursors

    def unconverted(self) -> list[str]:
        """See `IUplinkStream.unconverted`."""
        return self._unconverted

    def counts(self) -> dict[str, dict[str, int]]:
        """See `IUplinkStream.counts`."""
        return self._counts

    def durable(self) -> Deferred[None]:
        """See `IUplinkStream.durable`. It is at once."""
        self.flush()
        return succeed(None)

    def latest_keys(self, datasource: str, limit: int) -> Deferred[list[tuple[str, int]]]:
        """See `IUplinkStream.latest_keys`."""
        uplinks = [
            (seq, uplink) for seq, uplink in self.storage.uplinks.items() if uplink.datasource == datasource
        ]
        found = [(json.decode(uplink.metadata).get("uplinkKey"), seq) for seq, uplink in uplinks[-limit:]]
        return self._read([(key, seq) for key, seq in found if isinstance(key, str)])

    def read_uplinks(self, datasource: str, after: int, limit: int) -> Deferred[list[StoredUplink]]:
        """See `IUplinkStream.read_uplinks`."""
        found = [
            StoredUplink(seq, uplink)
            for seq, uplink in self.storage.uplinks.items()
            if uplink.datasource == datasource and seq > after
        ]
        return self._read(found[:limit])

    # --- ITelemetryStream ---

    def emit(self, record: TelemetryRecord) -> None:
        """See `ITelemetryStream.emit`."""
        self._pending.events.append(record)
        self._wake()

    def progress(self, progress: Progress) -> None:
        """See `ITelemetryStream.progress`. Durable at once."""
        id = progress.integration
        self.storage.integrations[id] = (progress.cursor, progress.counters)
        self.storage.parked |= {(id, each.record.seq): each for each in progress.parked}
        for seq in progress.released:
            self.storage.parked.pop((id, seq), None)

    def committed(self) -> Deferred[None]:
        """See `ITelemetryStream.committed`."""
        return succeed(None)

    def hold(self, integration: str, max_age: float) -> None:
        """See `ITelemetryStream.hold`."""
        self.held[integration] = max_age

    def keep_clock(self, state: str) -> None:
        """See `IJournal.keep_clock`."""
        self.clock = state

    def integrations(self) -> dict[str, tuple[int, Counters]]:
        """See `ITelemetryStream.integrations`."""
        return self._integrations

    def lent(self) -> frozenset[str]:
        """See `ITelemetryStream.lent`: a memory is lent to nobody."""
        return frozenset()

    def take_back(self, integration: str) -> Deferred[tuple[int, Counters] | None]:
        """See `ITelemetryStream.take_back`."""
        return succeed(self.storage.integrations.get(integration))

    def forget(self, integration: str) -> None:
        """See `ITelemetryStream.forget`."""
        self.storage.integrations.pop(integration, None)
        parked = self.storage.parked
        self.storage.parked = {key: each for key, each in parked.items() if key[0] != integration}

    def read_telemetry(self, after: int, limit: int) -> Deferred[list[TelemetryRecord]]:
        """See `ITelemetryStream.read_telemetry`."""
        return self._read([record for seq, record in self.storage.records.items() if seq > after][:limit])

    def read_parked(
        self, integration: str, state: DeliveryState | None, after: int, limit: int
    ) -> Deferred[list[Parked]]:
        """See `ITelemetryStream.read_parked`."""
        found = self._parked(integration, after)
        return self._read([each for each in found if state in (None, each.state)][:limit])

    def parked_among(
        self, wanted: Mapping[str, Sequence[int]]
    ) -> Deferred[dict[tuple[str, int], ParkedState]]:
        """See `ITelemetryStream.parked_among`."""
        return self._read(
            {
                key: ParkedState(each.state, each.attempts, each.next_try_ms, each.error, each.tries)
                for key, each in self.storage.parked.items()
                if key[1] in wanted.get(key[0], ())
            }
        )

    def parked_behind(self, integration: str, device: str, after: int, limit: int) -> Deferred[list[Parked]]:
        """See `ITelemetryStream.parked_behind`."""
        found = self._parked(integration, after)
        return self._read(
            [
                each
                for each in found
                if each.record.device_name == device and each.state is not DeliveryState.DEAD
            ][:limit]
        )

    def _parked(self, integration: str, after: int) -> list[Parked]:
        parked = sorted(self.storage.parked.items(), key=lambda item: item[0])
        return [each for (id, seq), each in parked if id == integration and seq > after]

    def time_to_seq(self, ts_ms: DateMs, moment_ms: SteadyMs) -> Deferred[int]:
        """See `ITelemetryStream.time_to_seq`."""
        later = (seq for seq, record in self.storage.records.items() if record.received_ms >= ts_ms)
        return self._read(next(later, self.head + 1))

    # --- IMessages ---

    def quarantined(self, after: int, limit: int) -> Deferred[list[Held]]:
        """See `IMessages.quarantined`."""
        return self._read(self.storage.waiting(after)[:limit])

    def stats(self) -> Deferred[dict[str, Any]]:
        """See `IMessages.stats`."""
        tally = {**self.storage.tally(), "room": self.room, "problem": self.problem}
        return self._read({**tally, "pending": len(self._pending.entries)})

    def _now_ms(self) -> int:
        return int(self._clock.seconds() * 1000)
