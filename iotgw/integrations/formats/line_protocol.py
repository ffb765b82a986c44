"""InfluxDB's line protocol, which VictoriaMetrics, QuestDB, Telegraf and others take too: a line per time.

The measurement is the device's type, the tag ``device`` its name; times are nanoseconds. All numbers are floats: 21 is 21.5 tomorrow, and a field's
type is fixed by the first that comes. https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from iotgw.core.model import TelemetryRecord
from iotgw.integrations.formats.readings import or_attributes
from iotgw.integrations.template_data import influx_field, influx_name

CONTENT_TYPE = "text/plain; charset=utf-8"


def line_protocol(record: TelemetryRecord) -> bytes:
    """A record's lines, without a line end after the last. Raises NothingToSay."""
    series = influx_name(record.device_type or "default", "measurement")
    if record.device_name:
        series += f",device={influx_name(record.device_name)}"
    lines = []
    for ts, values in or_attributes(record):
        fields = ",".join(f"{_key(key)}={influx_field(value)}" for key, value in values.items())
        lines.append(f"{series} {fields} {math.floor(ts * 1_000_000)}")
    return "\n".join(lines).encode()


def _key(key: str) -> str:
    """A field's key. None may be called ``time``."""
    return "time_" if key == "time" else influx_name(key)


def together(bodies: Sequence[bytes]) -> bytes:
    """The lines of several records."""
    return b"\n".join(bodies) + b"\n"
