"""CloudEvents 1.0, as structured JSON: the standard document as an event's data.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import msgspec

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.readings import iso

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
BATCH_TYPE = "application/cloudevents-batch+json; charset=utf-8"
_encode = msgspec.json.Encoder().encode


def cloudevents(
    names: RecordNames, standard: Callable[[TelemetryRecord], bytes]
) -> Callable[[TelemetryRecord], bytes]:
    """Makes events of records. Their ``id`` is the delivery's key, so a repetition is known by it and ``source``."""

    def make(record: TelemetryRecord) -> bytes:
        event = {
            "specversion": "1.0",
            "id": names.key(record),
            "source": f"/iotgw/{quote(names.datasource(record), safe='')}",
            "type": "iotgw.event" if record.kind is Kind.EVENT else "iotgw.telemetry",
            "time": iso(record.received_ms),
            "datacontenttype": "application/json",
        }
        if record.device_name:  # a subject that is there isn't empty
            event["subject"] = record.device_name
        return _encode(event)[:-1] + b',"data":' + standard(record) + b"}"

    return make
