"""Records as files: JSON, NDJSON, or CSV with a stable header."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from iotgw.core import private
from iotgw.core.model import TelemetryRecord
from iotgw.integrations.payload import Format

FIXED = ["time", "deviceName", "deviceType"]
MAX_COLUMNS = 1000
"""Most value columns of a CSV file; further keys are left out, so that a device can't widen it without end."""


class Columns:
    """The value columns per device type, kept in a file. New keys are added on the right; columns never
    move."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._known: dict[str, list[str]] = {}
        if self._path is not None:
            with contextlib.suppress(OSError, msgspec.DecodeError):
                self._known = msgspec.json.decode(self._path.read_bytes(), type=dict[str, list[str]])

    def of(self, device_type: str, keys: Sequence[str]) -> list[str]:
        """The columns of a device type, with these keys among them."""
        columns = self._known.setdefault(device_type, [])
        new = sorted(set(keys).difference(columns))[: MAX_COLUMNS - len(columns)]
        if new:
            columns += new
            self._keep()
        return columns

    def _keep(self) -> None:
        if self._path is not None:
            temporary = self._path.with_suffix(".new")
            private.write_file(temporary, msgspec.json.encode(self._known))
            os.replace(temporary, self._path)


def json_file(records: Sequence[TelemetryRecord], make: Format) -> bytes:
    """An array of documents, also of one: who reads a batch needn't ask which it is."""
    return b"[" + b",\n".join(make(record) for record in records) + b"]\n"


def ndjson_file(records: Sequence[TelemetryRecord], make: Format) -> bytes:
    """A document per line."""
    return b"".join(make(record) + b"\n" for record in records)


def csv_file(records: Sequence[TelemetryRecord], columns: Columns) -> bytes:
    """A row per time of each record; all of one device type."""
    rows: list[tuple[str, str, str, dict[str, Any]]] = []
    for record in records:
        body = msgspec.json.decode(record.body)
        entries = body.get("telemetry") or [
            {"ts": record.received_ms, "values": body.get("attributes") or {}}
        ]
        rows += [
            (_iso(entry["ts"]), record.device_name, record.device_type, entry["values"]) for entry in entries
        ]
    keys = dict.fromkeys(key for row in rows for key in row[3])
    header = columns.of(records[0].device_type, list(keys))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(FIXED + [_cell(key) for key in header])
    for moment, name, type_, found in rows:
        writer.writerow([moment, _cell(name), _cell(type_), *(_cell(found.get(key)) for key in header)])
    return out.getvalue().encode()


def _iso(ts: float) -> str:
    try:
        return (
            datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
    except (OverflowError, ValueError, OSError):
        return str(ts)


FORMULAS = frozenset("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes for the beginning of a formula, in full width too."""


def _cell(value: Any) -> str:
    """A value as a cell; text that a spreadsheet would run as a formula gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value[:1] in FORMULAS else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else msgspec.json.encode(value).decode()
