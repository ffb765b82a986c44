"""Facts about a record besides its body: its ids outside of the gateway, and the values that templates may
use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from iotgw.core import plain_json
from iotgw.core.epochs import Epochs
from iotgw.core.model import TelemetryRecord
from iotgw.core.parts import Part

_decode = plain_json.reader()
_encode = msgspec.json.Encoder().encode


class RecordNames:
    """The ids of a record outside of the gateway: its message, its delivery, its datasource."""

    def __init__(self, epochs: Epochs, datasource_name: Callable[[str], str]) -> None:
        self.epochs = epochs
        self.key = epochs.key
        """The idempotency key of a record: one message may make several, so it has the record's position too."""
        self._datasource_name = datasource_name
        self._encoded: dict[str, bytes] = {}

    def message(self, record: TelemetryRecord) -> str:
        """The id of the message it came from."""
        return self.epochs.id_of(record)

    def number(self, record: TelemetryRecord) -> str:
        """The record's position, as nothing else is called: `Epochs.number`."""
        return self.epochs.number(record)

    def datasource(self, record: TelemetryRecord) -> str:
        """The name of its datasource."""
        return self._datasource_name(record.datasource)

    def datasource_json(self, record: TelemetryRecord) -> bytes:
        """The same as JSON text."""
        name = self._datasource_name(record.datasource)
        try:
            return self._encoded[name]
        except KeyError:
            if len(self._encoded) > 1000:
                self._encoded.clear()
            return self._encoded.setdefault(name, _encode(name))


def facts(names: RecordNames, record: TelemetryRecord) -> dict[str, Any]:
    """The values that a template may use. ``values`` are the latest of each key, ``ts`` is the latest time. A part that is about one key
    has ``name`` and ``value``."""
    body = _decode(record.body)
    telemetry = body.get("telemetry") or []
    latest: dict[str, Any] = {}
    for entry in sorted(telemetry, key=lambda entry: entry["ts"]):
        latest |= entry["values"]
    attributes = body.get("attributes") or {}
    received = datetime.fromtimestamp(record.received_ms / 1000, UTC)
    found = {
        "id": names.message(record),
        "key": names.key(record),
        "receivedAt": record.received_ms,
        "datasource": names.datasource(record),
        "deviceName": record.device_name,
        "deviceType": record.device_type,
        "attributes": attributes,
        "telemetry": telemetry,
        "values": latest,
        "ts": max((entry["ts"] for entry in telemetry), default=record.received_ms),
        "kind": record.kind.name.lower(),
        "body": body,
        "date": f"{received:%Y-%m-%d}",
        "time": f"{received:%H-%M-%S}",
    }
    if isinstance(record, Part) and record.name:
        found |= {"name": record.name, "value": latest.get(record.name, attributes.get(record.name))}
    return found
