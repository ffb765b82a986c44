"""CloudEvents 1.0, as structured JSON: the standard document as an event's data.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import msgspec

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.parts import Part
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.readings import iso

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
BATCH_TYPE = "application/cloudevents-batch+json; charset=utf-8"
_HEAD = b'{"specversion":"1.0","id":"'
"""The begin of an event, up to its id, in which nothing has to be escaped."""
_encode = msgspec.json.Encoder().encode


def cloudevents(
    names: RecordNames, standard: Callable[[TelemetryRecord], bytes]
) -> Callable[[TelemetryRecord], bytes]:
    """Makes events of records. Their ``id`` is the delivery's key, so a repetition is known by it and ``source``."""

    def rest(record: TelemetryRecord) -> bytes:
        """All of an event but its id and its data."""
        event = {
            "source": f"/iotgw/{quote(names.datasource(record), safe='')}",
            "type": "iotgw.event" if record.kind is Kind.EVENT else "iotgw.telemetry",
            "time": iso(record.received_ms),
            "datacontenttype": "application/json",
        }
        if record.device_name:  # a subject that is there isn't empty
            event["subject"] = record.device_name
        return b'",' + _encode(event)[1:-1] + b',"data":'

    def make(record: TelemetryRecord) -> bytes:
        key = names.key(record).encode()
        if not isinstance(record, Part):
            return b"".join((_HEAD, key, rest(record), standard(record), b"}"))
        common = record.shared.get(make)
        if common is None:
            common = record.shared[make] = rest(record)
        return b"".join((_HEAD, key, common, standard(record), b"}"))

    return make
