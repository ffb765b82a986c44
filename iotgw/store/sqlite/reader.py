"""Reads the journal on its own connection, in its own thread, beside the writer.

Each query returns one row, which holds all the others as JSON. Python's sqlite3 releases the GIL for every row that it
fetches and, beside a busy reactor, waits a switch interval to get it back. That made 0.4 s for 500 rows; as a single
row they take 8 ms, and no more CPU.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from iotgw.core.errors import Unavailable
from iotgw.core.model import Attempt, DeliveryState, Parked, ParkedState, State, StoredUplink, TelemetryRecord
from iotgw.core.ports.journal import Flow, Held
from iotgw.core.stream import WEIGHT
from iotgw.core.times import DateMs, SteadyMs
from iotgw.store.names import NameTable
from iotgw.store.sqlite.commit import KEPT
from iotgw.store.sqlite.damage import is_damage
from iotgw.store.sqlite.database import as_array, connect_reader
from iotgw.store.sqlite.failing import FailureSearch
from iotgw.store.sqlite.flow import flow
from iotgw.store.sqlite.rows import RECORD, UPLINK, RecordRow, UplinkRow
from iotgw.store.sqlite.salvage import salvaged, unreadable_record, unreadable_row, unreadable_uplink
from iotgw.store.sqlite.search import MessageSearch
from iotgw.store.sqlite.series import SeriesSearch

T = TypeVar("T")


class _ParkedRow(Struct, array_like=True, gc=False):
    state: int
    attempts: int
    next_try_ms: int
    error: str
    record: RecordRow
    tries: str


_uplinks = msgspec.json.Decoder(list[UplinkRow]).decode
_records = msgspec.json.Decoder(list[RecordRow]).decode
_parked = msgspec.json.Decoder(list[_ParkedRow]).decode
_tries = msgspec.json.Decoder(tuple[Attempt, ...]).decode
_held = msgspec.json.Decoder(list[tuple[int, int, int, int, tuple[str, ...]]]).decode
_among = msgspec.json.Decoder(list[tuple[int, int, int, int, int, str, str]]).decode
_keys = msgspec.json.Decoder(list[tuple[str, int]]).decode

_READ_UPLINKS = f"""
SELECT json_group_array({UPLINK}) FROM (
    SELECT * FROM uplink WHERE datasource = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?)
"""
_READ_TELEMETRY = f"""
SELECT json_group_array(json_array({RECORD})) FROM (
    SELECT * FROM telemetry WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)
"""
_READ_KEYS = """
SELECT json_group_array(json_array(key, seq)) FROM (
    SELECT seq, json_extract(metadata, '$.uplinkKey') AS key FROM (
        SELECT seq, cast(metadata AS text) AS metadata FROM uplink WHERE datasource = ? ORDER BY seq DESC LIMIT ?)
    WHERE typeof(key) = 'text' ORDER BY seq)
"""
_READ_HELD = """
SELECT json_group_array(json_array(seq, tenant, datasource, received_ms, json(devices))) FROM (
    SELECT outcome.seq, tenant, datasource, received_ms, json_extract(cast(error AS text), '$.devices') AS devices
    FROM outcome INDEXED BY outcome_held CROSS JOIN uplink USING (seq)
    WHERE error IS NOT NULL AND state <> 3 AND outcome.seq > ? AND json_extract(cast(error AS text), '$.name') = 'Quarantined'
    ORDER BY outcome.seq LIMIT ?)
"""
_READ_UPLINK = f"SELECT json_group_array({UPLINK}) FROM uplink NOT INDEXED WHERE datasource = ? AND seq = ?"
_READ_RECORD = f"SELECT json_group_array(json_array({RECORD})) FROM telemetry WHERE seq = ?"
LAST = 1 << 62
"""Higher than every position."""
_WEIGH = "SELECT sum(size) FROM (SELECT length({body}) AS size FROM {table} WHERE {condition} ORDER BY seq LIMIT ?)"
_CUT = """
SELECT seq FROM (SELECT seq, sum(size) OVER (ORDER BY seq) AS weight FROM (
    SELECT seq, length({body}) AS size FROM {table} WHERE {condition} ORDER BY seq LIMIT ?))
