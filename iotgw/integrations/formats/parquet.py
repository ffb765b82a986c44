"""Apache Parquet: a row per value, so that whatever devices send has the same columns in each file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from iotgw.core.model import TelemetryRecord
from iotgw.integrations.formats.readings import is_number, or_attributes
from iotgw.wire.parquet import Column, write

CONTENT_TYPE = "application/vnd.apache.parquet"
SUFFIX = "parquet"
COLUMNS = (
    Column("time", "time"),
    Column("device", "text"),
    Column("type", "text"),
    Column("key", "text"),
    Column("number", "number", optional=True),
    Column("text", "text", optional=True),
    Column("truth", "truth", optional=True),
)
FARTHEST = (1 << 63) - 1
"""Milliseconds: more than a time of Parquet can be."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode
_json = msgspec.json.Encoder().encode


def rows(record: TelemetryRecord) -> bytes:
    """A record's rows, of which `file` makes a file. Raises NothingToSay."""
    device, type_ = record.device_name, record.device_type
    return _encode(
        [
            (max(-FARTHEST, min(FARTHEST, int(ts))), device, type_, key, *_value(value))
            for ts, values in or_attributes(record)
            for key, value in values.items()
        ]
    )


def file(bodies: Sequence[bytes]) -> bytes:
    """One file of the rows of several records, in their order."""
    return write(COLUMNS, [row for body in bodies for row in _decode(body)])


def _value(value: Any) -> tuple[float | None, str | None, bool | None]:
    """A value in one of its three columns: a number, a text (also JSON of a list or an object), or a truth."""
    if isinstance(value, bool):
        return None, None, value
    if is_number(value):
        try:
            return float(value), None, None
        except OverflowError:
            return None, str(value), None
    return None, value if isinstance(value, str) else _json(value).decode(), None
