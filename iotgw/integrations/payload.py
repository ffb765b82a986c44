"""Formats a record for a target. Bodies are spliced, not decoded, where possible."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Any

import msgspec

from iotgw.core import plain_json
from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.parts import Part
from iotgw.core.specs import IntegrationSpec
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.cloudevents import cloudevents
from iotgw.integrations.formats.line_protocol import line_protocol
from iotgw.integrations.formats.ngsi_ld import ngsi_ld
from iotgw.integrations.formats.openmetrics import openmetrics
from iotgw.integrations.formats.parquet import rows
from iotgw.integrations.formats.senml import senml
from iotgw.integrations.formats.table import bodies_of
from iotgw.integrations.template import Template

Format = Callable[[TelemetryRecord], bytes]

_decode = plain_json.reader()
_encode = msgspec.json.Encoder().encode


class Entry(msgspec.Struct):
    """Values of one time."""

    ts: int
    values: dict[str, Any]


class Document(msgspec.Struct, rename="camel", omit_defaults=True):
    """The standard document: one device's output of one message. Its JSON Schema is published from here.

    ``id`` names the message, ``receivedAt`` and ``ts`` are milliseconds since 1970 UTC; ``datasource`` is
    the name of the one that received it. ``key`` identifies the delivery: it is unique, and stays the same when
    a delivery is repeated.
    """

    id: str
    key: str
    received_at: int
    datasource: str
    device_name: str
    device_type: str
    attributes: dict[str, Any] = {}
    telemetry: list[Entry] = []
    asset_name: str = ""
    asset_type: str = ""
    customer_name: str = ""
    group_name: str = ""


def schema() -> dict[str, Any]:
    """The JSON Schema of the standard document."""
    made = msgspec.json.schema(Document)
    for part in made["$defs"].values():
        part["description"] = cleandoc(part["description"])  # msgspec does that from 0.23 on
    return made


def standard(names: RecordNames) -> Format:
    """`Document` as JSON."""
    epochs, datasource = names.epochs, names.datasource_json
    epoch, first_uplink, first_record = epochs.current.encode(), epochs.uplink, epochs.telemetry

    def make(record: TelemetryRecord) -> bytes:
        uplink, seq = record.uplink, record.seq
        if uplink <= first_uplink or seq <= first_record:
            return b'{"id":"%b","key":"%b","receivedAt":%d,"datasource":%b,%b' % (
                epochs.id_of(record).encode(), epochs.key(record).encode(), record.received_ms,
                datasource(record), record.body[1:],
            )  # fmt: skip
        return b'{"id":"%b-%d","key":"%b-%d.%d","receivedAt":%d,"datasource":%b,%b' % (
            epoch, uplink, epoch, uplink, seq, record.received_ms, datasource(record), record.body[1:],
        )  # fmt: skip

    return make


def standard_of_parts(names: RecordNames) -> Format:
    """The same of parts, which have all but their number and their readings in common with those of the same record."""
    epochs, datasource = names.epochs, names.datasource_json

    def make(record: TelemetryRecord) -> bytes:
        if not isinstance(record, Part):
            return b'{"id":"%b","key":"%b","receivedAt":%d,"datasource":%b,%b' % (
                epochs.id_of(record).encode(), epochs.key(record).encode(), record.received_ms,
                datasource(record), record.body[1:],
            )  # fmt: skip
        try:
            head, rest = record.shared[make]
        except KeyError:
            id_, key = epochs.id_of(record.whole).encode(), epochs.key(record.whole).encode()
            rest = b'","receivedAt":%d,"datasource":%b,' % (record.received_ms, datasource(record))
            head = b'{"id":"%b","key":"%b.' % (id_, key)
            record.shared[make] = head, rest
        return b"%b%d%b%b" % (head, record.number, rest, record.body[1:])

    return make


def thingsboard(record: TelemetryRecord) -> bytes:
    """The converter's output unchanged, as ThingsBoard's integrations take it."""
    return record.body


def values(record: TelemetryRecord) -> bytes:
    """Flat values with their ``ts``: an object, or an array when there are several times."""
    body = _decode(record.body)
    rows = [{"ts": entry["ts"], **entry["values"]} for entry in body.get("telemetry", ())]
    if not rows:
        rows = [{"ts": record.received_ms, **body.get("attributes", {})}]
    return _encode(rows[0] if len(rows) == 1 else rows)


def _wanted(make: Format, wants: set[str]) -> Format:
    """Leave out what the route excludes."""
    if {"telemetry", "attributes"} <= wants:
        return make
    empty: dict[str, Any] = {"attributes": {}, "telemetry": []}
    left_out = {key: value for key, value in empty.items() if key not in wants}

    def less(record: TelemetryRecord) -> bytes:
        if record.kind is Kind.EVENT:
            return make(record)
        body = _encode(_decode(record.body) | left_out)
        return make(msgspec.structs.replace(record, body=body))

    return less


LATEST = ("values", "ts")
"""Names of what is the latest only."""


def formatter(
    spec: IntegrationSpec,
    names: RecordNames,
    warn: Callable[[str], None] = lambda text: None,
    is_alone: bool = True,
) -> Format:
    """The function that makes a payload of a record; raises SettingsError for a wrong template. ``warn`` is told what a user should
    know of the format. Where records aren't ``is_alone``, `FormatBodies.joined` makes payloads of what it returns."""
    if spec.format == "template":
        template = Template(spec.template or "", "template", names)
        latest = [name for name in LATEST if name in template.used]
        if latest and spec.split == "device" and not {"telemetry", "body"} & template.used:
            warn(
                f"the template reads {' and '.join(latest)}: of a message with several times the target gets the latest only. "
                "With split: reading it gets each"
            )
        return _wanted(template.bytes, set(spec.route.wants))
    bodies = bodies_of(spec.format)
    if bodies.is_latest and spec.split == "device":
        warn(
            f"format {spec.format} says the latest of several times only. With split: reading the target gets each"
        )
    document = standard(names) if spec.split == "device" else standard_of_parts(names)
    made: dict[str, Format] = {
        "standard": document, "thingsboard": thingsboard, "values": values, "line-protocol": line_protocol, "senml": senml,
        "ngsi-ld": ngsi_ld, "cloudevents": cloudevents(names, document), "openmetrics": openmetrics, "parquet": rows,
    }  # fmt: skip
    make = _wanted(made[spec.format], set(spec.route.wants))
    if bodies.is_part and is_alone:
        return lambda record: bodies.joined([make(record)], "none")
    return make
