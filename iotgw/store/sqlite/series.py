"""A device's readings, from its records in the telemetry stream. SQLite makes the buckets, beside the reactor: Python would take its time."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from iotgw.core.message_query import MessageQuery
from iotgw.core.model import Kind
from iotgw.core.series import Bucket, FoundSeries, SeriesQuery, SeriesValue, readings
from iotgw.core.times import DateMs
from iotgw.store.names import NameTable
from iotgw.store.sqlite.database import as_array
from iotgw.store.sqlite.rows import RECORD, RecordRow
from iotgw.store.sqlite.scans import Ask, highest, lowest

RECORDS = 5000
"""Records of a device that go into one answer of buckets."""
LATEST = 1 << 53
"""Behind every time."""

_pairs = msgspec.json.Decoder(list[tuple[int, int]]).decode
_buckets = msgspec.json.Decoder(list[tuple[str, int, int, float | None, float | None, float | None]]).decode
_records = msgspec.json.Decoder(list[RecordRow]).decode

_OF_DEVICE = """
SELECT json_group_array(json_array(uplink, seq)) FROM (
    SELECT uplink, seq FROM telemetry INDEXED BY telemetry_of_uplink
    WHERE uplink <> 0 AND uplink >= ? AND uplink < ? AND device_name = ? ORDER BY uplink DESC LIMIT ?)
"""
_LAST = f"""
FROM json_each(?) AS c CROSS JOIN telemetry ON telemetry.seq = c.value LEFT JOIN outcome ON outcome.seq = telemetry.uplink
WHERE tenant = ? AND kind = {Kind.TELEMETRY.value} AND telemetry.seq >= coalesce(outcome.telemetry, 0)
"""
"""Of these records, the tenant's that a later conversion has not replaced."""
_READ = f"""
SELECT json_group_array(json_array({RECORD})) FROM (SELECT telemetry.* {_LAST})
"""
_BUCKETS = f"""
SELECT json_group_array(json_array(key, at_ms, count, low, high, mean)) FROM (
    SELECT key, ts - ts % ? AS at_ms, count(*) AS count, min(number) AS low, max(number) AS high, avg(number) AS mean
    FROM (
        SELECT value.key, json_extract(entry.value, '$.ts') AS ts,
            CASE WHEN value.type IN ('integer', 'real') THEN value.atom END AS number
        FROM (SELECT cast(body AS text) AS body {_LAST}) AS record,
            json_each(record.body, '$.telemetry') AS entry, json_each(entry.value, '$.values') AS value
    )
    WHERE ts >= ? AND ts < ? AND (? OR key IN (SELECT value FROM json_each(?)))
    GROUP BY key, at_ms ORDER BY key, at_ms)
"""


class SeriesSearch:
    """Looks for readings on one connection. ``time(position)`` says when the first message from there on was received."""

    def __init__(self, ask: Ask, names: NameTable, time: Callable[[MessageQuery, int], DateMs]) -> None:
        self._ask = ask
        self._names = names
        self._time = time

    def find(self, query: SeriesQuery, before: int, limit: int, look: int) -> FoundSeries:
        """Readings of messages before a position: of ``limit`` records at most, among about ``look`` outputs of all devices."""
        bounds = MessageQuery(tenant=query.tenant, since=query.since)
        low, high = lowest(bounds, self._ask), highest(bounds, self._ask, before)
        first = max(low, high - look)
        most = min(limit, RECORDS) if query.every_ms else limit
        found = _pairs(self._text(_OF_DEVICE, first, high, query.device, most))
        # The records of one message stay together.
        looked_to = found[-1][0] if len(found) == most else first
        if len(found) == most and found[0][0] != looked_to:
            looked_to += 1
        records = as_array([seq for uplink, seq in found if uplink >= looked_to])
        tenant = self._names.get(query.tenant, -1)
        next = looked_to if looked_to > low else 0
        looked_back_to = self._time(bounds, looked_to)
        if query.every_ms:
            return FoundSeries(self._in_buckets(query, records, tenant), {}, next, looked_back_to)
        return FoundSeries({}, self._single(query, records, tenant), next, looked_back_to)

    def _in_buckets(self, query: SeriesQuery, records: str, tenant: int) -> dict[str, list[Bucket]]:
        since_ms = query.since.date_ms if query.since is not None else 0
        until_ms = LATEST if query.until_ms is None else query.until_ms
        text = self._text(
            _BUCKETS,
            query.every_ms,
            records,
            tenant,
            since_ms,
            until_ms,
            not query.keys,
            as_array(query.keys),
        )
        result: dict[str, list[Bucket]] = {}
        for key, ts, count, low, high, mean in _buckets(text):
            result.setdefault(key, []).append(Bucket(ts, count, low, high, mean))
        return result

    def _single(self, query: SeriesQuery, records: str, tenant: int) -> dict[str, list[SeriesValue]]:
        rows = _records(self._text(_READ, records, tenant))
        return readings(query, [row.record(self._names.texts) for row in rows])

    def _text(self, query: str, *values: object) -> str:
        (text,) = self._ask(query, *values)
        return text if isinstance(text, str) else "[]"
