"""Reads the journal on its own connection, in its own thread, beside the writer.

Each query returns one row, which holds all the others as JSON. Python's sqlite3 releases the GIL for every row that it
fetches and, beside a busy reactor, waits a switch interval to get it back. That made 0.4 s for 500 rows; as a single
row they take 8 ms, and no more CPU.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from iotgw.core.model import (
    ConversionError,
    DeliveryState,
    Kind,
    Message,
    Parked,
    State,
    StoredUplink,
    TelemetryRecord,
    Uplink,
)
from iotgw.core.stream import WEIGHT
from iotgw.core.times import DateMs, SteadyMs
from iotgw.store.sqlite.commit import KEPT
from iotgw.store.sqlite.database import as_array, connect_reader
from iotgw.store.sqlite.names import NameTable
from iotgw.store.sqlite.salvage import salvaged, unreadable_record, unreadable_row, unreadable_uplink

T = TypeVar("T")

_UPLINK = "json_array(seq, tenant, datasource, received_ms, cast(metadata AS text), hex(payload))"
_RECORD = "seq, uplink, tenant, datasource, received_ms, kind, device_name, device_type, cast(body AS text)"


class _UplinkRow(Struct, array_like=True, gc=False):
    seq: int
    tenant: int
    datasource: int
    received_ms: DateMs
    metadata: str
    payload: str


class _RecordRow(Struct, array_like=True, gc=False):
    seq: int
    uplink: int
    tenant: int
    datasource: int
    received_ms: DateMs
    kind: int
    device_name: str
    device_type: str
    body: str


class _ParkedRow(Struct, array_like=True, gc=False):
    state: int
    attempts: int
    next_try_ms: int
    error: str
    record: _RecordRow


class _MessageRow(Struct, array_like=True, gc=False):
    uplink: _UplinkRow
    state: int | None
    converter: int | None
    error: str | None
    records: list[_RecordRow]


_uplinks = msgspec.json.Decoder(list[_UplinkRow]).decode
_records = msgspec.json.Decoder(list[_RecordRow]).decode
_parked = msgspec.json.Decoder(list[_ParkedRow]).decode
_messages = msgspec.json.Decoder(list[_MessageRow]).decode
_error = msgspec.json.Decoder(ConversionError).decode

_READ_UPLINKS = f"""
SELECT json_group_array({_UPLINK}) FROM (
    SELECT * FROM uplink WHERE datasource = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?)
"""
_READ_TELEMETRY = f"""
SELECT json_group_array(json_array({_RECORD})) FROM (
    SELECT * FROM telemetry WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)
"""
_READ_UPLINK = f"SELECT json_group_array({_UPLINK}) FROM uplink NOT INDEXED WHERE datasource = ? AND seq = ?"
_READ_RECORD = f"SELECT json_group_array(json_array({_RECORD})) FROM telemetry WHERE seq = ?"
LAST = 1 << 62
"""Higher than every position."""
_KINDS = {kind.value: kind for kind in Kind}
_WEIGH = "SELECT sum(size) FROM (SELECT length({body}) AS size FROM {table} WHERE {condition} ORDER BY seq LIMIT ?)"
_CUT = """
SELECT seq FROM (SELECT seq, sum(size) OVER (ORDER BY seq) AS weight FROM (
    SELECT seq, length({body}) AS size FROM {table} WHERE {condition} ORDER BY seq LIMIT ?))
WHERE weight >= ? LIMIT 1
"""
_READ_PARKED = f"""
SELECT json_group_array(json_array(state, attempts, next_try_ms, error, json_array({_RECORD}))) FROM (
    SELECT * FROM parked WHERE integration = ? AND {{condition}} LIMIT ?)
