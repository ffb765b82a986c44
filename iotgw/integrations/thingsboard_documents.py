"""What ThingsBoard's gateway API is sent of records, as topics and JSON documents; without I/O.

https://thingsboard.io/docs/reference/gateway-mqtt-api/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from iotgw.core import plain_json
from iotgw.core.model import Kind, TelemetryRecord

CONNECT = b"v1/gateway/connect"
TELEMETRY = b"v1/gateway/telemetry"
ATTRIBUTES = b"v1/gateway/attributes"
ATTRIBUTES_REQUEST = b"v1/gateway/attributes/request"
ATTRIBUTES_RESPONSE = b"v1/gateway/attributes/response"
RPC = b"v1/gateway/rpc"
ANNOUNCED = 100_000
"""Devices remembered as announced. Beyond that, all are announced again."""

Packet = tuple[bytes, bytes]
"""Topic and payload."""


class RecordBody(Struct):
    """A record's body, with its parts as they stand there."""

    telemetry: Raw = Raw(b"[]")
    attributes: Raw = Raw(b"{}")


class TimedValues(Struct):
    """A time's values, as they stand there."""

    ts: Raw
    values: dict[str, Raw]


_decode = plain_json.reader()
_readings = msgspec.json.Decoder(list[Raw]).decode
_reading = msgspec.json.Decoder(TimedValues).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
body_of = msgspec.json.Decoder(RecordBody).decode
encode = msgspec.json.Encoder().encode


def is_empty(part: Raw) -> bool:
    """Whether a list or an object is empty."""
    return len(bytes(part).strip()) <= 2


class Documents:
    """Makes the packets of batches. ``wants`` is what the route lets through, ``limit`` the bytes of a payload: a message of more is several, and only
    one value of more is more.

    ``is_mixed`` puts several devices into one document. ThingsBoard before 4.2.1 acknowledges such a one when it has the data of the first.
    ``shared_keys`` are asked for when a device is announced.
    """

    def __init__(
        self, wants: Iterable[str], limit: int, is_mixed: bool, shared_keys: Sequence[str] = ()
    ) -> None:
        self._wants = set(wants)
        self._limit = limit
        self._is_mixed = is_mixed
        self._shared_keys = list(shared_keys)
        self._announced: set[str] = set()
        self._requests = 0

    def begin(self) -> None:
        """A connection begins: the server knows of no device."""
        self._announced.clear()

    def packets(self, records: Sequence[TelemetryRecord], bodies: Sequence[bytes]) -> list[Packet]:
        """The packets of these records, whose bodies are ``bodies``, in the order in which they are to be sent."""
        out: list[Packet] = []
        telemetry: dict[str, list[bytes]] = {}
        attributes: dict[str, list[bytes]] = {}
        for record, content in zip(records, bodies, strict=True):
            name = record.device_name
            if record.kind is Kind.EVENT or not name:
                continue
            if name not in self._announced:
                out += self._announcement(name, record.device_type)
            body = body_of(content)
            if "telemetry" in self._wants and not is_empty(body.telemetry):
                telemetry.setdefault(name, []).append(bytes(body.telemetry))
            if "attributes" in self._wants and not is_empty(body.attributes):
                attributes.setdefault(name, []).append(bytes(body.attributes))
        out += [(TELEMETRY, payload) for payload in self._packed(telemetry, _array, _shorter_lists)]
        out += [(ATTRIBUTES, payload) for payload in self._packed(attributes, _merged, _shorter_objects)]
        return out

    def _announcement(self, name: str, type_: str) -> list[Packet]:
        if len(self._announced) >= ANNOUNCED:
            self._announced.clear()
        self._announced.add(name)
        packets = [(CONNECT, encode({"device": name, "type": type_}))]
        if self._shared_keys:
            self._requests = self._requests % 0x7FFF_FFFF + 1
            asked = {"id": self._requests, "device": name, "client": False, "keys": self._shared_keys}
            packets.append((ATTRIBUTES_REQUEST, encode(asked)))
        return packets

    def _packed(
        self,
        parts: dict[str, list[bytes]],
        form: Callable[[list[bytes]], bytes],
        shorter: Callable[[bytes, int], Iterator[bytes]],
    ) -> Iterator[bytes]:
        """JSON objects of ``name: form(values)``; ``shorter`` makes several of a value that is longer than a length."""
        members: list[bytes] = []
        size = 2
        for name, values in parts.items():
            key = encode(name) + b":"
            room = self._limit - len(key) - 4
            fit = all(len(value) <= room for value in values)
            pieces = values if fit else [piece for value in values for piece in shorter(value, room)]
            for some in _chunks(pieces, room):
                member = key + form(some)
                if members and (not self._is_mixed or size + len(member) + 1 > self._limit):
                    yield b"{" + b",".join(members) + b"}"
                    members, size = [], 2
                members.append(member)
                size += len(member) + 1
        if members:
            yield b"{" + b",".join(members) + b"}"


def _shorter_lists(value: bytes, limit: int) -> Iterator[bytes]:
    """A list of readings as lists of at most ``limit`` bytes: by readings, and one that is longer by keys."""
    readings: list[bytes] = []
    for each in map(bytes, _readings(value)):
        if len(each) + 2 <= limit:
            readings.append(each)
            continue
        reading = _reading(each)
        head = b'{"ts":%b,"values":' % bytes(reading.ts)
        readings += [head + part + b"}" for part in _objects(reading.values, limit - len(head) - 3)]
    for some in _chunks(readings, limit - 2):
        yield b"[" + b",".join(some) + b"]"


def _shorter_objects(value: bytes, limit: int) -> Iterator[bytes]:
    """An object as objects of at most ``limit`` bytes."""
    return _objects(_members(value), limit)


def _objects(members: dict[str, Raw], limit: int) -> Iterator[bytes]:
    for some in _chunks([encode(key) + b":" + bytes(value) for key, value in members.items()], limit - 2):
        yield b"{" + b",".join(some) + b"}"


def _chunks(values: list[bytes], limit: int) -> Iterator[list[bytes]]:
    """Values in groups of at most ``limit`` bytes with what stands between them, or of one."""
    some: list[bytes] = []
    size = 0
    for value in values:
        if some and size + len(value) > limit:
            yield some
            some, size = [], 0
        some.append(value)
        size += len(value) + 1
    if some:
        yield some


def _array(values: list[bytes]) -> bytes:
    return b"[" + b",".join(value.strip()[1:-1] for value in values) + b"]"


def _merged(values: list[bytes]) -> bytes:
    if len(values) == 1:
        return values[0]
    merged: dict[str, Any] = {}
    for value in values:
        merged |= _decode(value)
    return encode(merged)
