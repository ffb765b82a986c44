"""The client's side of one MQTT connection.

It publishes many messages at once and reports their acknowledgements in groups. It keeps no session across
connections: the user resends what was not acknowledged when a connection ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from iotgw.core.errors import ProtocolError
from iotgw.wire.mqtt.events import (
    REASONS,
    REASONS_311,
    Acknowledged,
    Arrived,
    Connected,
    Event,
    NotTaken,
    Pong,
    Refused,
    Subscribed,
    Unsubscribed,
)
from iotgw.wire.mqtt.packets import (
    BYE,
    CONNACK,
    DISCONNECT,
    MAX_PACKET,
    NO_PROPERTIES,
    PING,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
    V5,
    V311,
    Properties,
    Will,
    properties_at,
    text,
    two_bytes,
    varint,
)

_REASON_STRING, _SERVER_REFERENCE = 0x1F, 0x1C


class MqttSession:
    """One MQTT connection, from CONNECT to its end.

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
        self._is_answered = False
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
        body = [text(client_id)]
        if will is not None:
            flags |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
            body += [b"\x00" if self._five else b"", text(will.topic), text(will.payload)]
        if user is not None:
            flags |= 0x80
            body.append(text(user))
        if password is not None:
            flags |= 0x40
            body.append(text(password))
        properties = b"\x21" + receive_maximum.to_bytes(2, "big") + b"\x27" + MAX_PACKET.to_bytes(4, "big")
        if expiry:
            properties += b"\x11" + expiry.to_bytes(4, "big")
        head = text("MQTT") + bytes((self._version, flags)) + keepalive.to_bytes(2, "big")
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
        """SUBSCRIBE (§3.8) to ``(filter, options)`` pairs: packet identifier and bytes. The options are the QoS, with MQTT 5 also
        those of §3.8.3.1."""
        id_ = self._take_id()
        content = id_.to_bytes(2, "big") + (b"\x00" if self._five else b"")
        content += b"".join(text(filter_) + bytes((options,)) for filter_, options in filters)
        return id_, b"\x82" + varint(len(content)) + content

    def unsubscribe(self, filters: Iterable[str]) -> tuple[int, bytes]:
        """UNSUBSCRIBE (§3.10): packet identifier and bytes."""
        id_ = self._take_id()
        content = id_.to_bytes(2, "big") + (b"\x00" if self._five else b"")
        content += b"".join(text(filter_) for filter_ in filters)
        return id_, b"\xa2" + varint(len(content)) + content

    def acknowledge(self, message: Arrived) -> bytes:
        """Acknowledge a message received with ``hold``; returns the PUBACK or PUBREC to send, nothing for QoS
        0."""
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
        """Bytes that the received packets require as a response; send them after each `receive`."""
        if not self._out:
            return b""
        out = b"".join(self._out)
        self._out.clear()
        return out

    # --- in

    def receive(self, data: bytes) -> list[Event]:
        """Read bytes from the server; returns their events. After a ProtocolError, close the connection."""
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
            id_ = two_bytes(body, 0, "PUBREL")
            self._received.discard(id_)
            self._out.append(b"\x70\x02" + id_.to_bytes(2, "big"))
        elif kind == CONNACK:
            events.append(self._connack(body))
        elif kind in (SUBACK, UNSUBACK):
            id_ = two_bytes(body, 0, "SUBACK or UNSUBACK")
            self._unfinished.discard(id_)
            _, place = self._properties(body, 2)
            event = Subscribed if kind == SUBACK else Unsubscribed
            events.append(event(id_, list(body[place:])))
        elif kind == PINGRESP:
            events.append(Pong())
        elif kind == DISCONNECT and self._five:
            code = body[0] if body else 0
            found = self._properties(body, 1)[0] if len(body) > 1 else NO_PROPERTIES
            reason = REASONS.get(code, "the server ended the connection")
            events.append(_refused(code, reason, found))
        else:
            raise ProtocolError(f"MQTT: unexpected packet type {kind}")

    def _connack(self, body: bytes) -> Event:
        if self._is_answered or len(body) < 2:  # one comes, also where it is a refusal (§3.2)
            raise ProtocolError("MQTT: unexpected or short CONNACK")
        self._is_answered = True
        code = body[1]
        if code:
            reasons = REASONS if self._five else REASONS_311
            found = self._properties(body, 2)[0] if len(body) > 2 else NO_PROPERTIES
            return _refused(code, reasons.get(code, f"code {code}"), found)
        self.connected = True
        if not body[0] & 1:
            self._received.clear()
        found, _ = self._properties(body, 2)
        numbers, texts = found.numbers, found.texts
        return Connected(
            receive_maximum=numbers.get(0x21, 65535) or 65535,
            maximum_qos=numbers.get(0x24, 2),
            retain_available=bool(numbers.get(0x25, 1)),
            maximum_packet=numbers.get(0x27) or 268_435_455,
            keepalive=numbers.get(0x13),
            client_id=texts.get(0x12, ""),
            session_present=bool(body[0] & 1),
            session_expiry=numbers.get(0x11),
        )

    def _acknowledged(self, kind: int, body: bytes, events: list[Event], done: list[int]) -> None:
        id_ = two_bytes(body, 0, "acknowledgement")
        code = body[2] if len(body) > 2 else 0
        if code >= 0x80:
            if id_ in self._unfinished:
                self._unfinished.discard(id_)
                found = self._properties(body, 3)[0] if len(body) > 3 else NO_PROPERTIES
                events.append(NotTaken(id_, code, said(REASONS.get(code, f"code 0x{code:02x}"), found)))
        elif kind == PUBREC:
            self._out.append(b"\x62\x02" + id_.to_bytes(2, "big"))
        else:
            self._finish(id_, done)

    def _finish(self, id_: int, done: list[int]) -> None:
        if id_ in self._unfinished:  # otherwise it is late, or the server's mistake
            self._unfinished.discard(id_)
            done.append(id_)

    def _arrived(self, first: int, body: bytes) -> Arrived | None:
        """A PUBLISH; None for a QoS 2 message that was already received."""
        qos = first >> 1 & 3
        size = two_bytes(body, 0, "PUBLISH")
        place = 2 + size
        if len(body) < place or qos == 3:
            raise ProtocolError("MQTT: malformed PUBLISH")
        try:
            topic = body[2:place].decode()
        except UnicodeDecodeError as error:
            raise ProtocolError("MQTT: the topic of a PUBLISH is not UTF-8") from error
        id_ = 0
        if qos:
            id_ = two_bytes(body, place, "PUBLISH")
            place += 2
        found = NO_PROPERTIES
        if self._five:
            found, place = properties_at(body, place)
        message = Arrived(topic, body[place:], qos, bool(first & 1), id_, bool(first & 8), found)
        is_known = qos == 2 and id_ in self._received
        if qos and (is_known or not self._hold):
            self._out.append(self.acknowledge(message))
        return None if is_known else message

    def _properties(self, body: bytes, place: int) -> tuple[Properties, int]:
        """Properties at ``place`` where this version has them, and where they end."""
        return properties_at(body, place) if self._five else (NO_PROPERTIES, place)


def said(reason: str, found: Properties) -> str:
    """A reason, with what the server says of it (§3.2.2.3.9) in one line of at most 200 characters."""
    more = " ".join(found.texts.get(_REASON_STRING, "").split())[:200]
    return f"{reason} ({more})" if more else reason


def _refused(code: int, reason: str, found: Properties) -> Refused:
    return Refused(code, said(reason, found), found.texts.get(_SERVER_REFERENCE, "")[:200])