"""
_KEPT_TO = f"""(SELECT cursor FROM conversion JOIN tally USING (datasource)
    WHERE conversion.datasource = uplink.datasource AND tally.state = {KEPT})"""
"""The position up to which uplinks without an outcome were kept, for datasources that keep some."""
_WAS_KEPT = f"""uplink.datasource IN (SELECT datasource FROM tally WHERE state = {KEPT})
    AND uplink.seq <= {_KEPT_TO} AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.seq = uplink.seq)"""
_READ_MESSAGES = f"""
SELECT json_group_array(json_array(
    {_UPLINK.replace("seq", "uplink.seq").replace("datasource", "uplink.datasource")},
    coalesce(outcome.state, CASE WHEN uplink.seq <= {_KEPT_TO} THEN 2 END), converter, cast(error AS text),
    (SELECT json_group_array(json_array({_RECORD})) FROM (
        SELECT * FROM telemetry WHERE uplink <> 0 AND uplink = found.value AND seq >= coalesce(outcome.telemetry, 0)
        ORDER BY seq))
)) FROM json_each(?) AS found
JOIN uplink ON uplink.seq = found.value LEFT JOIN outcome ON outcome.seq = found.value
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
            lambda seq: [self._uplink(row) for row in _uplinks(self._one(_READ_UPLINK, number, seq))],
            lambda seq, reason: unreadable_uplink(self._lost("uplink", seq), datasource, reason),
            self._works, lambda stored: len(stored.uplink.payload), after, last, limit,
        )  # fmt: skip

    def _uplinks(self, datasource: str, after: int, last: int, limit: int) -> list[StoredUplink]:
        where = self._number(datasource), after
        last = self._cut("uplink", "payload", "datasource = ? AND seq > ? AND seq <= ?", *where, last, limit)
        return [self._uplink(row) for row in _uplinks(self._one(_READ_UPLINKS, *where, last, limit))]

    def telemetry(self, after: int, last: int, limit: int) -> list[TelemetryRecord]:
        """Telemetry records with after < seq <= last."""
        if not self._careful:
            return self._telemetry(after, last, limit)
        # If the first page is the damaged one, only a time mark tells how far before it the stream was trimmed.
        (trimmed,) = self._connection.execute("SELECT coalesce(min(telemetry), 0) FROM mark").fetchone()
        return salvaged(
            self._telemetry,
            lambda seq: [self._record(row) for row in _records(self._one(_READ_RECORD, seq))],
            lambda seq, reason: unreadable_record(self._lost("telemetry", seq), reason),
            self._works, lambda record: len(record.body), max(after, min(trimmed, last)), last, limit,
        )  # fmt: skip

    def _telemetry(self, after: int, last: int, limit: int) -> list[TelemetryRecord]:
        last = self._cut("telemetry", "body", "seq > ? AND seq <= ?", after, last, limit)
        return [self._record(row) for row in _records(self._one(_READ_TELEMETRY, after, last, limit))]

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

    def messages(self, positions: list[int]) -> list[Message]:
        """The messages at these positions, in this order. Missing ones are left out."""
        return [self._message(row) for row in _messages(self._one(_READ_MESSAGES, as_array(positions)))]

    def find(
        self,
        tenant: str,
        before: int,
        limit: int,
        datasource: str | None,
        state: State | None,
        device: str | None,
    ) -> list[Message]:
        """The newest messages before a position that meet all conditions."""
        origin, conditions = "uplink", ["uplink.tenant = ?", "uplink.seq < ?"]
        values: list[int | str] = [self._number(tenant), before]
        order = "uplink.seq"
        kept: list[int] = []
        if datasource is not None:
            conditions.append("uplink.datasource = ?")
            values.append(self._number(datasource))
        if device is not None:
            # CROSS JOIN keeps the order of the tables: along the covering index, newest first.
            origin = "telemetry t CROSS JOIN uplink ON uplink.seq = t.uplink"
            conditions += ["t.uplink <> 0", "t.uplink < ?", "t.device_name = ?"]
            values += [before, device]
            order = "t.uplink"
        if state is State.RECEIVED:
            origin += " LEFT JOIN outcome o ON o.seq = uplink.seq"
            conditions += [
                "o.seq IS NULL",
                "uplink.seq > (SELECT coalesce(min(cursor), 0) FROM conversion)",
                f"uplink.seq > coalesce({_KEPT_TO}, 0)",
            ]
        elif state is not None and state is not State.CONVERTED and device is None:
            if state is State.FILTERED:
                kept = self._positions("uplink", [*conditions, _WAS_KEPT], order, values, limit)
            origin = "outcome o CROSS JOIN uplink ON uplink.seq = o.seq"
            conditions += ["o.state <> 1", "o.state = ?", "o.seq < ?"]
            values += [int(state), before]
            order = "o.seq"
        elif state is not None:
            origin += " JOIN outcome o ON o.seq = uplink.seq"
            conditions.append("o.state = ?")
            values.append(int(state))
        found = self._positions(origin, conditions, order, values, limit)
        return self.messages(sorted({*found, *kept}, reverse=True)[:limit])

    def _positions(
        self, origin: str, conditions: list[str], order: str, values: list[int | str], limit: int
    ) -> list[int]:
        found = self._one(
            f"SELECT json_group_array(seq) FROM (SELECT DISTINCT {order} AS seq FROM {origin} "
            f"WHERE {' AND '.join(conditions)} ORDER BY {order} DESC LIMIT ?)",
            *values,
            limit,
        )
        return msgspec.json.decode(found, type=list[int])

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

    def stats(self) -> dict[str, Any]:
        """Counts, sizes, ages and positions, for the API."""
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

    def _one(self, query: str, *values: object) -> str:
        (text,) = self._connection.execute(query, values).fetchone()
        return text if isinstance(text, str) else "[]"

    def _number(self, text: str) -> int:
        return self._names.get(text, -1)  # never `[]`, which would make a new one

    def _parked(self, integration: str, condition: str, *values: object) -> list[Parked]:
        text = self._one(_READ_PARKED.format(condition=condition), self._number(integration), *values)
        return [
            Parked(
                integration, self._record(row.record), DeliveryState(row.state), row.attempts,
                row.next_try_ms, row.error,
            )
            for row in _parked(text)
        ]  # fmt: skip

    def _uplink(self, row: _UplinkRow) -> StoredUplink:
        texts = self._names.texts
        return StoredUplink(
            row.seq,
            Uplink(
                texts[row.tenant], texts[row.datasource], row.received_ms,
                bytes.fromhex(row.payload), row.metadata.encode(),
            ),
        )  # fmt: skip

    def _record(self, row: _RecordRow) -> TelemetryRecord:
        texts = self._names.texts
        return TelemetryRecord(
            row.seq, row.uplink, texts[row.tenant], texts[row.datasource], row.received_ms,
            row.device_name, row.device_type, row.body.encode(), _KINDS[row.kind],
        )  # fmt: skip

    def _message(self, row: _MessageRow) -> Message:
        stored = self._uplink(row.uplink)
        return Message(
            stored.seq,
            stored.uplink,
            State(row.state or 0),
            "" if row.converter is None else self._names.texts[row.converter],
            None if row.error is None else _error(row.error),
            tuple([self._record(record) for record in row.records]),
        )

    def _stream(self, table: Literal["uplink", "telemetry"]) -> dict[str, int]:
        """First and last position, and the time of the first. These are two queries because each is then a single step
        in the index."""
        one = self._connection.execute
        first = one(f"SELECT seq, received_ms FROM {table} ORDER BY seq LIMIT 1").fetchone() or (0, 0)
        last = one(f"SELECT seq FROM {table} ORDER BY seq DESC LIMIT 1").fetchone() or (0,)
        return {"first": first[0], "last": last[0], "oldest": first[1]}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
