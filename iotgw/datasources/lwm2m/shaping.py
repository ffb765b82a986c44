"""What a device tells, as the message that is stored: JSON of one form, whatever the device's format was.

``{"endpoint", "kind", "ts", "values": {path: value}, "telemetry": {key: value}, "attributes": {key: value}}``; several times
are ``"records": [{"ts", "values", "telemetry"}]`` instead. What can't be read stays: its bytes are ``raw``, in base64.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from iotgw.datasources.lwm2m.profile import ProfilePlan
from iotgw.datasources.lwm2m.registration import Lwm2mRegistration
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.lwm2m import formats, paths
from iotgw.wire.lwm2m.links import Objects
from iotgw.wire.lwm2m.node import Node, TypeOf
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.values import CodecError, ValueType, to_json

FUTURE = 86_400.0
"""Seconds by which a device's clock may be ahead; a value of later gets the time at which it came."""
encode = msgspec.json.Encoder().encode
Body = dict[str, Any]


def typing(plan: ProfilePlan, objects: Objects) -> TypeOf:
    """The types of a device's resources."""

    def type_of(path: Path) -> ValueType | None:
        found = plan.models.resource(path, plan.version(objects, path[0]))
        return None if found is None else found.type

    return type_of


def read(
    form: int | None, payload: bytes, base: Path, plan: ProfilePlan, objects: Objects, now: float
) -> tuple[list[Node], str]:
    """The values of a payload, and why there are none; ``now`` is the date in seconds."""
    try:
        return formats.decode(form, payload, base, typing(plan, objects), now), ""
    except CodecError as error:
        return [], str(error)


def body(registration: Lwm2mRegistration, kind: str) -> Body:
    """A message's beginning."""
    return {"endpoint": registration.endpoint, "kind": kind}


def add_values(into: Body, nodes: Sequence[Node], plan: ProfilePlan, objects: Objects, now: float) -> None:
    """Values and what they are called."""
    groups: dict[int, list[Node]] = {}
    for node in nodes:
        seconds = node.time
        if seconds is None or seconds > now + FUTURE:
            seconds = now
        groups.setdefault(round(seconds * 1000), []).append(node)
    records: list[Body] = []
    attributes: Body = {}
    for ts, group in sorted(groups.items()):  # so that the latest attribute stays
        values: Body = {}
        telemetry: Body = {}
        for node in group:
            value, path = to_json(node.value), node.path
            if len(path) == 4:
                instances = values.setdefault(paths.text(path[:3]), {})
                if isinstance(instances, dict):  # and not one value, where a device says both
                    instances[str(path[3])] = value
            else:
                values[paths.text(path)] = value
            what, name = plan.name(path, node.value, plan.version(objects, path[0]))
            (telemetry if what == "telemetry" else attributes)[name] = value
        records.append({"ts": ts, "values": values, "telemetry": telemetry})
    if len(records) == 1:
        into.update(records[0])
    elif records:
        into["records"] = records
    if attributes:
        into["attributes"] = attributes


def told(
    registration: Lwm2mRegistration,
    plan: ProfilePlan,
    kind: str,
    base: Path,
    response: Message,
    now: float,
    more: Body,
) -> Body:
    """What a device told about ``base`` in a response or a notification. ``more`` is what else is said of it; ``now`` is the date
    in seconds."""
    made = {**body(registration, kind), **more}
    form, objects = response.options.get_uint(n.CONTENT_FORMAT), registration.objects
    if response.payload and response.code < n.BAD_REQUEST and form != n.LINK_FORMAT:
        nodes, problem = read(form, response.payload, base, plan, objects, now)
        add_values(made, nodes, plan, objects, now)
        if problem:
            add_raw(made, form, response.payload, problem)
    elif response.payload:
        made["text"] = response.payload[:4096].decode("utf-8", "replace")
    made.setdefault("ts", round(now * 1000))
    return made


def add_raw(into: Body, form: int | None, payload: bytes, reason: str) -> None:
    """Bytes that could not be read, and why."""
    into["raw"] = base64.b64encode(payload).decode()
    into["contentFormat"] = form
    into["error"] = reason
