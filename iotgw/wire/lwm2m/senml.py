"""SenML as JSON (110) and as CBOR (112), as LwM2M uses it (RFC 8428; Core §7.4.4 and §7.4.5 of 1.1).

A record names its resource by base name and name; a base name holds until the next one. Composite requests are records
without values.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from iotgw.core import plain_json
from iotgw.core.numbers import shown
from iotgw.wire.lwm2m import cbor, paths, readings
from iotgw.wire.lwm2m.node import MOST_NODES, Node, TypeOf
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.values import CodecError, NoInstances, ObjectLink, Time, Value, as_type, object_link

RELATIVE = float(1 << 28)
"""Times below are relative to when the message came (RFC 8428 §4.5.3)."""
_LONGEST_NAME = 64
_VERSION = 10
_NAMES = {
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
_LABEL = re.compile("-?[0-9]{1,2}")
_LABELS = {name: label for label, name in _NAMES.items()}
"""RFC 8428 §6; ``vlo`` is OMA's and has no label."""
_VALUES = ("v", "vs", "vb", "vd", "vlo")
Fields = dict[str, Any]


def decode_json(data: bytes, type_of: TypeOf, now: float) -> list[Node]:
    """The values of a pack in JSON. ``now`` is the date in seconds since 1970 UTC. Raises `CodecError`."""
    return [*_nodes(_of_json(data), type_of, now)]


def decode_cbor(data: bytes, type_of: TypeOf, now: float) -> list[Node]:
    """The same of a pack in CBOR."""
    plain = readings.decode(data, type_of)
    return [*_nodes(_of_cbor(data), type_of, now)] if plain is None else plain


def decode_paths(data: bytes, is_cbor: bool) -> list[Path]:
    """The paths that the body of a composite request names."""
    return [path for path, _ in _named(_of_cbor(data) if is_cbor else _of_json(data))]


def _of_json(data: bytes) -> list[Fields]:
    try:
        pack = plain_json.decode(data, type=list[dict[str, Any]], depth=4)
    except plain_json.NotJson as error:
        raise CodecError(f"SenML: {error}") from error
    for fields in pack:
        encoded = fields.get("vd")
        if encoded is not None:
            fields["vd"] = _bytes_of(encoded)
    return pack


def _of_cbor(data: bytes) -> list[Fields]:
    pack = cbor.decode(data)
    if not isinstance(pack, list) or not all(isinstance(record, dict) for record in pack):
        raise CodecError("SenML: expected a list of records")
    found = []
    for record in pack:
        fields: Fields = {}
        for key, value in record.items():
            # leshan#1654: labels as text
            label = int(key) if isinstance(key, str) and _LABEL.fullmatch(key) else key
            name = _NAMES.get(label, "") if isinstance(label, int) else label
            fields[name or str(label)] = value
        found.append(fields)
    return found


def _named(pack: list[Fields]) -> Iterator[tuple[Path, Fields]]:
    if len(pack) > MOST_NODES:
        raise CodecError(f"SenML: expected at most {MOST_NODES} records, got {len(pack)}")
    base = ""
    for fields in pack:
        for name in fields:
            if name.endswith("_"):
                raise CodecError(f"SenML: expected no field that must be understood, got {shown(name)}")
        if fields.get("bver", _VERSION) not in range(1, _VERSION + 1):
            raise CodecError(f"SenML: expected version {_VERSION} or older")
        base = _text(fields.get("bn", base))
        yield paths.parse(base + _text(fields.get("n", ""))), fields


def _nodes(pack: list[Fields], type_of: TypeOf, now: float) -> Iterator[Node]:
    base_time = base_value = 0.0
    for path, fields in _named(pack):
        base_time = _seconds(fields.get("bt", base_time))
        if "bv" in fields:
            base_value = _seconds(fields["bv"])
        given = [name for name in _VALUES if name in fields]
        if not given:
            if "bn" in fields and "n" not in fields:
                continue  # a record of bases only
            raise CodecError(f"SenML: expected a value of {paths.text(path)}, got none")
        if len(given) > 1:
            raise CodecError(f"SenML: expected one value of {paths.text(path)}, got {', '.join(given)}")
        if len(path) < 3:
            raise CodecError(f"SenML: expected the value of a resource, got one of {paths.text(path)}")
        value = _value(fields[given[0]], given[0], base_value, path, type_of)
        said = base_time + _seconds(fields.get("t", 0))
        is_timed = base_time != 0 or "t" in fields
        yield Node(path, value, absolute(said, now) if is_timed else None)


