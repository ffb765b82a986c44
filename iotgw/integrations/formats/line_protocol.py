"""InfluxDB's line protocol, which VictoriaMetrics, QuestDB, Telegraf and others take too: a line per time.

The measurement is the device's type, the tag ``device`` its name; times are nanoseconds. All numbers are floats: 21 is 21.5 tomorrow, and a field's
type is fixed by the first that comes. https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from iotgw.core.model import TelemetryRecord
from iotgw.integrations.formats.readings import names_of, or_attributes
from iotgw.integrations.template_data import influx_field, influx_name

CONTENT_TYPE = "text/plain; charset=utf-8"
_ESCAPED = re.compile(r"\\([,= ])")


def line_protocol(record: TelemetryRecord) -> bytes:
    """A record's lines, without a line end after the last. Raises NothingToSay."""
    series = influx_name(record.device_type or "default", "measurement")
    if record.device_name:
        series += f",device={influx_name(record.device_name)}"
    lines = []
    found = or_attributes(record)
    names = _keys(key for _, values in found for key in values)
    for ts, values in found:
        fields = ",".join([f"{names[key]}={influx_field(value)}" for key, value in values.items()])
        lines.append(f"{series} {fields} {math.floor(ts * 1_000_000)}")
    return "\n".join(lines).encode()


def _keys(keys: Iterable[str]) -> dict[str, str]:
    """Each with a field's key of its own."""
    names = {key: _key(key) for key in keys}
    if len(set(names.values())) == len(names):
        return names
    own = names_of(names, lambda key: _ESCAPED.sub(r"\1", _key(key)))
    return {key: influx_name(name) for key, name in own.items()}


def _key(key: str) -> str:
    """A field's key. None may be called ``time``."""
    return "time_" if key == "time" else influx_name(key)


def together(bodies: Sequence[bytes]) -> bytes:
    """The lines of several records."""
    return b"\n".join(bodies) + b"\n"
