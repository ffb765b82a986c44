"""TLV, 11542 (Core §7.4.3 of 1.1): object instances, resources and their instances, nested at most three deep.

A TLV says nothing of types: a value whose resource has no model stays as its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from iotgw.wire.lwm2m.node import MOST_NODES, Node, TypeOf
from iotgw.wire.lwm2m.paths import LARGEST, Path, text
from iotgw.wire.lwm2m.values import (
    NO_INSTANCES,
    CodecError,
    NoInstances,
    ObjectLink,
    Time,
    Value,
    ValueType,
    as_type,
)

OBJECT_INSTANCE, RESOURCE_INSTANCE, MULTIPLE, RESOURCE = range(4)
"""Bits 7 and 6 of a type."""
Entry = tuple[int, int, bytes]
"""Kind, id and value."""


def decode(data: bytes, base: Path, type_of: TypeOf) -> list[Node]:
    """The values of a response or a notification about ``base``. Raises `CodecError`.

    Resources come bare or within their instance (coap-node wraps them where Leshan doesn't): both are taken.
    """
    if not base:
        raise CodecError("expected a path of an object for TLV, got the root")
    nodes: list[Node] = []
    for kind, id, value in entries(data):
        if kind == OBJECT_INSTANCE:
            instance = (base[0], id)
            for inner, number, content in entries(value):
                _resource(nodes, instance, inner, number, content, type_of)
        elif kind == RESOURCE_INSTANCE and len(base) >= 3:
            path = (*base[:3], id)
            nodes.append(Node(path, _value(value, type_of(path))))
        else:
            _resource(nodes, (base[0], base[1] if len(base) > 1 else 0), kind, id, value, type_of)
        if len(nodes) > MOST_NODES:
            raise CodecError(f"expected at most {MOST_NODES} values, got more")
    return nodes


def _resource(nodes: list[Node], instance: Path, kind: int, id: int, value: bytes, type_of: TypeOf) -> None:
    path = (*instance, id)
    if kind == RESOURCE:
        nodes.append(Node(path, _value(value, type_of(path))))
    elif kind == MULTIPLE:
        type_ = type_of(path)
        before = len(nodes)
        for inner, number, content in entries(value):
            if inner != RESOURCE_INSTANCE:
                raise CodecError(
                    f"expected instances of the resource {text(path)}, got a TLV of kind {inner}"
                )
            nodes.append(Node((*path, number), _value(content, type_)))
        if len(nodes) == before:
            nodes.append(Node(path, NO_INSTANCES))
    else:
        raise CodecError(f"expected resources in {text(instance)}, got a TLV of kind {kind}")


def entries(data: bytes) -> Iterator[Entry]:
    """The TLVs of one level. Raises `CodecError` for a length that leads behind the end."""
    at, end = 0, len(data)
    while at < end:
        type_ = data[at]
        at += 1
        size_of_id = 2 if type_ & 0x20 else 1
        size_of_length = type_ >> 3 & 3
        content = at + size_of_id + size_of_length
        if content > end:
            raise CodecError(f"expected a TLV at byte {at - 1}, got {end - at + 1} bytes")
        id = int.from_bytes(data[at : at + size_of_id], "big")
        length = int.from_bytes(data[at + size_of_id : content], "big") if size_of_length else type_ & 7
        if content + length > end:
            raise CodecError(f"expected {length} bytes in the TLV at byte {at - 1}, got {end - content}")
        if id > LARGEST:
            raise CodecError(f"expected an id of 0 to {LARGEST} at byte {at}, got {id}")
        yield type_ >> 6, id, data[content : content + length]
        at = content + length


def _value(data: bytes, type_: ValueType | None) -> Value:
    """A value of a type; its bytes where they can't be one."""
    size = len(data)
    if type_ in ("string", "corelnk"):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data
    if type_ in ("integer", "time") and 0 < size <= 8:
        number = int.from_bytes(data, "big", signed=True)
        return Time(number) if type_ == "time" else number
    if type_ == "unsigned" and 0 < size <= 8:
        return int.from_bytes(data, "big")
    if type_ == "float" and size in (4, 8):  # 8 bytes read as 4: contiki-ng#3250
        number_: float = struct.unpack(">f" if size == 4 else ">d", data)[0]
        return number_
    if type_ == "boolean" and size == 1 and data[0] < 2:
        return data[0] == 1
    if type_ == "objlnk" and size == 4:
        return ObjectLink(*struct.unpack(">HH", data))
    return data


# --- out ------------------------------------------------------------------------------------------


def encode(nodes: Iterable[Node], base: Path, type_of: TypeOf) -> bytes:
    """The values as the content of ``base``: an object, an instance or a resource."""
    instances: dict[int, dict[int, dict[int, Node] | Node]] = {}
    for node in nodes:
        if node.path[: len(base)] != base or len(node.path) < 3:
            raise CodecError(f"expected values of resources in {text(base)}, got {text(node.path)}")
        resources = instances.setdefault(node.path[1], {})
        if len(node.path) == 3:
            resources[node.path[2]] = node
        else:
            several = resources.setdefault(node.path[2], {})
            if isinstance(several, Node):
                raise CodecError(f"expected one value or instances at {text(node.path[:3])}, got both")
            several[node.path[3]] = node
    if len(base) == 1:
        return b"".join(
            _entry(OBJECT_INSTANCE, id, _resources(resources, type_of)) for id, resources in instances.items()
        )
    return b"".join(_resources(resources, type_of) for resources in instances.values())


def _resources(resources: dict[int, dict[int, Node] | Node], type_of: TypeOf) -> bytes:
    parts = []
    for id, content in resources.items():
        if isinstance(content, Node):
            if isinstance(content.value, NoInstances):
                parts.append(_entry(MULTIPLE, id, b""))
            else:
                parts.append(_entry(RESOURCE, id, _bytes(content.value, type_of(content.path))))
        else:
            inner = [
                _entry(RESOURCE_INSTANCE, number, _bytes(node.value, type_of(node.path)))
                for number, node in content.items()
            ]
            parts.append(_entry(MULTIPLE, id, b"".join(inner)))
    return b"".join(parts)


def _entry(kind: int, id: int, content: bytes) -> bytes:
    length = len(content)
    head = kind << 6 | (0x20 if id > 0xFF else 0)
    numbers = id.to_bytes(2 if id > 0xFF else 1, "big")
    if length < 8:
        return bytes((head | length,)) + numbers + content
    size = 1 if length < 1 << 8 else 2 if length < 1 << 16 else 3
    if length >= 1 << 24:
        raise CodecError(f"expected a value of less than {1 << 24} bytes, got {length}")
    return bytes((head | size << 3,)) + numbers + length.to_bytes(size, "big") + content


def _bytes(value: Value, type_: ValueType | None) -> bytes:
    value = as_type(value, type_)
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        return b"\1" if value else b"\0"
    if isinstance(value, ObjectLink):
        return struct.pack(">HH", value.object, value.instance)
    if isinstance(value, float):
        return struct.pack(">d", value)
    if isinstance(value, Time):
        value = int(value.seconds)
    if isinstance(value, NoInstances):
        raise CodecError("expected a value, got none")
    return _integer(value, is_signed=type_ != "unsigned")


def _integer(value: int, is_signed: bool) -> bytes:
    for size in (1, 2, 4, 8):
        try:
            return value.to_bytes(size, "big", signed=is_signed)
        except OverflowError:
            continue
    raise CodecError(f"expected an integer of 64 bits, got {value}")