def absolute(said: float, now: float) -> float:
    """A time of SenML in seconds since 1970 UTC (RFC 8428 §4.5.3). Nothing is measured in the future: a small positive time
    is that of a clock that was not set, and stands for now."""
    return now + min(said, 0.0) if said < RELATIVE else said


def _value(value: Any, kind: str, base: float, path: Path, type_of: TypeOf) -> Value:
    if isinstance(value, list | dict) or value is None or (isinstance(value, Time) and kind != "v"):
        raise CodecError(f"SenML: expected a value of {paths.text(path)}, got something else")
    if kind == "v" and base and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value += base
        except OverflowError as error:  # JSON's integers may be larger than floats
            raise CodecError(f"SenML: expected a smaller value of {paths.text(path)}") from error
    if kind == "vlo":
        link = object_link(value) if isinstance(value, str) else None
        if link is None:
            raise CodecError(f"SenML: expected a link at {paths.text(path)}")
        return link
    wanted = type_of(path)
    return as_type(value, None if wanted == "opaque" and kind == "vs" else wanted)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        raise CodecError(f"SenML: expected a name of at most {_LONGEST_NAME} characters")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, Time):
        value = value.seconds  # leshan#1631: a tagged base time
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise CodecError("SenML: expected a number as time or base value")
    return value


def _bytes_of(encoded: object) -> bytes:
    """base64url, without padding (RFC 8428 §5); devices write base64 as well (leshan#984)."""
    if isinstance(encoded, str):
        text = encoded.rstrip("=").replace("+", "-").replace("/", "_")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            pass
    raise CodecError("SenML: expected base64 in vd")


# --- out ------------------------------------------------------------------------------------------


def encode_json(nodes: Iterable[Node], base: Path) -> bytes:
    """Values as a pack in JSON: by their base ``base`` if they have one in common, else each by its whole path."""
    return msgspec.json.encode([*_records(nodes, base, as_text=True)])


def encode_cbor(nodes: Iterable[Node], base: Path) -> bytes:
    """The same in CBOR."""
    pack = [
        {_LABELS.get(name, name): value for name, value in fields.items()}
        for fields in _records(nodes, base, as_text=False)
    ]
    return cbor.encode(pack)


def encode_paths(asked: Iterable[Path], is_cbor: bool) -> bytes:
    """The body of a composite request."""
    records = [{"n": paths.text(path)} for path in asked]
    if is_cbor:
        return cbor.encode([{_LABELS["n"]: record["n"]} for record in records])
    return msgspec.json.encode(records)


def _records(nodes: Iterable[Node], base: Path, as_text: bool) -> Iterator[Fields]:
    known: str | None = None
    for node in nodes:
        if isinstance(node.value, NoInstances):
            continue
        if not base or node.path == base or node.path[: len(base)] != base:
            name, rest = paths.text(node.path), ""
        else:
            name = paths.text(base) + "/"
            rest = "/".join(map(str, node.path[len(base) :]))
        fields: Fields = {}
        if name != known or not rest:
            fields["bn"] = known = name
        if rest:
            fields["n"] = rest
        if node.time is not None:
            fields["bt"] = node.time
        kind, value = _written(node.value, as_text)
        fields[kind] = value
        yield fields


def _written(value: Value, as_text: bool) -> tuple[str, object]:
    if isinstance(value, bool):
        return "vb", value
    if isinstance(value, bytes):
        return "vd", base64.urlsafe_b64encode(value).decode().rstrip("=") if as_text else value
    if isinstance(value, str):
        return "vs", value
    if isinstance(value, ObjectLink):
        return "vlo", str(value)
    if isinstance(value, Time):
        return "v", value.seconds
    return "v", value
