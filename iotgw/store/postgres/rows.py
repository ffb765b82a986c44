"""Rows of the journal, and the values that they stand for. Tenants, datasources and converters are numbers; ``texts`` has what they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from iotgw.core.model import Attempt, DeliveryState, Kind, Parked, StoredUplink, TelemetryRecord, Uplink
from iotgw.core.times import DateMs

UPLINK = "seq, tenant, datasource, received_ms, metadata, payload"
"""Columns of a `stored_uplink`."""
RECORD = "seq, uplink, tenant, datasource, received_ms, kind, device_name, device_type, body"
"""Columns of a `telemetry_record`."""
PARKED = f"state, attempts, next_try_ms, error, tries, {RECORD}"
"""Columns of a `parked_delivery`."""
_tries = msgspec.json.Decoder(tuple[Attempt, ...]).decode
_KINDS = {kind.value: kind for kind in Kind}
Row = tuple[Any, ...]
Texts = Mapping[int, str]


def stored_uplink(row: Row, texts: Texts) -> StoredUplink:
    """An uplink with its position."""
    seq, tenant, datasource, received_ms, metadata, payload = row
    return StoredUplink(seq, Uplink(texts[tenant], texts[datasource], DateMs(received_ms), payload, metadata))


def telemetry_record(row: Row, texts: Texts) -> TelemetryRecord:
    """A record."""
    seq, uplink, tenant, datasource, received_ms, kind, device_name, device_type, body = row
    return TelemetryRecord(
        seq, uplink, texts[tenant], texts[datasource], DateMs(received_ms), device_name.decode(), device_type.decode(), body,
        _KINDS[kind],
    )  # fmt: skip


def latest_tries(stored: bytes) -> tuple[Attempt, ...]:
    """The attempts that are kept of a delivery."""
    return _tries(stored) if stored else ()


def parked_delivery(integration: str, row: Row, texts: Texts) -> Parked:
    """A delivery that is kept apart."""
    state, attempts, next_try_ms, error, tries = row[:5]
    record = telemetry_record(row[5:], texts)
    return Parked(
        integration, record, DeliveryState(state), attempts, next_try_ms, error.decode(), latest_tries(tries)
    )  # fmt: skip
