"""When Tekelek samples were taken. A frame carries only the device's clock as hh:mm, without a date.

The formulas are the vendor's (workbook CF-5018-20, sheet 822, cells B66…B93). The date is the latest one that
doesn't lie in the future. Whether the device's clock runs on UTC or on local time is not documented, so the
datasource has a setting for it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from iotgw.wire.tekelek.frame import ALARM, DELAYED, MANUAL_BIT, SCHEDULED, TSP_BIT, Header

MINUTE_MS = 60_000
SLOTS = 28
ALARM_SLOTS = 10
_QUARTER = 0x80
"""Bit 7 of the logger speed: the sampling period is 15 minutes, otherwise 1."""


def logger_minutes(speed: int) -> int:
    """The minutes between two logged samples, from the logger speed byte (a copy of S0)."""
    if speed in (0x00, _QUARTER):
        return 15 if speed else 1
    return (speed & 0x7F) * 15


def sample_times(
    header: Header, frame: bytes, received_ms: int, zone: tzinfo = UTC
) -> tuple[tuple[int, ...], bool]:
    """The time of each sample slot in ms since 1970, newest first, and whether the device's clock gave them.

    ``frame`` is a whole frame of type 4, 8 or 9. If the clock isn't set, the time of receipt is used.
    """
    hours, speed, minutes = frame[19] & 0x1F, frame[23], frame[25]
    is_manual = bool(header.contact & MANUAL_BIT)
    on_clock = header.rtc_set and hours < 24 and minutes < 60
    if on_clock:
        if speed & _QUARTER and not is_manual:
            minutes -= minutes % 15
        base = nearest_past(hours, minutes, received_ms, zone)
    else:
        base = received_ms
    if header.message_type == SCHEDULED:
        step, slots = logger_minutes(speed), SLOTS
    elif header.message_type in (ALARM, DELAYED):
        slots = ALARM_SLOTS
        is_same_moment = is_manual or header.contact & TSP_BIT
        step = 0 if is_same_moment else 15 if speed & _QUARTER else 1
    else:
        return (), on_clock
    return tuple(base - slot * step * MINUTE_MS for slot in range(slots)), on_clock


def nearest_past(hours: int, minutes: int, received_ms: int, zone: tzinfo) -> int:
    """The last hh:mm on the zone's wall clock that is not more than an hour after ``received_ms``."""
    try:
        now = datetime.fromtimestamp(received_ms / 1000, zone)
        there = now.replace(hour=hours, minute=minutes, second=0, microsecond=0, fold=0)
        if there.timestamp() > received_ms / 1000 + 3600:
            there -= timedelta(days=1)
        else:
            # shortly before midnight the device's clock may already show tomorrow's first hour
            tomorrow = there + timedelta(days=1)
            if tomorrow.timestamp() <= received_ms / 1000 + 3600:
                there = tomorrow
        return int(there.timestamp() * 1000)
    except (OverflowError, ValueError, OSError):
        return received_ms
