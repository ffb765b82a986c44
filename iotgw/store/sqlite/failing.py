"""Failed conversions and dead letters in groups. What is alike to the letter is counted by SQLite, the rest in Python."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from iotgw.core.failures import FailureGroup, FoundFailures, conversion_group, group_id, merged, pattern
from iotgw.core.message_query import MessageQuery
from iotgw.core.model import ConversionError, DeliveryState
from iotgw.core.times import DateMs
from iotgw.store.names import NameTable
from iotgw.store.sqlite.database import as_array
from iotgw.store.sqlite.scans import LOOK_UP, Ask, Scans, highest, lowest

FAILURES = 1000
"""Failed messages that go into one answer."""
DEAD = 100_000
"""Dead letters that go into one answer: the newest."""
TEXTS = 1000
"""Errors of dead letters that differ to the letter, in one answer: the newest."""

_Row = tuple[int, str | None, tuple[int, ...], int, DateMs, DateMs, int]
_rows = msgspec.json.Decoder(list[_Row]).decode
_error = msgspec.json.Decoder(ConversionError).decode

_FAILED = """
SELECT json_group_array(json_array(converter, error, json(datasources), count, first, last, sample)) FROM (
    SELECT converter, cast(error AS text) AS error, json_group_array(DISTINCT datasource) AS datasources, count(*) AS count,
        min(received_ms) AS first, max(received_ms) AS last, max(uplink.seq) AS sample
    FROM json_each(?) AS c CROSS JOIN uplink ON uplink.seq = c.value JOIN outcome ON outcome.seq = c.value WHERE {sift}
    GROUP BY converter, error)
"""
_DEAD = f"""
SELECT json_group_array(json_array(integration, error, json(datasources), count, first, last, sample)) FROM (
    SELECT integration, error, json_group_array(DISTINCT datasource) AS datasources, count(*) AS count,
        min(received_ms) AS first, max(received_ms) AS last, max(uplink) AS sample
    FROM (SELECT integration, error, datasource, received_ms, uplink, seq FROM parked
        WHERE integration IN (SELECT id FROM name WHERE text IN (SELECT value FROM json_each(?)))
            AND state = {DeliveryState.DEAD.value} AND tenant = ? AND received_ms >= ? AND received_ms < ?
            AND (? OR datasource = ?) AND (? OR device_name = ?)
        ORDER BY seq DESC LIMIT {DEAD})
    GROUP BY integration, error ORDER BY max(seq) DESC LIMIT {TEXTS})
"""
_LATEST = 1 << 53


class FailureSearch:
    """Groups failures on one connection. ``time(query, position)`` says when the first message from there on was received."""

    def __init__(self, ask: Ask, names: NameTable, time: Callable[[MessageQuery, int], DateMs]) -> None:
        self._ask = ask
        self._names = names
        self._time = time

    def conversions(self, query: MessageQuery, before: int) -> FoundFailures:
        """Groups of the failed messages of a query before a position; of `FAILURES` of them at most."""
        tenant, datasource = self._names.get(query.tenant, -1), self._names.get(query.datasource or "", -1)
        low, high = lowest(query, self._ask), highest(query, self._ask, before)
        groups, looked_to = list[FailureGroup](), min(low, high)
        for scan in Scans(query, tenant, datasource).all() if low < high else []:
            leg = scan.run(self._ask, low, high, FAILURES * LOOK_UP, FAILURES)
            looked_to = max(looked_to, leg.looked_to)
            rows = self._rows(_FAILED.format(sift=scan.sift.text), as_array(leg.positions), *scan.sift.values)
            groups += map(self._conversion, rows)
        next = looked_to if looked_to > low else 0
        return FoundFailures(merged(groups), next, self._time(query, looked_to))

    def deliveries(self, query: MessageQuery, integrations: tuple[str, ...]) -> list[FailureGroup]:
        """Groups of the dead letters of these integrations (ids), by their errors."""
        since_ms = query.since.date_ms if query.since is not None else 0
        until_ms = query.until.date_ms if query.until is not None else _LATEST
        rows = self._rows(
            _DEAD, msgspec.json.encode(integrations).decode(), self._names.get(query.tenant, -1), since_ms, until_ms,
            query.datasource is None, self._names.get(query.datasource or "", -1), query.device is None, query.device,
        )  # fmt: skip
        return merged(map(self._delivery, rows))

    def _conversion(self, row: _Row) -> FailureGroup:
        texts = self._names.texts
        number, text, datasources, count, first_ms, last_ms, sample = row
        converter, error = texts[number], _error(text) if text else ConversionError("")
        id = conversion_group(converter, error)
        names = tuple([texts[each] for each in datasources])
        return FailureGroup(id, "conversion", converter, error, names, count, first_ms, last_ms, sample)

    def _delivery(self, row: _Row) -> FailureGroup:
        texts = self._names.texts
        number, text, datasources, count, first_ms, last_ms, sample = row
        integration, error = texts[number], ConversionError(text or "", stage="delivery", name="Dead")
        id = group_id("delivery", integration, pattern(error.message))
        names = tuple([texts[each] for each in datasources])
        return FailureGroup(id, "delivery", integration, error, names, count, first_ms, last_ms, sample)

    def _rows(self, query: str, *values: object) -> list[_Row]:
        (text,) = self._ask(query, *values)
        return _rows(text if isinstance(text, str) else "[]")
