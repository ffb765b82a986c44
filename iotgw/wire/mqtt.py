"""An MQTT 3.1.1 and 5.0 client without I/O: calls give bytes to send, received bytes give events.

It publishes many messages in one go, and sees their acknowledgements in groups. It keeps no session over
connections: what was not acknowledged when a connection ends is the user's to send again.
Sections are of MQTT 5.0 (OASIS, 2019-03-07); 3.1.1 differs only in that it has no properties.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

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

# --- events


class Connected(Struct, frozen=True):
    """CONNACK with success. The limits are the server's (§3.2.2.3); ``keepalive`` in seconds, None: ours."""

    receive_maximum: int = 65535
    maximum_qos: int = 2
    retain_available: bool = True
    maximum_packet: int = 268_435_455
    keepalive: int | None = None
    client_id: str = ""
    session_present: bool = False
    session_expiry: int | None = None
    """Seconds that the server keeps the session, None: as long as was asked for (§3.2.2.3.2)."""


class Refused(Struct, frozen=True):
    """CONNACK with a reason code that is not success, or DISCONNECT from the server."""

    code: int
    reason: str


class Acknowledged(Struct, frozen=True):
    """These packet identifiers are done."""

    ids: list[int]


class NotTaken(Struct, frozen=True):
    """The server answered a PUBLISH with a reason code of 0x80 or more (MQTT 5 only)."""

    id: int
    code: int
    reason: str


class Arrived(Struct, frozen=True):
    """A PUBLISH from the server; its acknowledgement is among `Session.to_send`, or with ``hold`` up to the
    user: `Session.acknowledge` with its ``id``."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    id: int = 0
    duplicate: bool = False


class Subscribed(Struct, frozen=True):
    """SUBACK: a reason code per filter; 0x80 and more are failures."""

    id: int
    codes: list[int]


class Unsubscribed(Struct, frozen=True):
    """UNSUBACK: with MQTT 5 a reason code per filter, with 3.1.1 none."""

    id: int
    codes: list[int]


class Pong(Struct, frozen=True):
    """PINGRESP."""


Event = Connected | Refused | Acknowledged | NotTaken | Arrived | Subscribed | Unsubscribed | Pong

REASONS = {
    0x80: "unspecified error", 0x81: "malformed packet", 0x82: "protocol error",
    0x83: "implementation specific error", 0x84: "unsupported protocol version",
    0x85: "client identifier not valid", 0x86: "bad user name or password", 0x87: "not authorized",
    0x88: "server unavailable", 0x89: "server busy", 0x8A: "banned", 0x8B: "server shutting down",
    0x8C: "bad authentication method", 0x8D: "keep alive timeout", 0x8E: "session taken over",
    0x8F: "topic filter invalid", 0x90: "topic name invalid", 0x91: "packet identifier in use",
    0x93: "receive maximum exceeded", 0x95: "packet too large", 0x96: "message rate too high",
    0x97: "quota exceeded", 0x98: "administrative action", 0x99: "payload format invalid",
    0x9A: "retain not supported", 0x9B: "QoS not supported", 0x9C: "use another server",
    0x9D: "server moved", 0x9F: "connection rate exceeded",
}  # fmt: skip
"""Reason codes (§2.4)."""

REASONS_311 = {
    1: "unacceptable protocol version", 2: "client identifier rejected", 3: "server unavailable",
    4: "bad user name or password", 5: "not authorized",
}  # fmt: skip
"""CONNACK return codes of 3.1.1 (§3.2.2.3 there)."""

# Properties that a server may send, by their form (§2.2.2.2)
_BYTE = {0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A}
_TWO = {0x13, 0x21, 0x22, 0x23}
_FOUR = {0x02, 0x11, 0x18, 0x27}
_TEXT = {0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F}
_PAIR = 0x26
_VARIABLE = 0x0B


class Will(Struct, frozen=True):
    """What the server publishes when the connection dies."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


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


def _text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    if len(data) > 65535:
        raise ValueError(f"expected at most 65535 bytes of text, got {len(data)}")
    return len(data).to_bytes(2, "big") + data


