"""Packets and their elements: types, integers, strings, properties (§2)."""

from __future__ import annotations

import struct

from msgspec import Struct

from iotgw.core.errors import ProtocolError

V311 = 4
V5 = 5

MAX_PACKET = 1 << 20
"""The largest packet that is accepted from a server, in bytes."""

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14

PING = b"\xc0\x00"
BYE = b"\xe0\x00"

# Properties that a server may send, by their form (§2.2.2.2)
_BYTE = {0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A}
_TWO = {0x13, 0x21, 0x22, 0x23}
_FOUR = {0x02, 0x11, 0x18, 0x27}
_TEXT = {0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F}
_DATA = {0x09, 0x16}
_CORRELATION = 0x09
_PAIR = 0x26
_VARIABLE = 0x0B


class Will(Struct, frozen=True):
    """The message that the server publishes when the connection is lost."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Properties(Struct, frozen=True):
    """The properties of a packet (§2.2.2.2): numbers and texts by their identifiers, the last of each kind; user properties in
    their order; and the correlation data."""

    numbers: dict[int, int] = {}
    texts: dict[int, str] = {}
    pairs: list[tuple[str, str]] = []
    correlation: bytes = b""


NO_PROPERTIES = Properties()


def varint(value: int) -> bytes:
    """A variable byte integer (§1.5.5)."""
    if value < 128:
        return bytes((value,))
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str | bytes) -> bytes:
    """A UTF-8 string (§1.5.4) or binary data (§1.5.6). Raises ValueError when it is too long."""
    data = value.encode() if isinstance(value, str) else value
    if len(data) > 65535:
        raise ValueError(f"expected at most 65535 bytes of text, got {len(data)}")
    return len(data).to_bytes(2, "big") + data


def user_property(name: str, value: str) -> bytes:
    """A property of one message (§3.3.2.3.7), for `MqttSession.publish`."""
    return b"\x26" + text(name) + text(value)


def content_type(value: str) -> bytes:
    """The content type property (§3.3.2.3.9), for `MqttSession.publish`."""
    return b"\x03" + text(value)


def two_bytes(body: bytes, place: int, what: str) -> int:
    """A two byte integer (§1.5.2) of ``what``. Raises ProtocolError."""
    if len(body) < place + 2:
        raise ProtocolError(f"MQTT: short {what}")
    return body[place] << 8 | body[place + 1]


def read_varint(body: bytes, place: int) -> tuple[int, int]:
    """A variable byte integer (§1.5.5), and where it ends. Raises ProtocolError."""
    value = 0
    for shift in (0, 7, 14, 21):
        if place >= len(body):
            break
        byte = body[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ProtocolError("MQTT: malformed variable byte integer")


def properties_at(body: bytes, place: int) -> tuple[Properties, int]:
    """Properties at ``place`` (§2.2.2), and where they end. Raises ProtocolError."""
    length, place = read_varint(body, place)
    if not length:
        return NO_PROPERTIES, place
    numbers: dict[int, int] = {}
    texts: dict[int, str] = {}
    pairs: list[tuple[str, str]] = []
    correlation = b""
    end = place + length
    if end > len(body):
        raise ProtocolError("MQTT: properties are longer than their packet")
    while place < end:
        key = body[place]
        place += 1
        if key in _BYTE:
            numbers[key] = body[place] if place < end else 0
            place += 1
        elif key in _TWO:
            numbers[key] = two_bytes(body, place, "property")
            place += 2
        elif key in _FOUR:
            numbers[key] = struct.unpack_from(">I", body.ljust(place + 4, b"\0"), place)[0]
            place += 4
        elif key in _TEXT:
            data, place = _bytes_at(body, place)
            texts[key] = data.decode("utf-8", "replace")
        elif key == _PAIR:
            name, place = _bytes_at(body, place)
            value, place = _bytes_at(body, place)
            pairs.append((name.decode("utf-8", "replace"), value.decode("utf-8", "replace")))
        elif key in _DATA:
            data, place = _bytes_at(body, place)
            if key == _CORRELATION:
                correlation = data
        elif key == _VARIABLE:
            numbers[key], place = read_varint(body, place)
        else:
            raise ProtocolError(f"MQTT: unknown property 0x{key:02x}")
    if place != end:
        raise ProtocolError("MQTT: a property is longer than the properties")
    return Properties(numbers, texts, pairs, correlation), end


def _bytes_at(body: bytes, place: int) -> tuple[bytes, int]:
    """Bytes with their length before them, and where they end. Raises ProtocolError."""
    end = place + 2 + two_bytes(body, place, "property")
    return body[place + 2 : end], end
