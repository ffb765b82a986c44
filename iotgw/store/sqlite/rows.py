"""Rows of the journal as the reader gets them, as JSON, and the values that they stand for.

Tenants, datasources and converters are numbers in a row; ``texts`` (`NameTable.texts`) has what they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from iotgw.core.model import Kind, StoredUplink, TelemetryRecord, Uplink
from iotgw.core.times import DateMs

UPLINK = "json_array(seq, tenant, datasource, received_ms, cast(metadata AS text), hex(payload))"
"""SQL for an `UplinkRow`."""
RECORD = "seq, uplink, tenant, datasource, received_ms, kind, device_name, device_type, cast(body AS text)"
"""SQL for the fields of a `RecordRow`."""
_KINDS = {kind.value: kind for kind in Kind}


class UplinkRow(Struct, array_like=True, gc=False):
    """A row of the table ``uplink``; its payload is in hex."""

    seq: int
    tenant: int
    datasource: int
    received_ms: DateMs
    metadata: str
    payload: str

    def stored(self, texts: Mapping[int, str]) -> StoredUplink:
        """The uplink with its position."""
        payload, metadata = bytes.fromhex(self.payload), self.metadata.encode()
        uplink = Uplink(texts[self.tenant], texts[self.datasource], self.received_ms, payload, metadata)
        return StoredUplink(self.seq, uplink)


class RecordRow(Struct, array_like=True, gc=False):
    """A row of the table ``telemetry``, or what ``parked`` has of one."""

    seq: int
    uplink: int
    tenant: int
    datasource: int
    received_ms: DateMs
    kind: int
    device_name: str
    device_type: str
    body: str

    def record(self, texts: Mapping[int, str]) -> TelemetryRecord:
        """The telemetry record."""
        return TelemetryRecord(
            self.seq, self.uplink, texts[self.tenant], texts[self.datasource], self.received_ms,
            self.device_name, self.device_type, self.body.encode(), _KINDS[self.kind],
        )  # fmt: skip