def user_property(name: str, value: str) -> bytes:
    """A property of one message (§3.3.2.3.7), for `Session.publish`."""
    return b"\x26" + _text(name) + _text(value)


def content_type(value: str) -> bytes:
    """The content type property (§3.3.2.3.9), for `Session.publish`."""
    return b"\x03" + _text(value)


class Session:
    """One connection's conversation, from CONNECT to its end.

    With ``hold``, what arrives is acknowledged by `acknowledge` only. ``received`` holds the identifiers of
    QoS 2 messages between PUBREC and PUBREL; it belongs to the session that outlives connections (§4.3.3).
    """

    def __init__(self, version: int = V311, hold: bool = False, received: set[int] | None = None) -> None:
        self._hold = hold
        self._received = received if received is not None else set()
        self._five = version == V5
        self._version = version
        self._buffer = bytearray()
        self._next_id = 1
        self._out: list[bytes] = []
        self._unfinished: set[int] = set()
        self.connected = False

    # --- out

    def connect(
        self,
        client_id: str,
        keepalive: int = 60,
        user: str | None = None,
        password: str | bytes | None = None,
        will: Will | None = None,
        receive_maximum: int = 100,
        clean: bool = True,
        expiry: int = 0,
    ) -> bytes:
        """CONNECT (§3.1); ``expiry`` is how long the server keeps an unclean session of MQTT 5, in seconds."""
        flags = 0x02 if clean else 0
        body = [_text(client_id)]
        if will is not None:
            flags |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
            body += [b"\x00" if self._five else b"", _text(will.topic), _text(will.payload)]
        if user is not None:
            flags |= 0x80
            body.append(_text(user))
        if password is not None:
            flags |= 0x40
            body.append(_text(password))
        properties = b"\x21" + receive_maximum.to_bytes(2, "big") + b"\x27" + MAX_PACKET.to_bytes(4, "big")
        if expiry:
            properties += b"\x11" + expiry.to_bytes(4, "big")
        head = _text("MQTT") + bytes((self._version, flags)) + keepalive.to_bytes(2, "big")
        if self._five:
            head += varint(len(properties)) + properties
        content = head + b"".join(body)
        return b"\x10" + varint(len(content)) + content

    def publish(
        self, topic: bytes, payload: bytes, qos: int = 1, retain: bool = False, properties: bytes = b""
    ) -> tuple[int, bytes]:
        """PUBLISH (§3.3): its packet identifier (0 for QoS 0) and the bytes. ``topic`` is UTF-8.

        The user keeps fewer than 65,535 unfinished.
        """
        head = len(topic).to_bytes(2, "big") + topic
        id_ = 0
        if qos:
            id_ = self._take_id()
            head += id_.to_bytes(2, "big")
        if self._five:
            head += varint(len(properties)) + properties
        size = len(head) + len(payload)
        first = 0x30 | qos << 1 | retain
        if size < 128:
            return id_, bytes((first, size)) + head + payload
        return id_, bytes((first,)) + varint(size) + head + payload

    def subscribe(self, filters: Iterable[tuple[str, int]]) -> tuple[int, bytes]:
        """SUBSCRIBE (§3.8) to ``(filter, qos)`` pairs: packet identifier and bytes."""
        id_ = self._take_id()
        content = id_.to_bytes(2, "big") + (b"\x00" if self._five else b"")
        content += b"".join(_text(filter_) + bytes((qos,)) for filter_, qos in filters)
        return id_, b"\x82" + varint(len(content)) + content

    def unsubscribe(self, filters: Iterable[str]) -> tuple[int, bytes]:
        """UNSUBSCRIBE (§3.10): packet identifier and bytes."""
        id_ = self._take_id()
        content = id_.to_bytes(2, "big") + (b"\x00" if self._five else b"")
        content += b"".join(_text(filter_) for filter_ in filters)
        return id_, b"\xa2" + varint(len(content)) + content

    def acknowledge(self, message: Arrived) -> bytes:
        """What to send when a held message has been taken: PUBACK or PUBREC, nothing for QoS 0."""
        if not message.qos:
            return b""
        if message.qos == 2:
            self._received.add(message.id)
        answer = PUBACK if message.qos == 1 else PUBREC
        return bytes((answer << 4, 2)) + message.id.to_bytes(2, "big")

    def _take_id(self) -> int:
        id_, unfinished = self._next_id, self._unfinished
        while id_ in unfinished:
            id_ = id_ % 65535 + 1
        unfinished.add(id_)
        self._next_id = id_ % 65535 + 1
        return id_

    def ping(self) -> bytes:
        """PINGREQ (§3.12)."""
        return PING

    def goodbye(self) -> bytes:
        """DISCONNECT (§3.14): the server forgets the will."""
        return BYE

    def to_send(self) -> bytes:
        """What received packets call for; send it after each `receive`."""
        if not self._out:
            return b""
        out = b"".join(self._out)
        self._out.clear()
        return out

    # --- in

    def receive(self, data: bytes) -> list[Event]:
        """Bytes from the server; returns what they say. Raises ProtocolError: close the connection."""
        buffer = self._buffer
        buffer += data
        events: list[Event] = []
        done: list[int] = []
        start, end = 0, len(buffer)
        while end - start >= 2:
            if buffer[start] == 0x40 and buffer[start + 1] == 2 and end - start >= 4:  # the usual PUBACK
                self._finish(buffer[start + 2] << 8 | buffer[start + 3], done)
                start += 4
                continue
            size, body = self._size(start, end)
            if size < 0 or end < body + size:
                break
            self._packet(buffer[start], bytes(buffer[body : body + size]), events, done)
            start = body + size
        del buffer[:start]
        if done:
            events.append(Acknowledged(done))
        return events

    def _size(self, start: int, end: int) -> tuple[int, int]:
        """The remaining length of the packet at ``start``, and where it begins; -1 when it isn't all there."""
        value = shift = 0
        for place in range(start + 1, min(start + 5, end)):
            byte = self._buffer[place]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                if value > MAX_PACKET:
                    raise ProtocolError(f"MQTT: expected a packet of at most {MAX_PACKET} bytes, got {value}")
                return value, place + 1
        if end - start >= 5:
            raise ProtocolError("MQTT: malformed remaining length")
        return -1, 0

    def _packet(self, first: int, body: bytes, events: list[Event], done: list[int]) -> None:
        kind = first >> 4
        if not self.connected and kind != CONNACK:
            raise ProtocolError(f"MQTT: expected CONNACK, got packet type {kind}")
        if kind in (PUBACK, PUBCOMP, PUBREC):
            self._acknowledged(kind, body, events, done)
        elif kind == PUBLISH:
            arrived = self._arrived(first, body)
            if arrived is not None:
                events.append(arrived)
        elif kind == PUBREL:
            id_ = _two(body, 0, "PUBREL")
            self._received.discard(id_)
            self._out.append(b"\x70\x02" + id_.to_bytes(2, "big"))
        elif kind == CONNACK:
            events.append(self._connack(body))
        elif kind in (SUBACK, UNSUBACK):
            id_ = _two(body, 0, "SUBACK or UNSUBACK")
            self._unfinished.discard(id_)
            _, place = self._properties(body, 2)
            event = Subscribed if kind == SUBACK else Unsubscribed
            events.append(event(id_, list(body[place:])))
        elif kind == PINGRESP:
            events.append(Pong())
        elif kind == DISCONNECT and self._five:
            code = body[0] if body else 0
            events.append(Refused(code, REASONS.get(code, "the server ended the connection")))
        else:
            raise ProtocolError(f"MQTT: unexpected packet type {kind}")

    def _connack(self, body: bytes) -> Event:
        if self.connected or len(body) < 2:
            raise ProtocolError("MQTT: unexpected or short CONNACK")
        code = body[1]
        if code:
            reasons = REASONS if self._five else REASONS_311
            return Refused(code, reasons.get(code, f"code {code}"))
        self.connected = True
        if not body[0] & 1:
            self._received.clear()
        properties, _ = self._properties(body, 2)
        return Connected(
            receive_maximum=properties.get(0x21, 65535) or 65535,
            maximum_qos=properties.get(0x24, 2),
            retain_available=bool(properties.get(0x25, 1)),
            maximum_packet=properties.get(0x27) or 268_435_455,
            keepalive=properties.get(0x13),
            client_id=str(properties.get(0x12, "")),
            session_present=bool(body[0] & 1),
            session_expiry=properties.get(0x11),
        )

    def _acknowledged(self, kind: int, body: bytes, events: list[Event], done: list[int]) -> None:
        id_ = _two(body, 0, "acknowledgement")
        code = body[2] if len(body) > 2 else 0
        if code >= 0x80:
            if id_ in self._unfinished:
                self._unfinished.discard(id_)
                events.append(NotTaken(id_, code, REASONS.get(code, f"code 0x{code:02x}")))
        elif kind == PUBREC:
            self._out.append(b"\x62\x02" + id_.to_bytes(2, "big"))
        else:
            self._finish(id_, done)

    def _finish(self, id_: int, done: list[int]) -> None:
        if id_ in self._unfinished:  # else it is late, or the server's mistake
            self._unfinished.discard(id_)
            done.append(id_)

    def _arrived(self, first: int, body: bytes) -> Arrived | None:
        """A PUBLISH; None for a QoS 2 message that was taken already."""
        qos = first >> 1 & 3
        size = _two(body, 0, "PUBLISH")
        place = 2 + size
        if len(body) < place or qos == 3:
            raise ProtocolError("MQTT: malformed PUBLISH")
        try:
            topic = body[2:place].decode()
        except UnicodeDecodeError as error:
            raise ProtocolError("MQTT: the topic of a PUBLISH is not UTF-8") from error
        id_ = 0
        if qos:
            id_ = _two(body, place, "PUBLISH")
            place += 2
        _, place = self._properties(body, place)
        message = Arrived(topic, body[place:], qos, bool(first & 1), id_, bool(first & 8))
        is_known = qos == 2 and id_ in self._received
        if qos and (is_known or not self._hold):
            self._out.append(self.acknowledge(message))
        return None if is_known else message

    def _properties(self, body: bytes, place: int) -> tuple[dict[int, Any], int]:
        """Properties at ``place``, the last of each kind, and where they end."""
        found: dict[int, Any] = {}
        if not self._five:
            return found, place
        length, place = _varint(body, place)
        end = place + length
        if end > len(body):
            raise ProtocolError("MQTT: properties are longer than their packet")
        while place < end:
            key = body[place]
            place += 1
            if key in _BYTE:
                found[key] = body[place] if place < end else 0
                place += 1
            elif key in _TWO:
                found[key] = _two(body, place, "property")
                place += 2
            elif key in _FOUR:
                found[key] = struct.unpack_from(">I", body.ljust(place + 4, b"\0"), place)[0]
                place += 4
            elif key in _TEXT or key == _PAIR:
                for _ in range(2 if key == _PAIR else 1):
                    size = _two(body, place, "property")
                    found[key] = body[place + 2 : place + 2 + size].decode("utf-8", "replace")
                    place += 2 + size
            elif key == _VARIABLE:
                found[key], place = _varint(body, place)
            else:
                raise ProtocolError(f"MQTT: unknown property 0x{key:02x}")
        if place != end:
            raise ProtocolError("MQTT: a property is longer than the properties")
        return found, end


def _two(body: bytes, place: int, what: str) -> int:
    if len(body) < place + 2:
        raise ProtocolError(f"MQTT: short {what}")
    return body[place] << 8 | body[place + 1]


def _varint(body: bytes, place: int) -> tuple[int, int]:
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


def matches(filter_: str, topic: str) -> bool:
    """Whether a topic matches a topic filter (§4.7)."""
    wanted: Sequence[str] = filter_.split("/")
    levels = topic.split("/")
    if topic.startswith("$") and wanted[0] in ("#", "+"):
        return False
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)
