"""A device's readings, and failures in groups, from a partition."""

from __future__ import annotations

from typing import Any

import msgspec

from iotgw.core.failures import FailureGroup, FoundFailures, conversion_group, group_id, merged, pattern
from iotgw.core.message_query import MessageQuery
from iotgw.core.model import ConversionError, DeliveryState, Kind
from iotgw.core.ports.journal import Flow
from iotgw.core.series import Bucket, FoundSeries, SeriesQuery, readings
from iotgw.core.times import DateMs, SteadyMs
from iotgw.store.flow import flow_of
from iotgw.store.names import NameTable
from iotgw.store.postgres.rows import RECORD, telemetry_record
from iotgw.store.postgres.search import LOOK_UP, PartitionSearch, Rows

RECORDS = 5000
"""Records of a device that go into one answer of buckets."""
FAILURES = 1000
"""Failed messages that go into one answer."""
DEAD = 100_000
"""Dead letters that go into one answer: the newest."""
TEXTS = 1000
"""Errors of dead letters that differ to the letter, in one answer: the newest."""
_LATEST = 1 << 53

_OF_DEVICE = """SELECT uplink, seq FROM telemetry WHERE part = %(part)s AND uplink <> 0 AND uplink >= %(first)s AND uplink < %(high)s
    AND device_name = %(device)s ORDER BY uplink DESC LIMIT %(most)s"""
# Of these records, the tenant's that a later conversion has not replaced.
_READ = f"""SELECT {", ".join(f"t.{each}" for each in RECORD.split(", "))} FROM telemetry t
LEFT JOIN outcome o ON o.part = t.part AND o.seq = t.uplink
WHERE t.part = %(part)s AND t.seq = ANY(%(seqs)s::bigint[]) AND t.tenant = %(tenant)s AND t.kind = {Kind.TELEMETRY.value}
    AND t.seq >= coalesce(o.telemetry, 0) ORDER BY t.seq"""
_FAILED = """SELECT o.converter, o.error, array_agg(DISTINCT u.datasource), count(*), min(u.received_ms), max(u.received_ms), max(u.seq)
FROM uplink u JOIN outcome o ON o.part = u.part AND o.seq = u.seq WHERE u.part = %(part)s AND u.seq = ANY(%(seqs)s::bigint[])
GROUP BY 1, 2"""
_DEAD = f"""SELECT integration, error, array_agg(DISTINCT datasource), count(*), min(received_ms), max(received_ms), max(uplink) FROM (
    SELECT integration, error, datasource, received_ms, uplink, seq FROM parked
    WHERE part = %(part)s AND integration = ANY(%(integrations)s::int[]) AND state = {DeliveryState.DEAD.value} AND tenant = %(tenant)s
        AND received_ms >= %(since)s AND received_ms < %(until)s AND (%(datasource)s::int IS NULL OR datasource = %(datasource)s)
        AND (%(device)s::bytea IS NULL OR device_name = %(device)s)
    ORDER BY seq DESC LIMIT {DEAD}) newest
GROUP BY 1, 2 ORDER BY max(seq) DESC LIMIT {TEXTS}"""
_error = msgspec.json.Decoder(ConversionError).decode


_MARKS = """SELECT at_ms / %(step)s, min(uplink), min(telemetry) FROM mark
WHERE part = %(part)s AND at_ms >= %(since)s AND at_ms < %(until)s GROUP BY 1 ORDER BY 1"""
_NEXT = "SELECT at_ms, uplink, telemetry FROM mark WHERE part = %(part)s AND at_ms >= %(until)s ORDER BY at_ms LIMIT 1"


def flow(
    rows: Rows, since_ms: SteadyMs, until_ms: SteadyMs, step_ms: int, last: tuple[int, int]
) -> list[Flow]:
    """See `JournalReads.flow`."""
    steps = rows(_MARKS, step=step_ms, since=since_ms, until=until_ms)
    if not steps:
        return []
    behind = rows(_NEXT, until=until_ms) or [(0, *last)]
    return flow_of(steps, behind[0], step_ms)