WHERE weight >= ? LIMIT 1
"""
_READ_PARKED = f"""
SELECT json_group_array(json_array(state, attempts, next_try_ms, error, json_array({RECORD}), tries)) FROM (
    SELECT * FROM parked WHERE integration = ? AND {{condition}} LIMIT ?)
"""


_READ_AMONG = """
SELECT json_group_array(json_array(integration, seq, state, attempts, next_try_ms, error, tries)) FROM (
    SELECT parked.* FROM json_each(?) AS wanted CROSS JOIN json_each(wanted.value, '$[1]') AS position
    CROSS JOIN parked ON integration = json_extract(wanted.value, '$[0]') AND seq = position.value)
"""


class JournalReader:
    """The journal's queries. Each runs in the reader's thread and sees what is committed by then.

    Many methods: one for each query, and one for each kind of row.
    """

    def __init__(self, path: Path, names: NameTable) -> None:
        self._connection: sqlite3.Connection = connect_reader(path)
        self._names = names
        self._path = path
        self._careful = False
        self.unreadable: dict[str, set[int]] = {}
        """The positions in each table that turned out to be unreadable."""
        self.search = MessageSearch(self._row, names, self._lost)
        self.series = SeriesSearch(self._row, names, self.search.time)
        self.failing = FailureSearch(self._row, names, self.search.time)

    def carefully(self, query: Callable[[], T]) -> T:
        """Run a query of a stream or of parked records record by record, with a stand-in for each record that can't be
        read. Raises if nothing at all can be read."""
        self._careful = True
        try:
            self._connection.execute("PRAGMA shrink_memory")
            return query()
        finally:
            self._careful = False

    def _lost(self, table: str, seq: int) -> int:
        self.unreadable.setdefault(table, set()).add(seq)
        return seq

    def _works(self) -> None:
        """Raise if nothing at all can be read."""
        self._connection.execute("SELECT count(*), (SELECT max(at_ms) FROM mark) FROM name").fetchone()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def uplinks(self, datasource: str, after: int, last: int, limit: int) -> list[StoredUplink]:
        """Uplinks of a datasource with after < seq <= last."""
        if not self._careful:
            return self._uplinks(datasource, after, last, limit)
        number = self._number(datasource)
        return salvaged(
            lambda low, high, most: self._uplinks(datasource, low, high, most),
            lambda seq: [row.stored(self._names.texts) for row in _uplinks(self._one(_READ_UPLINK, number, seq))],
            lambda seq, reason: unreadable_uplink(self._lost("uplink", seq), datasource, reason),
            self._works, lambda stored: len(stored.uplink.payload), after, last, limit,
        )  # fmt: skip

    def _uplinks(self, datasource: str, after: int, last: int, limit: int) -> list[StoredUplink]:
        where = self._number(datasource), after
        last = self._cut("uplink", "payload", "datasource = ? AND seq > ? AND seq <= ?", *where, last, limit)
        return [
            row.stored(self._names.texts) for row in _uplinks(self._one(_READ_UPLINKS, *where, last, limit))
        ]

    def quarantined(self, after: int, limit: int) -> list[Held]:
        """See `iotgw.core.ports.journal.IMessages.quarantined`."""
        texts = self._names.texts
        return [
            (seq, texts[tenant], texts[datasource], received_ms, devices)
            for seq, tenant, datasource, received_ms, devices in _held(self._one(_READ_HELD, after, limit))
        ]

    def latest_keys(self, datasource: str, limit: int) -> list[tuple[str, int]]:
        """The keys of a datasource's latest uplinks, each with its position, in order."""
        return _keys(self._one(_READ_KEYS, self._number(datasource), limit))

    def telemetry(self, after: int, last: int, limit: int) -> list[TelemetryRecord]:
        """Telemetry records with after < seq <= last."""
        if not self._careful:
            return self._telemetry(after, last, limit)
        # If the first page is the damaged one, only a time mark tells how far before it the stream was trimmed.
        (trimmed,) = self._connection.execute("SELECT coalesce(min(telemetry), 0) FROM mark").fetchone()
        return salvaged(
            self._telemetry,
            lambda seq: [row.record(self._names.texts) for row in _records(self._one(_READ_RECORD, seq))],
            lambda seq, reason: unreadable_record(self._lost("telemetry", seq), reason),
            self._works, lambda record: len(record.body), max(after, min(trimmed, last)), last, limit,
        )  # fmt: skip

    def _telemetry(self, after: int, last: int, limit: int) -> list[TelemetryRecord]:
        last = self._cut("telemetry", "body", "seq > ? AND seq <= ?", after, last, limit)
        return [
            row.record(self._names.texts) for row in _records(self._one(_READ_TELEMETRY, after, last, limit))
        ]

    def parked(self, integration: str, state: DeliveryState | None, after: int, limit: int) -> list[Parked]:
        """Parked deliveries after a position, in order of position."""
        condition, values = "seq > ? AND seq <= ?", []
        if state is not None:
            condition, values = f"state = ? AND {condition}", [int(state)]
        number = self._number(integration)

        def read(low: int, high: int, most: int) -> list[Parked]:
            where = f"integration = ? AND {condition}"
            last = self._cut("parked", "body", where, number, *values, low, high, most)
            return self._parked(integration, f"{condition} ORDER BY seq", *values, low, last, most)

        return self._rows(integration, read, after, limit)

    def among(self, wanted: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], ParkedState]:
        """What is said of those of these positions, by integration, that are parked there."""
        if not self._careful:
            return self._among(wanted)
        found: dict[tuple[str, int], ParkedState] = {}
        for integration, positions in wanted.items():
            for seq in positions:
                try:
                    found |= self._among({integration: [seq]})
                except sqlite3.Error as error:
                    self._works()
                    lost = unreadable_row(integration, self._lost("parked", seq), str(error))
                    found[integration, seq] = ParkedState(lost.state, 0, 0, lost.error)
        return found

    def _among(self, wanted: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], ParkedState]:
        numbers = {self._number(each): each for each in wanted}
        pairs = as_array([[number, wanted[each]] for number, each in numbers.items()])
        return {
            (numbers[number], seq): ParkedState(
                DeliveryState(state), attempts, next_try_ms, error, _tries(tries) if tries else ()
            )
            for number, seq, state, attempts, next_try_ms, error, tries in _among(
                self._one(_READ_AMONG, pairs)
            )
        }

    def behind(self, integration: str, device: str, after: int, limit: int) -> list[Parked]:
        """Parked deliveries of one device after a position."""

        def read(low: int, high: int, most: int) -> list[Parked]:
            condition = (
                f"device_name = ? AND state <> {DeliveryState.DEAD} AND seq > ? AND seq <= ? ORDER BY seq"
            )
            return self._parked(integration, condition, device, low, high, most)

        return self._rows(integration, read, after, limit)

    def _rows(
        self, integration: str, read: Callable[[int, int, int], list[Parked]], after: int, limit: int
    ) -> list[Parked]:
        if not self._careful:
            return read(after, LAST, limit)
        return salvaged(
            read,
            lambda seq: read(seq - 1, seq, 1),
            lambda seq, reason: unreadable_row(integration, self._lost("parked", seq), reason),
            self._works, lambda row: len(row.record.body), after, LAST, limit,
        )  # fmt: skip

    def time_to_seq(self, ts_ms: DateMs, moment_ms: SteadyMs, head: int) -> int:
        """Position of the first telemetry record received at or after a date; one past the last if there is none. Marks
        hold gateway time, that of the date is ``moment_ms``."""
        row = self._connection.execute(
            "SELECT telemetry FROM mark WHERE at_ms <= ? ORDER BY at_ms DESC LIMIT 1", (moment_ms,)
        ).fetchone()
        found = self._connection.execute(
            "SELECT seq FROM telemetry WHERE seq > ? AND received_ms >= ? ORDER BY seq LIMIT 1",
            (row[0] if row else 0, ts_ms),
        ).fetchone()
        return int(found[0]) if found else head + 1

    def flow(self, since_ms: SteadyMs, until_ms: SteadyMs, step_ms: int, last: tuple[int, int]) -> list[Flow]:
        """See `JournalReads.flow`."""
        return flow(self._row, since_ms, until_ms, step_ms, last)

    def asked(self, query: Callable[[], T]) -> T:
        """See `JournalReads.asked`: a file is never away."""
        return query()

    def unless_damaged(self, query: Callable[[], T]) -> T:
        """See `JournalReads.unless_damaged`."""
        try:
            return query()
        except sqlite3.Error as error:
            if is_damage(error):
                raise Unavailable(f"the journal is damaged where this is looked for: {error}") from error
            raise

    def stats(self) -> dict[str, Any]:
        """See `JournalReads.stats`."""
        try:
            return self._stats()
        except (sqlite3.Error, MemoryError) as error:
            return {"unknown": str(error)}

    def _stats(self) -> dict[str, Any]:
        one = self._connection.execute
        totals = dict.fromkeys(State, 0)
        datasources: dict[str, dict[str, int]] = {}
        for source, state, count in one("SELECT datasource, state, count FROM tally").fetchall():
            kind = State.FILTERED if state == KEPT else State(state)
            totals[kind] += count
            counts = datasources.setdefault(self._names.texts[source], {})
            name = kind.name.lower()
            counts[name] = counts.get(name, 0) + count
        streams = {table: self._stream(table) for table in ("uplink", "telemetry")}
        done = totals[State.CONVERTED] + totals[State.FILTERED] + totals[State.FAILED]
        (pages,), (free,), (size,) = (
            one(f"PRAGMA {what}").fetchone() for what in ("page_count", "freelist_count", "page_size")
        )
        return {
            **{state.name.lower(): count for state, count in totals.items()},
            "waiting": totals[State.RECEIVED] - done,
            "datasources": datasources,
            "bytes": (pages - free) * size,
            "fileBytes": pages * size,
            "walBytes": _size(self._path.with_name(self._path.name + "-wal")),
            **_disk(self._path.parent),
            "parked": one("SELECT count(*) FROM parked").fetchone()[0],
            **streams,
        }

    def _cut(self, table: str, body: str, condition: str, *values: int) -> int:
        """The last position to read, so that a page of large records fits in memory and in SQLite's longest text.
        ``values`` are those of the condition, then the last position, then the limit."""
        how = {"table": table, "body": body, "condition": condition}
        (weight,) = self._connection.execute(_WEIGH.format(**how), values).fetchone()
        if (weight or 0) <= WEIGHT:
            return values[-2]
        (last,) = self._connection.execute(_CUT.format(**how), (*values, WEIGHT)).fetchone()
        return int(last)

    # --- rows to values ---

    def _row(self, query: str, *values: object) -> tuple[object, ...]:
        row: tuple[object, ...] = self._connection.execute(query, values).fetchone()
        return row

    def _one(self, query: str, *values: object) -> str:
        (text,) = self._row(query, *values)
        return text if isinstance(text, str) else "[]"

    def _number(self, text: str) -> int:
        return self._names.get(text, -1)  # never `[]`, which would make a new one

    def _parked(self, integration: str, condition: str, *values: object) -> list[Parked]:
        text = self._one(_READ_PARKED.format(condition=condition), self._number(integration), *values)
        return [
            Parked(
                integration, row.record.record(self._names.texts), DeliveryState(row.state), row.attempts,
                row.next_try_ms, row.error, _tries(row.tries) if row.tries else (),
            )
            for row in _parked(text)
        ]  # fmt: skip

    def _stream(self, table: Literal["uplink", "telemetry"]) -> dict[str, int]:
        """First and last position, and the time of the first. These are two queries because each is then a single step
        in the index."""
        one = self._connection.execute
        first = one(f"SELECT seq, received_ms FROM {table} ORDER BY seq LIMIT 1").fetchone() or (0, 0)
        last = one(f"SELECT seq FROM {table} ORDER BY seq DESC LIMIT 1").fetchone() or (0,)
        return {"first": first[0], "last": last[0], "oldest": first[1]}


def _disk(folder: Path) -> dict[str, int]:
    """The size of the disk in bytes, and what may still be written."""
    found = os.statvfs(folder)
    return {"diskBytes": found.f_frsize * found.f_blocks, "diskFree": found.f_frsize * found.f_bavail}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
