"""Reads all partitions of a database, on one connection, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from iotgw.core.clock import Calendar, KeptClock
from iotgw.core.epochs import Epoch
from iotgw.core.failures import FailureGroup, FoundFailures, merged
from iotgw.core.message_query import LOOK, FoundMessages, Instant, MessageQuery
from iotgw.core.model import Counters, Message, ParkedState
from iotgw.core.places import place
from iotgw.core.ports.journal import Flow
from iotgw.core.series import FoundSeries, SeriesQuery, SeriesValue, buckets
from iotgw.core.times import DateMs, SteadyMs
from iotgw.store.names import NameTable
from iotgw.store.postgres.connection import Address, Connection, sql
from iotgw.store.postgres.history import RECORDS
from iotgw.store.postgres.merging import Lane, MergedMessages
from iotgw.store.postgres.reader import PartitionQueries
from iotgw.store.postgres.rows import Row
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.postgres.writer import clock_of

T = TypeVar("T")
_PARTS = "SELECT id, uplink, telemetry FROM partition WHERE owner_epoch > 0 ORDER BY id"
_NAMES = """SELECT part, id, text FROM name JOIN unnest(%s::int[], %s::int[]) AS known(part, last) USING (part) WHERE id > last"""
_EPOCHS = "SELECT part, name, uplink, telemetry FROM epoch ORDER BY part, uplink, telemetry"
_CLOCKS = "SELECT key, value FROM fact WHERE key = ANY(%s::text[])"
_PROGRESS = "SELECT id, cursor, counters FROM integration WHERE part = %(part)s"
_FAR_MS = 1 << 50
_clock = msgspec.json.Decoder(KeptClock).decode
_counters = msgspec.json.Decoder(Counters).decode


class PartitionView:
    """One partition as it is now. ``uplink`` and ``telemetry`` are its last positions."""

    def __init__(self, part: int, rows: Callable[..., list[Row]]) -> None:
        self.part = part
        self.uplink = self.telemetry = 0
        self.names = NameTable()
        self.last_name = 0
        self.queries = PartitionQueries(rows, self.names)
        self.calendar: Calendar | None = None
        """The calendar of the node whose partition it is; None where it has kept nothing of it."""

    def moment_ms(self, date_ms: DateMs) -> SteadyMs:
        """What the node's own time was at a date."""
        return self.calendar.moment_ms(date_ms) if self.calendar is not None else SteadyMs(date_ms)

    def instant(self, instant: Instant | None) -> Instant | None:
        """A date with the time that the node had then."""
        return None if instant is None else Instant(instant.date_ms, self.moment_ms(instant.date_ms))

    def understood(self, query: MessageQuery) -> MessageQuery:
        """A query in the node's own time."""
        return replace(query, since=self.instant(query.since), until=self.instant(query.until))


