"""The date of an uplink that came while the machine's clock was certainly wrong, such as before its first NTP answer."""

from __future__ import annotations

from iotgw.core.ports.clock import ICalendar
from iotgw.core.times import DateMs

UNSURE = b'"clockUnsure":true'
"""Metadata for the converter: the time of receipt is wrong, and nobody knows the right one."""


def dated(calendar: ICalendar, received_ms: DateMs, metadata: bytes) -> tuple[DateMs, bytes]:
    """The date that it really was, if it is known by now; else the one that was stored, and metadata (JSON) that says so."""
    mended_ms = calendar.mended_ms(received_ms)
    if mended_ms != received_ms or not calendar.is_unsure(received_ms):
        return mended_ms, metadata
    return received_ms, b"{" + UNSURE + (b"}" if metadata == b"{}" else b"," + metadata[1:])
