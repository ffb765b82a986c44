"""Dates of records that were received while the machine's clock was certainly wrong, as a target is to get them.

By the time a record is sent, the right date may be known. Then the record has it, and so have readings that got their
time by receipt. Else such readings are marked by a value.
"""

from __future__ import annotations

from typing import Any

import msgspec

from iotgw.core import plain_json
from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.times import DateMs

UNSURE = "clockUnsure"
"""The value that marks a reading whose time is that of its receipt, by a clock that was wrong."""

_decode = plain_json.reader()
_encode = msgspec.json.Encoder().encode


def dated(calendar: ICalendar, records: list[TelemetryRecord]) -> list[TelemetryRecord]:
    """The records as they are to be sent now. The caller looks at `ICalendar.has_doubts` first, so that a gateway whose
    clock was always right pays nothing."""
    return [
        _dated(calendar, record) if calendar.is_unsure(record.received_ms) else record for record in records
    ]


def _dated(calendar: ICalendar, record: TelemetryRecord) -> TelemetryRecord:
    date_ms = calendar.mended_ms(record.received_ms)
    if record.kind is Kind.EVENT:
        return msgspec.structs.replace(record, received_ms=date_ms)
    body = _decode(record.body)
    for entry in body.get("telemetry", ()):
        if entry["ts"] == record.received_ms:
            _mend(entry, record.received_ms, date_ms)
    return msgspec.structs.replace(record, received_ms=date_ms, body=_encode(body))


def _mend(entry: dict[str, Any], before_ms: DateMs, date_ms: DateMs) -> None:
    if date_ms == before_ms:
        entry["values"][UNSURE] = True
    else:
        entry["ts"] = date_ms
