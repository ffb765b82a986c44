"""What a device measured over time."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from iotgw.core import plain_json
from iotgw.core.message_query import Instant
from iotgw.core.model import TelemetryRecord
from iotgw.core.times import DateMs


class SeriesQuery(Struct, frozen=True, kw_only=True):
    """Readings of a device with since <= ts < until. They are looked for in messages that were received since then, so one that a device
    dates into the future may be missing.

    ``keys``: these alone; all where there is none. ``every_ms`` is the width of a bucket, 0 for single readings.
    """

    tenant: str
    device: str
    keys: tuple[str, ...] = ()
    since: Instant | None = None
    until_ms: DateMs | None = None
    every_ms: int = 0


class Bucket(Struct, frozen=True, omit_defaults=True):
    """The readings of one key in a span of time."""

    ts: Annotated[int, Meta(description="When it begins: milliseconds since 1970.")]
    count: Annotated[int, Meta(description="How many readings are in it.")]
    min: Annotated[float | None, Meta(description="The least one that is a number.")] = None
    max: Annotated[float | None, Meta(description="The largest one that is a number.")] = None
    mean: Annotated[float | None, Meta(description="The mean of those that are numbers.")] = None


class SeriesValue(Struct, frozen=True):
    """One value of one key."""

    ts: Annotated[int, Meta(description="When it was read: milliseconds since 1970.")]
    value: Annotated[Any, Meta(description="What was read.")]


class FoundSeries(Struct, frozen=True):
    """Buckets or readings by key, by time.

    The search goes on with messages before position ``next``; 0 when it has come to its end. All that was received at
    ``looked_back_to`` or later is in it.
    """

    buckets: dict[str, list[Bucket]]
    readings: dict[str, list[SeriesValue]]
    next: int
    looked_back_to: DateMs


class _Entry(Struct):
    ts: int
    values: dict[str, Any] = {}


class _Body(Struct):
    telemetry: list[_Entry] = []


_body = plain_json.reader(_Body)


def readings(query: SeriesQuery, records: list[TelemetryRecord]) -> dict[str, list[SeriesValue]]:
    """The readings of records that a query asks for."""
    since_ms = query.since.date_ms if query.since is not None else 0
    found: dict[str, list[SeriesValue]] = {}
    for record in records:
        for entry in _body(record.body).telemetry:
            if entry.ts < since_ms or (query.until_ms is not None and entry.ts >= query.until_ms):
                continue
            for key, value in entry.values.items():
                if not query.keys or key in query.keys:
                    found.setdefault(key, []).append(SeriesValue(entry.ts, value))
    for some in found.values():
        some.sort(key=lambda reading: reading.ts)
    return found


def buckets(query: SeriesQuery, found: dict[str, list[SeriesValue]]) -> dict[str, list[Bucket]]:
    """Readings in buckets, as a store without a faster way makes them."""
    result: dict[str, list[Bucket]] = {}
    for key, some in found.items():
        by_time: dict[int, list[Any]] = {}
        for reading in some:
            by_time.setdefault(reading.ts - reading.ts % query.every_ms, []).append(reading.value)
        result[key] = [_bucket(ts, values) for ts, values in sorted(by_time.items())]
    return result


def _bucket(ts: int, values: list[Any]) -> Bucket:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if not numbers:
        return Bucket(ts, len(values))
    return Bucket(ts, len(values), min(numbers), max(numbers), sum(numbers) / len(numbers))
