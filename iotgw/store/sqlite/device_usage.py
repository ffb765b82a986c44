"""What devices used, by day. There may be a hundred thousand of them, so a page goes along their names as far as it needs, and looks up each one's days."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from iotgw.core.ports.usage import Amounts, UsageQuery, UsageRow
from iotgw.store.sqlite.database import as_array
from iotgw.store.usage_times import DAY_MS

_Row = tuple[int, str, str, str, int | None, int | None, int | None, int | None, int | None, float | None]
_rows = msgspec.json.Decoder(list[_Row]).decode
_FROM = """
FROM device CROSS JOIN device_day ON device_day.device = device.number AND device_day.at IN (SELECT value FROM json_each(?)){where}
"""
_SUMS = """
SELECT json_group_array(json_array(0, tenant, '', name, messages, bytes, errors, 0, 0, 0.0)) FROM (
    SELECT tenant, name, sum(messages) AS messages, sum(bytes) AS bytes, sum(errors) AS errors {source}
    GROUP BY tenant, name ORDER BY tenant, name LIMIT ? OFFSET ?)
"""
_OF_DAY = """
SELECT json_group_array(json_array(begun, tenant, '', name, messages, bytes, errors, 0, 0, 0.0)) FROM (
    SELECT at * 86400000 AS begun, tenant, name, messages, bytes, errors {source} ORDER BY tenant, name LIMIT ? OFFSET ?)
"""
_COUNT = "SELECT count(*) {source}"


def usage_rows(text: str) -> list[UsageRow]:
    """Rows that came as one JSON text."""
    return [
        UsageRow(at, tenant, id, name, Amounts(*(value or 0 for value in sums)))  # type: ignore[arg-type]
        for at, tenant, id, name, *sums in _rows(text)
    ]


def of_devices(connection: sqlite3.Connection, query: UsageQuery) -> list[UsageRow]:
    """The rows of a query about devices: by name, or by day and name."""
    days, conditions, values = _days(connection, query), [], list[Any]()
    for column, value in (("tenant", query.tenant), ("name", query.name or None)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    source = _FROM.format(where=f" WHERE {' AND '.join(conditions)}" if conditions else "")
    if query.every == "all":
        (text,) = connection.execute(
            _SUMS.format(source=source), (as_array(days), *values, query.limit, query.offset)
        ).fetchone()
        return usage_rows(text)
    found, offset = list[UsageRow](), query.offset
    for day in days:
        given = (as_array([day]), *values)
        if offset:
            (count,) = connection.execute(_COUNT.format(source=source), given).fetchone()
            if count <= offset:
                offset -= count
                continue
        (text,) = connection.execute(
            _OF_DAY.format(source=source), (*given, query.limit - len(found), offset)
        ).fetchone()
        found += usage_rows(text)
        offset = 0
        if len(found) >= query.limit:
            break
    return found


def _days(connection: sqlite3.Connection, query: UsageQuery) -> list[int]:
    """The days that are asked for and kept, in order."""
    first, last = connection.execute(
        "SELECT (SELECT min(at) FROM device_day), (SELECT max(at) FROM device_day)"
    ).fetchone()
    if first is None:
        return []
    if query.since:
        first = max(first, query.since // DAY_MS)
    if query.until:
        last = min(last, -(-query.until // DAY_MS) - 1)
    return list(range(first, last + 1))
