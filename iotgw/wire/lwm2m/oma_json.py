"""LwM2M's own JSON, 11543, of LwM2M 1.0 (Core 1.0.2 §6.4.4)."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import msgspec

from iotgw.core import plain_json
from iotgw.wire.lwm2m import paths
from iotgw.wire.lwm2m.node import MOST_NODES, Node, TypeOf
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.senml import absolute
from iotgw.wire.lwm2m.values import CodecError, NoInstances, ObjectLink, Time, Value, as_type, object_link

_LONGEST_NAME = 64
_VALUES = ("v", "sv", "bv", "ov")


def decode(data: bytes, base: Path, type_of: TypeOf, now: float) -> list[Node]:
    """The values of a response about ``base``, which stands for a missing base name. Raises `CodecError`."""
    try:
        body = plain_json.decode(data, type=dict[str, Any], depth=4)
    except plain_json.NotJson as error:
        raise CodecError(f"LwM2M JSON: {error}") from error
    entries = body.get("e")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CodecError("LwM2M JSON: expected a list of objects as e")
    if len(entries) > MOST_NODES:
        raise CodecError(f"LwM2M JSON: expected at most {MOST_NODES} values, got {len(entries)}")
    prefix = _name(body.get("bn", paths.text(base)))
    base_time = _number(body.get("bt", 0))
    return [_node(entry, prefix, base_time, "bt" in body, type_of, now) for entry in entries]


def _node(
    entry: dict[str, Any], prefix: str, base_time: float, is_timed: bool, type_of: TypeOf, now: float
) -> Node:
    name = _name(entry.get("n", ""))
    joined = (
        f"{prefix}/{name}"
        if name and not prefix.endswith("/") and not name.startswith("/")
        else prefix + name
    )
    path = paths.parse(joined)
    given = [key for key in _VALUES if key in entry]
    if len(path) < 3 or len(given) != 1:
        raise CodecError(f"LwM2M JSON: expected one value of a resource at {paths.text(path)}")
    value = entry[given[0]]
    if not isinstance(value, str | int | float | bool):
        raise CodecError(f"LwM2M JSON: expected a value at {paths.text(path)}, got something else")
    if given[0] == "ov":
        link = object_link(value) if isinstance(value, str) else None
        if link is None:
            raise CodecError(f"LwM2M JSON: expected a link at {paths.text(path)}")
        found: Value = link
    else:
        found = as_type(value, type_of(path))
    said = base_time + _number(entry.get("t", 0))
    return Node(path, found, absolute(said, now) if is_timed or "t" in entry else None)


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        raise CodecError(f"LwM2M JSON: expected a name of at most {_LONGEST_NAME} characters")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise CodecError("LwM2M JSON: expected a number as time")
    return value


def encode(nodes: Iterable[Node], base: Path) -> bytes:
    """Values as the content of ``base``."""
    entries: list[dict[str, object]] = []
    for node in nodes:
        if isinstance(node.value, NoInstances):
            continue
        if node.path[: len(base)] != base:
            raise CodecError(f"expected values of {paths.text(base)}, got {paths.text(node.path)}")
        entry: dict[str, object] = {}
        if node.path != base:
            entry["n"] = "/".join(map(str, node.path[len(base) :]))
        kind, value = _written(node.value)
        entry[kind] = value
        if node.time is not None:
            entry["t"] = node.time
        entries.append(entry)
    is_resource = len(entries) == 1 and "n" not in entries[0]
    return msgspec.json.encode({"bn": paths.text(base) + ("" if is_resource else "/"), "e": entries})


def _written(value: Value) -> tuple[str, object]:
    if isinstance(value, bool):
        return "bv", value
    if isinstance(value, bytes):
        return "sv", base64.b64encode(value).decode()
    if isinstance(value, str):
        return "sv", value
    if isinstance(value, ObjectLink):
        return "ov", str(value)
    return "v", value.seconds if isinstance(value, Time) else value