class PartitionSeries:
    """Looks for readings on one connection."""

    def __init__(self, rows: Rows, names: NameTable, search: PartitionSearch) -> None:
        self._rows = rows
        self._names = names
        self._search = search

    def find(self, query: SeriesQuery, before: int, limit: int, look: int) -> FoundSeries:
        """See `SeriesReads.find`."""
        messages = MessageQuery(tenant=query.tenant, since=query.since)
        low, high = self._search.bounds(messages, before)
        first = max(low, high - look)
        most = min(limit, RECORDS) if query.every_ms else limit
        device = query.device.encode("utf-8", "replace")
        found = self._rows(_OF_DEVICE, first=first, high=high, device=device, most=most)
        # The records of one message stay together.
        looked_to = found[-1][0] if len(found) == most else first
        if len(found) == most and found[0][0] != looked_to:
            looked_to += 1
        seqs = [seq for uplink, seq in found if uplink >= looked_to]
        rows = self._rows(_READ, seqs=seqs, tenant=self._search.number(query.tenant))
        single = readings(query, [telemetry_record(row, self._names.texts) for row in rows])
        next_ = looked_to if looked_to > low else 0
        back_to = self._search.time(messages, looked_to)
        if not query.every_ms:
            return FoundSeries({}, single, next_, back_to)
        buckets: dict[str, list[Bucket]] = {}
        for key in sorted(single):
            values: dict[int, list[Any]] = {}
            for reading in single[key]:
                values.setdefault(reading.ts - reading.ts % query.every_ms, []).append(reading.value)
            buckets[key] = [_bucket(ts, values[ts]) for ts in sorted(values)]
        return FoundSeries(buckets, {}, next_, back_to)


def _bucket(ts: int, values: list[Any]) -> Bucket:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if not numbers:
        return Bucket(ts, len(values))
    return Bucket(ts, len(values), min(numbers), max(numbers), sum(numbers) / len(numbers))


class PartitionFailures:
    """Groups failures on one connection."""

    def __init__(self, rows: Rows, names: NameTable, search: PartitionSearch) -> None:
        self._rows = rows
        self._names = names
        self._search = search

    def conversions(self, query: MessageQuery, before: int) -> FoundFailures:
        """See `FailureReads.conversions`: of `FAILURES` of them at most."""
        low, high = self._search.bounds(query, before)
        seqs, looked_to = list[int](), min(low, high)
        for scan in self._search.scans(query) if low < high else []:
            leg = self._search.run(scan, low, high, FAILURES, FAILURES * LOOK_UP)
            looked_to = max(looked_to, leg.looked_to)
            seqs += leg.seqs
        groups = [self._group("conversion", row) for row in self._rows(_FAILED, seqs=seqs)]
        return FoundFailures(
            merged(groups), looked_to if looked_to > low else 0, self._search.time(query, looked_to)
        )

    def deliveries(self, query: MessageQuery, integrations: tuple[str, ...]) -> list[FailureGroup]:
        """See `FailureReads.deliveries`."""
        number = self._search.number
        rows = self._rows(
            _DEAD,
            integrations=[number(each) for each in integrations],
            tenant=number(query.tenant),
            since=query.since.date_ms if query.since is not None else 0,
            until=query.until.date_ms if query.until is not None else _LATEST,
            datasource=None if query.datasource is None else number(query.datasource),
            device=None if query.device is None else query.device.encode("utf-8", "replace"),
        )
        return merged([self._group("delivery", row) for row in rows])

    def _group(self, kind: str, row: tuple[Any, ...]) -> FailureGroup:
        texts = self._names.texts
        number, text, datasources, count, first, last, sample = row
        where, first_ms, last_ms = texts[number], DateMs(first), DateMs(last)
        names = tuple(texts[each] for each in datasources)
        if kind == "conversion":
            error = _error(text) if text else ConversionError("")
            id = conversion_group(where, error)
            return FailureGroup(id, "conversion", where, error, names, count, first_ms, last_ms, sample)
        error = ConversionError(text.decode(), stage="delivery", name="Dead")
        id = group_id("delivery", where, pattern(error.message))
        return FailureGroup(id, "delivery", where, error, names, count, first_ms, last_ms, sample)
