"""Reads a partition on a connection of its own, in its own thread, beside the writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import psycopg

from iotgw.core.errors import Unavailable
from iotgw.core.model import DeliveryState, Parked, ParkedState, State, StoredUplink, TelemetryRecord
from iotgw.core.ports.journal import Flow, Held
from iotgw.core.stream import WEIGHT
from iotgw.core.times import DateMs, SteadyMs
from iotgw.store.names import NameTable
from iotgw.store.postgres.connection import Address, Connection, sql
from iotgw.store.postgres.draft import KEPT
from iotgw.store.postgres.history import PartitionFailures, PartitionSeries, flow
from iotgw.store.postgres.rows import (
    PARKED,
    RECORD,
    UPLINK,
    Row,
    latest_tries,
    parked_delivery,
    stored_uplink,
    telemetry_record,
)
from iotgw.store.postgres.search import PartitionSearch, Rows

T = TypeVar("T")
LAST = 1 << 62
"""Higher than every position."""
# A page ends where its records weigh `WEIGHT`; the sizes are read without the bodies.
_PAGE = """SELECT {columns} FROM (SELECT *, sum(octet_length({body})) OVER (ORDER BY seq) - octet_length({body}) AS weight FROM (
    SELECT * FROM {table} WHERE part = %(part)s AND seq > %(after)s AND seq <= %(last)s {more} ORDER BY seq LIMIT %(limit)s) AS found) AS weighed
