"""OpenMetrics 1.0 as text: a gauge per key, with the device's name and type as labels. Truths are 1 and 0; texts are left out.
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from iotgw.core.model import TelemetryRecord
from iotgw.integrations.formats.readings import (
    NothingToSay,
    is_number,
    names_of,
    only,
    or_attributes,
    seconds,
)

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
END = b"# EOF\n"
_LABEL = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_encode = msgspec.json.Encoder().encode


def openmetrics(record: TelemetryRecord) -> bytes:
    """A record's families. Raises NothingToSay."""
    name, kind = record.device_name.translate(_LABEL), record.device_type.translate(_LABEL)
    labels = f'{{device="{name}",type="{kind}"}}'
    families: dict[str, list[str]] = {}
    found = or_attributes(record)
    names = names_of((key for _, values in found for key in values), _metric)
    for ts, values in found:
        for key, value in values.items():
            if is_number(value) or isinstance(value, bool):
                metric = names[key]
                number = _encode(int(value) if isinstance(value, bool) else value).decode()
                families.setdefault(metric, []).append(f"{metric}{labels} {number} {seconds(ts)}\n")
    if not families:
        raise NothingToSay("it has no numbers")
    return _text({metric: "".join(samples).encode() for metric, samples in families.items()})


def _metric(key: str) -> str:
    """A metric's name, which doesn't begin with a digit."""
    made = only("a-zA-Z0-9_:", key)
    return f"_{made}" if not made or made[0].isdigit() else made


def together(bodies: Sequence[bytes]) -> bytes:
    """The families of several records, each once; in it the samples of a series stand together and in the order of their times."""
    families: dict[str, dict[bytes, list[bytes]]] = {}
    for body in bodies:
        series: dict[bytes, list[bytes]] = {}
        for line in body.removesuffix(END).split(b"\n")[:-1]:  # a label's own line ends are escaped
            if line.startswith(b"#"):
                series = families.setdefault(line.split()[2].decode(), {})
            else:
                series.setdefault(line.rsplit(b" ", 2)[0], []).append(line + b"\n")
    return _text(
        {
            metric: b"".join(sample for samples in series.values() for sample in sorted(samples, key=_time))
            for metric, series in families.items()
        }
    )


def _time(sample: bytes) -> float:
    return float(sample.rpartition(b" ")[2])


def _text(families: dict[str, bytes]) -> bytes:
    return (
        b"".join(b"# TYPE %b gauge\n%b" % (name.encode(), samples) for name, samples in families.items())
        + END
    )
