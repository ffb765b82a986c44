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


_decode = plain_json.reader()
body_of = msgspec.json.Decoder(RecordBody).decode
encode = msgspec.json.Encoder().encode


def is_empty(part: Raw) -> bool:
    """Whether a list or an object is empty."""
    return len(bytes(part).strip()) <= 2


class Documents:
    """Makes the packets of batches. ``wants`` is what the route lets through, ``limit`` the bytes of a payload, where that can be.

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
        out += [(TELEMETRY, payload) for payload in self._packed(telemetry, _array)]
        out += [(ATTRIBUTES, payload) for payload in self._packed(attributes, _merged)]
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

    def _packed(self, parts: dict[str, list[bytes]], form: Callable[[list[bytes]], bytes]) -> Iterator[bytes]:
        """JSON objects of ``name: form(values)``."""
        members: list[bytes] = []
        size = 2
        for name, values in parts.items():
            key = encode(name) + b":"
            for some in _chunks(values, self._limit - len(key) - 4):
                member = key + form(some)
                if members and (not self._is_mixed or size + len(member) + 1 > self._limit):
                    yield b"{" + b",".join(members) + b"}"
                    members, size = [], 2
                members.append(member)
                size += len(member) + 1
        if members:
            yield b"{" + b",".join(members) + b"}"


def _chunks(values: list[bytes], limit: int) -> Iterator[list[bytes]]:
    """Values in groups of at most ``limit`` bytes, or of one."""
    some: list[bytes] = []
    size = 0
    for value in values:
        if some and size + len(value) > limit:
            yield some
            some, size = [], 0
        some.append(value)
        size += len(value)
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