WHERE weight < %(most)s ORDER BY seq"""
_HELD = """SELECT o.seq, u.tenant, u.datasource, u.received_ms, o.error FROM outcome o JOIN uplink u ON u.part = o.part AND u.seq = o.seq
WHERE o.part = %(part)s AND o.error IS NOT NULL AND o.state <> 3 AND o.seq > %(after)s ORDER BY o.seq LIMIT %(limit)s"""

_AMONG = """SELECT integration, seq, state, attempts, next_try_ms, error, tries
FROM unnest(%(integrations)s::int[], %(positions)s::bigint[]) AS wanted(integration, seq) JOIN parked USING (integration, seq)
WHERE part = %(part)s"""


class _HeldError(msgspec.Struct):
    name: str = ""
    devices: tuple[str, ...] = ()


class _Keyed(msgspec.Struct, rename="camel"):
    uplink_key: Any = None


_held_error = msgspec.json.Decoder(_HeldError).decode
_keyed = msgspec.json.Decoder(_Keyed).decode


class PartitionQueries:
    """The queries of a partition's journal. ``rows`` runs one, with the partition among its values.

    Many methods: those of `JournalReads`, and one for each kind of row.
    """

    def __init__(self, rows: Rows, names: NameTable) -> None:
        self._rows = rows
        self._names = names
        self.search = PartitionSearch(rows, names)
        self.series = PartitionSeries(rows, names, self.search)
        self.failing = PartitionFailures(rows, names, self.search)

    def _page(
        self,
        columns: str,
        table: str,
        body: str,
        after: int,
        last: int,
        limit: int,
        more: str = "",
        **values: Any,
    ) -> list[Row]:
        query = _PAGE.format(columns=columns, table=table, body=body, more=more)
        return self._rows(query, after=after, last=last, limit=limit, most=WEIGHT, **values)  # fmt: skip

    def uplinks(self, datasource: str, after: int, last: int, limit: int) -> list[StoredUplink]:
        """See `JournalReads.uplinks`."""
        rows = self._page(
            UPLINK, "uplink", "payload", after, last, limit, "AND datasource = %(datasource)s",
            datasource=self.search.number(datasource),
        )  # fmt: skip
        return [stored_uplink(row, self._names.texts) for row in rows]

    def telemetry(self, after: int, last: int, limit: int) -> list[TelemetryRecord]:
        """See `JournalReads.telemetry`."""
        rows = self._page(RECORD, "telemetry", "body", after, last, limit)
        return [telemetry_record(row, self._names.texts) for row in rows]

    def parked(self, integration: str, state: DeliveryState | None, after: int, limit: int) -> list[Parked]:
        """See `JournalReads.parked`."""
        more = "AND integration = %(integration)s"
        if state is not None:
            return self._parked(integration, f"{more} AND state = %(state)s", after, limit, state=int(state))
        return self._parked(integration, more, after, limit)

    def among(self, wanted: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], ParkedState]:
        """See `JournalReads.among`."""
        numbers = {self.search.number(each): each for each in wanted}
        pairs = [(number, seq) for number, each in numbers.items() for seq in wanted[each]]
        rows = self._rows(
            _AMONG, integrations=[pair[0] for pair in pairs], positions=[pair[1] for pair in pairs]
        )
        return {
            (numbers[number], seq): ParkedState(
                DeliveryState(state), attempts, next_try_ms, error.decode(), latest_tries(tries)
            )
            for number, seq, state, attempts, next_try_ms, error, tries in rows
        }

    def behind(self, integration: str, device: str, after: int, limit: int) -> list[Parked]:
        """See `JournalReads.behind`."""
        more = "AND integration = %(integration)s AND device_name = %(device)s AND state <> %(dead)s"
        name, dead = device.encode("utf-8", "replace"), int(DeliveryState.DEAD)
        return self._parked(integration, more, after, limit, device=name, dead=dead)

    def _parked(self, integration: str, more: str, after: int, limit: int, **values: Any) -> list[Parked]:
        values["integration"] = self.search.number(integration)
        rows = self._page(PARKED, "parked", "body", after, LAST, limit, more, **values)
        return [parked_delivery(integration, row, self._names.texts) for row in rows]

    def quarantined(self, after: int, limit: int) -> list[Held]:
        """See `JournalReads.quarantined`."""
        texts, found = self._names.texts, list[Held]()
        while len(found) < limit:
            rows = self._rows(_HELD, after=after, limit=limit)
            for seq, tenant, datasource, received_ms, error in rows:
                what = _held_error(error)
                if what.name == "Quarantined" and len(found) < limit:
                    found.append((seq, texts[tenant], texts[datasource], received_ms, what.devices))
                after = seq
            if len(rows) < limit:
                break
        return found

    def latest_keys(self, datasource: str, limit: int) -> list[tuple[str, int]]:
        """See `JournalReads.latest_keys`."""
        rows = self._rows(
            "SELECT seq, metadata FROM uplink WHERE part = %(part)s AND datasource = %(datasource)s AND position('\"uplinkKey\"'::bytea in metadata) > 0 "
            "AND seq > coalesce((SELECT seq FROM uplink WHERE part = %(part)s AND datasource = %(datasource)s ORDER BY seq DESC LIMIT 1 OFFSET %(limit)s), 0) "
            "ORDER BY seq",
            datasource=self.search.number(datasource), limit=limit,
        )  # fmt: skip
        keyed = [(_keyed(metadata).uplink_key, seq) for seq, metadata in rows]
        return [(key, seq) for key, seq in keyed if isinstance(key, str)]

    def time_to_seq(self, ts_ms: DateMs, moment_ms: SteadyMs, head: int) -> int:
        """See `JournalReads.time_to_seq`. Marks hold gateway time, that of the date is ``moment_ms``."""
        rows = self._rows(
            "SELECT seq FROM telemetry WHERE part = %(part)s AND received_ms >= %(ts)s AND seq > coalesce((SELECT telemetry FROM mark "
            "WHERE part = %(part)s AND at_ms <= %(moment)s ORDER BY at_ms DESC LIMIT 1), 0) ORDER BY seq LIMIT 1",
            ts=ts_ms,
            moment=moment_ms,
        )
        return int(rows[0][0]) if rows else head + 1

    def flow(self, since_ms: SteadyMs, until_ms: SteadyMs, step_ms: int, last: tuple[int, int]) -> list[Flow]:
        """See `JournalReads.flow`."""
        return flow(self._rows, since_ms, until_ms, step_ms, last)

    def stats(self) -> dict[str, Any]:
        """See `JournalReads.stats`."""
        try:
            return self._stats()
        except psycopg.Error as error:
            return {"unknown": str(error).strip()}

    def _stats(self) -> dict[str, Any]:
        totals = dict.fromkeys(State, 0)
        datasources: dict[str, dict[str, int]] = {}
        for source, state, count in self._rows(
            "SELECT datasource, state, count FROM tally WHERE part = %(part)s"
        ):
            kind = State.FILTERED if state == KEPT else State(state)
            totals[kind] += count
            counts = datasources.setdefault(self._names.texts[source], {})
            name = kind.name.lower()
            counts[name] = counts.get(name, 0) + count
        done = totals[State.CONVERTED] + totals[State.FILTERED] + totals[State.FAILED]
        ((used, size, parked),) = self._rows(
            "SELECT bytes, pg_database_size(current_database()), (SELECT count(*) FROM parked WHERE part = %(part)s) "
            "FROM partition WHERE id = %(part)s"
        )
        return {
            **{state.name.lower(): count for state, count in totals.items()},
            "waiting": totals[State.RECEIVED] - done,
            "datasources": datasources,
            "bytes": used,
            "fileBytes": size,
            "walBytes": 0,
            "parked": parked,
            **{table: self._stream(table) for table in ("uplink", "telemetry")},
        }

    def _stream(self, table: str) -> dict[str, int]:
        """First and last position, and the time of the first."""
        first = self._rows(
            f"SELECT seq, received_ms FROM {table} WHERE part = %(part)s ORDER BY seq LIMIT 1"
        ) or [(0, 0)]
        ((last,),) = self._rows(f"SELECT coalesce(max(seq), 0) FROM {table} WHERE part = %(part)s")
        return {"first": first[0][0], "last": last, "oldest": first[0][1]}


class PartitionReader(PartitionQueries):
    """These queries on a connection of their own. Each runs in the reader's thread and sees what is committed by then."""

    def __init__(self, address: Address, part: int, names: NameTable) -> None:
        self._address = address
        self._part = part
        self._connection: Connection = address.connect()
        self.unreadable: dict[str, set[int]] = {}
        """Nothing: PostgreSQL says what page is damaged, and its operator puts back what it holds."""
        super().__init__(self._ask, names)

    def _ask(self, query: str, **values: Any) -> list[Row]:
        if self._connection.closed:
            self._connection = self._address.connect()
        values["part"] = self._part
        return self._connection.execute(sql(query), values, binary=True).fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def carefully(self, query: Callable[[], T]) -> T:
        """See `JournalReads.carefully`: there is nothing to be careful about."""
        return query()

    def unless_damaged(self, query: Callable[[], T]) -> T:
        """See `JournalReads.unless_damaged`."""
        return self.asked(query)

    def asked(self, query: Callable[[], T]) -> T:
        """See `JournalReads.asked`."""
        try:
            return query()
        except psycopg.Error as error:
            if self._connection.closed:
                raise Unavailable(f"the database is away: {str(error).strip()}", 5.0) from error
            raise