class EveryReader:
    """Answers queries of all partitions. Their messages have places (`iotgw.core.places`); in its own partition, whose number ``own`` tells, that is
    for others to say. Used in one thread only."""

    def __init__(self, address: Address, own: Callable[[], int]) -> None:
        self._session = DatabaseSession(address)
        self._own = own
        self._views: dict[int, PartitionView] = {}
        self.db: Connection
        """The connection, within a query."""
        self.epochs: dict[int, list[Epoch]] = {}
        """The epochs of each other partition, oldest first, as of the last query."""

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def ask(self, query: Callable[[EveryReader], T]) -> T:
        """Run a query, knowing which partitions there are. Raises Unavailable where the database is away."""

        def run(db: Connection) -> T:
            self.db = db
            self._look()
            return query(self)

        return self._session.run(run)

    def _look(self) -> None:
        """See which partitions there are, and what is new in them."""
        for part, uplink, telemetry in self.db.execute(_PARTS):
            view = self._views.get(part)
            if view is None:
                view = self._views[part] = PartitionView(part, self._rows_of(part))
            view.uplink, view.telemetry = uplink, telemetry
        known = [*self._views], [view.last_name for view in self._views.values()]
        for part, number, text in self.db.execute(_NAMES, known, binary=True):
            view = self._views[part]
            view.names.load([(number, text.decode())])
            view.last_name = max(view.last_name, number)
        self.epochs = {}
        for part, *epoch in self.db.execute(_EPOCHS):
            if part != self._own():
                self.epochs.setdefault(part, []).append(Epoch(*epoch))
        keys = {clock_of(part): part for part in self._views}
        for key, value in self.db.execute(_CLOCKS, ([*keys],), binary=True):
            self._views[keys[key]].calendar = _calendar(bytes(value))

    def _rows_of(self, part: int) -> Callable[..., list[Row]]:
        def rows(query: str, **values: Any) -> list[Row]:
            values["part"] = part
            return self.db.execute(sql(query), values, binary=True).fetchall()

        return rows

    def _place(self, part: int, seq: int) -> int:
        return seq if part == self._own() else place(part, seq)

    def view(self, part: int) -> PartitionView | None:
        """A partition; None where there is none of this number."""
        return self._views.get(part)

    # --- what is asked

    def message(self, part: int, seq: int) -> Message | None:
        """The message at a position of a partition."""
        view = self.view(part)
        found = view.queries.search.message(seq) if view is not None else None
        return None if found is None else replace(found, seq=self._place(part, seq))

    def starts(self, before: tuple[int, int] | None) -> tuple[dict[int, int], DateMs | None]:
        """Where a list of all partitions begins that goes on with what is older than a message, its partition and position; or with the newest. With the
        date before which messages of the other partitions are."""
        ends = {part: view.uplink + 1 for part, view in self._views.items()}
        if before is None or before[0] not in ends:
            return ends, None
        part, seq = before
        ends[part] = seq
        date_ms = self._views[part].queries.search.time(MessageQuery(tenant=""), seq)
        return ends, date_ms or None

    def search(
        self,
        query: MessageQuery,
        befores: Mapping[int, int],
        limit: int,
        other: tuple[int, DateMs] | None = None,
    ) -> tuple[list[Message], dict[int, int], DateMs]:
        """Messages before these positions, newest first; the positions before which the list goes on; and since when all was looked at. With ``other``, the
        messages of all partitions but this one were received before this date."""
        lanes = []
        for part, before in befores.items():
            view = self.view(part)
            if view is None:
                continue
            asked = query
            if other is not None and part != other[0]:
                date_ms = min(other[1], query.until.date_ms) if query.until is not None else other[1]
                asked = replace(query, until=Instant(date_ms, SteadyMs(date_ms)))
            lanes.append(Lane(part, before, self._fetch(view, view.understood(asked), LOOK // len(befores))))
        page = MergedMessages(lanes, limit)
        found = [replace(message, seq=self._place(part, message.seq)) for part, message in page.found]
        return found, page.befores, page.looked_back_to

    def _fetch(
        self, view: PartitionView, query: MessageQuery, cost: int
    ) -> Callable[[int, int], FoundMessages]:
        return lambda before, limit: view.queries.search.find(query, before, limit, cost)

    def series(
        self, query: SeriesQuery, befores: Mapping[int, int], limit: int
    ) -> tuple[FoundSeries, dict[int, int]]:
        """Readings of messages before these positions, and the positions before which they go on."""
        single = replace(query, every_ms=0)
        most = min(limit, RECORDS) if query.every_ms else limit
        readings: dict[str, list[SeriesValue]] = {}
        left: dict[int, int] = {}
        ends: dict[int, DateMs] = {}
        for part, before in befores.items():
            if (view := self.view(part)) is None:
                continue
            asked = replace(single, since=view.instant(single.since))
            found = view.queries.series.find(asked, before, most, LOOK // len(befores))
            for key, values in found.readings.items():
                readings.setdefault(key, []).extend(values)
            ends[part] = found.looked_back_to
            if found.next:
                left[part] = found.next
        for values in readings.values():
            values.sort(key=lambda value: value.ts)
        in_buckets = buckets(query, readings) if query.every_ms else {}
        return FoundSeries(in_buckets, {} if query.every_ms else readings, 0, _back_to(ends, left)), left

    def failures(
        self, query: MessageQuery, befores: Mapping[int, int]
    ) -> tuple[FoundFailures, dict[int, int]]:
        """Groups of failed messages before these positions, and the positions before which they go on."""
        groups: list[FailureGroup] = []
        left: dict[int, int] = {}
        ends: dict[int, DateMs] = {}
        for part, before in befores.items():
            if (view := self.view(part)) is None:
                continue
            found = view.queries.failing.conversions(view.understood(query), before)
            groups += self._placed(part, found.groups)
            ends[part] = found.looked_back_to
            if found.next:
                left[part] = found.next
        return FoundFailures(merged(groups), 0, _back_to(ends, left)), left

    def dead_deliveries(self, query: MessageQuery, integrations: tuple[str, ...]) -> list[FailureGroup]:
        """See `IMessages.dead_deliveries`."""
        groups: list[FailureGroup] = []
        for part, view in self._views.items():
            groups += self._placed(part, view.queries.failing.deliveries(query, integrations))
        return merged(groups)

    def _placed(self, part: int, groups: Sequence[FailureGroup]) -> list[FailureGroup]:
        return [replace(group, sample=self._place(part, group.sample)) for group in groups]

    def flow(self, since: Instant, until: Instant, step_ms: int) -> list[Flow]:
        """See `IMessages.flow`; what comes is in steps of this node's time, to the nearest one."""
        found: dict[int, Flow] = {}
        for part, view in self._views.items():
            ahead = 0 if part == self._own() else view.moment_ms(since.date_ms) - since.moment_ms
            begin, end = SteadyMs(since.moment_ms + ahead), SteadyMs(until.moment_ms + ahead)
            for each in view.queries.flow(begin, end, step_ms, (view.uplink, view.telemetry)):
                at_ms = round((each.at_ms - ahead) / step_ms) * step_ms
                known = found.get(at_ms, Flow(SteadyMs(at_ms), 0, 0))
                found[at_ms] = Flow(
                    SteadyMs(at_ms), known.received + each.received, known.outputs + each.outputs
                )
        return [found[at_ms] for at_ms in sorted(found)]

    def progress(self, part: int) -> dict[str, tuple[int, Counters]]:
        """How far each integration (by id) has come with a partition, and its accounts."""
        view = self.view(part)
        if view is None:
            return {}
        return {
            view.names.texts[number]: (cursor, _counters(counters))
            for number, cursor, counters in self._rows_of(part)(_PROGRESS)
        }

    def among(
        self, part: int, wanted: Mapping[str, Sequence[int]], now: Instant
    ) -> dict[tuple[str, int], ParkedState]:
        """What is parked of these positions, by integration, in this node's time."""
        view = self.view(part)
        if view is None:
            return {}
        ahead = view.moment_ms(now.date_ms) - now.moment_ms
        return {key: _earlier(row, ahead) for key, row in view.queries.among(wanted).items()}


def _earlier(row: ParkedState, by_ms: int) -> ParkedState:
    """The same at another time; 0 is none."""
    tries = tuple(replace(each, at_ms=each.at_ms - by_ms) for each in row.tries)
    return replace(row, next_try_ms=row.next_try_ms and row.next_try_ms - by_ms, tries=tries)


def _back_to(ends: Mapping[int, DateMs], left: Mapping[int, int]) -> DateMs:
    """Since when everything was looked at."""
    if left:
        return DateMs(max(ends[part] for part in left))
    return DateMs(min(ends.values(), default=0))


def _calendar(value: bytes) -> Calendar | None:
    """The calendar of a node; what it says of the time since is that nothing has changed."""
    try:
        kept = _clock(value)
    except msgspec.DecodeError:
        return None
    found = Calendar(lambda: _FAR_MS / 1000)
    for stretch in kept.stretches:
        found.put(stretch)
    return found if kept.stretches else None
