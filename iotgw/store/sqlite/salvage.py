"""Reads what is left of a stream whose pages are damaged, record by record.

An unreadable database page takes some twenty records with it, and every query that touches it fails. So the requested
range is halved until each part can be read or is a single position. A record that can't be read at all is replaced by
a stand-in, so that the reader knows which position it skips.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from iotgw.core.model import DeliveryState, Kind, Parked, StoredUplink, TelemetryRecord, Uplink
from iotgw.core.stream import WEIGHT
from iotgw.core.times import DateMs

R = TypeVar("R")


def salvaged(
    read: Callable[[int, int, int], list[R]],
    read_one: Callable[[int], list[R]],
    stand_in: Callable[[int, str], R],
    works: Callable[[], object],
    weigh: Callable[[R], int],
    after: int,
    last: int,
    limit: int,
) -> list[R]:
    """The records with after < seq <= last, as ``read(after, last, limit)`` would return them. Each one that neither
    it nor ``read_one(seq)`` can read is replaced by ``stand_in(seq, reason)``.

    ``works()`` raises if nothing at all can be read; then this raises too, and nothing is skipped.
    """
    found: list[R] = []
    weight = 0
    ranges = [(after, last)]
    while ranges and len(found) < limit and weight < WEIGHT:
        low, high = ranges.pop()
        if low >= high:
            continue
        try:
            records = read(low, high, limit - len(found))
        except Exception:  # whatever a damaged page makes of itself
            if high - low > 1:
                middle = (low + high) // 2
                ranges += [(middle, high), (low, middle)]
                continue
            # A range looks one record beyond its end, which may be the damaged one.
            try:
                records = read_one(high)
            except Exception as error:
                works()
                records = [stand_in(high, str(error) or type(error).__name__)]
        found += records
        weight += sum(map(weigh, records))
    return found


def unreadable_uplink(seq: int, datasource: str, reason: str) -> StoredUplink:
    """Stands for an uplink that can't be read."""
    metadata = msgspec.json.encode({"rejected": f"the journal can't read it: {reason}", "unreadable": True})
    return StoredUplink(seq, Uplink("", datasource, DateMs(0), b"", metadata))


def unreadable_record(seq: int, reason: str) -> TelemetryRecord:
    """Stands for a telemetry record that can't be read. It has no tenant, so no route lets it through."""
    return TelemetryRecord(seq, 0, "", "", DateMs(0), "", "", reason.encode(), Kind.UNREADABLE)


def unreadable_row(integration: str, seq: int, reason: str) -> Parked:
    """Stands for a parked record or dead letter that can't be read."""
    return Parked(integration, unreadable_record(seq, reason), DeliveryState.DROPPED, 0, 0, reason)
