"""paho-mqtt as an engine: its client on a socket in memory. It opens no connection and starts no thread;
the Twisted endpoint under `iotgw.connect.mqtt_client` does names, TCP, TLS and time.

paho has no public API for this, so a few private names are used; `require` checks them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from importlib.metadata import version as version_of
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties  # type: ignore[attr-defined]  # its home moved in 2.2
from paho.mqtt.reasoncodes import ReasonCode

from iotgw.connect.mqtt_engine import NotSent
from iotgw.core.errors import ProtocolError, SettingsError
from iotgw.wire import mqtt

RECEIVE_MAXIMUM = 100
"""Unfinished incoming QoS 2 messages allowed; paho keeps each of them whole until PUBREL."""
METHODS = ("_create_socket", "_handle_pubrec", "_do_on_publish", "_send_pingreq")
"""Private methods of paho's client that are called or overridden."""
FIELDS = ("_in_packet", "_in_messages", "_out_messages")
"""Private fields of paho's client that are read."""
PLACE = "localhost", 1
"""paho requires an address to connect to; it is never used."""

_OTHER_VERSION = b"\x20\x02\x00\x01"
"""CONNACK: unacceptable protocol version (MQTT 3.1.1 §3.2.2.3)."""
QUOTA, TOPIC_INVALID = 0x97, 0x90

_OK = MQTTErrorCode.MQTT_ERR_SUCCESS
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, struct.error, MQTTException)
"""What paho's parsers raise for malformed packets, by version."""


def require() -> None:
    """Check that this module supports the installed paho-mqtt. Raises SettingsError."""
    installed = version_of("paho-mqtt")
    numbers = [int(part) for part in re.findall(r"\d+", installed)[:2]]
    probe = paho.Client(CallbackAPIVersion.VERSION2)
    missing = [name for name in METHODS if not callable(getattr(paho.Client, name, None))]
    missing += [name for name in FIELDS if not hasattr(probe, name)]
    if not [2, 1] <= numbers < [3] or missing:
        lacks = f" without Client.{', Client.'.join(missing)}" if missing else ""
        raise SettingsError(
            "configuration.engine", f"expected paho-mqtt >=2.1,<3 for paho, found {installed}{lacks}"
        )
    if PahoSession(mqtt.V311).connect("probe")[:1] != b"\x10":
        raise SettingsError("configuration.engine", f"paho-mqtt {installed} does not write to our socket")


class MemorySocket:
    """Two buffers that paho reads and writes instead of a socket."""

    def __init__(self) -> None:
        self._sent = bytearray()
        self._received = b""
        self._place = 0

    def send(self, data: bytes) -> int:
        """Take all that paho sends."""
        self._sent += data
        return len(data)

    def recv(self, size: int) -> bytes:
        """Read what was received; raises BlockingIOError when there is no more."""
        start = self._place
        data = self._received[start : start + size]
        if not data:
            raise BlockingIOError
        self._place = start + len(data)
        return data

    def feed(self, data: bytes) -> None:
        """Bytes from the server."""
        self._received = self._received[self._place :] + data
        self._place = 0

    def has_more(self) -> bool:
        """Whether something is left to read."""
        return self._place < len(self._received)

    def take(self) -> bytes:
        """What was sent since the last call."""
        sent = bytes(self._sent)
        self._sent.clear()
        return sent

    def setblocking(self, blocking: bool) -> None:
        """It never blocks."""

    def close(self) -> None:
        """The endpoint closes the connection."""


class _Client(paho.Client):
    """paho's client with the two changes that are needed here."""

    memory: MemorySocket

    def _create_socket(self) -> Any:
        return self.memory

    def _handle_pubrec(self) -> Any:
        """paho (2.2) takes a PUBREC that refuses the message for one that accepts it (MQTT 5.0 §4.3.3)."""
        packet = self._in_packet["packet"]
        if len(packet) > 2 and packet[2] >= 0x80:
            id_ = packet[0] << 8 | packet[1]
            if id_ not in self._out_messages:
                return _OK
            reason = ReasonCode(PacketTypes.PUBREC, identifier=packet[2])
            return self._do_on_publish(id_, reason, Properties(PacketTypes.PUBREC))
        return super()._handle_pubrec()


class PahoSession:
    """An `iotgw.connect.mqtt_engine.Engine`. At most ``most`` messages are unfinished;
    one beyond is not taken. With ``hold``, what arrives is acknowledged by `acknowledge` only; a QoS 2 message by its PUBCOMP."""

    def __init__(self, version: int = mqtt.V311, most: int = 1000, hold: bool = False) -> None:
        self._hold = hold
        self._five = version == mqtt.V5
        self._memory = MemorySocket()
        self._events: list[mqtt.Event] = []
        self._done: list[int] = []
        self._is_connected = False
        protocol = paho.MQTTv5 if self._five else paho.MQTTv311
        self._protocol = protocol
        self._most = most
        self._client: _Client | None = None

    # --- out

    def connect(
        self,
        client_id: str,
        keepalive: int = 60,
        user: str | None = None,
        password: str | None = None,
        will: mqtt.Will | None = None,
        receive_maximum: int = RECEIVE_MAXIMUM,
        clean: bool = True,
        expiry: int = 0,
    ) -> bytes:
        """CONNECT of a clean session; this engine keeps no other."""
        if not clean:
            raise ValueError("expected a clean session: paho remembers nothing of an earlier connection")
        client = _Client(
            CallbackAPIVersion.VERSION2, client_id, None if self._five else True,
            protocol=self._protocol, reconnect_on_failure=False, manual_ack=self._hold,
        )  # fmt: skip
        self._client = client
        client.memory = self._memory
        client.max_queued_messages = self._most
        client.max_inflight_messages = 0  # otherwise paho searches all messages at each acknowledgement
        # paho writes at once unless it is told that others watch its socket; so a batch is one write
        client.on_socket_register_write = lambda *about: None
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_subscribe = self._on_publish, self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_message = self._on_message
        if user is not None:
            client.username_pw_set(user, password)
        if will is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        if self._five:
            limits = Properties(PacketTypes.CONNECT)
            limits.ReceiveMaximum = min(receive_maximum, RECEIVE_MAXIMUM)
            limits.MaximumPacketSize = mqtt.MAX_PACKET
            client.connect(*PLACE, keepalive, clean_start=True, properties=limits)
        else:
            client.connect(*PLACE, keepalive)
        return self.to_send()

    def publish(
        self, topic: bytes, payload: bytes, qos: int = 1, retain: bool = False, properties: bytes = b""
    ) -> tuple[int, bytes]:
        """PUBLISH; the bytes come with `to_send`. Raises NotSent when too many are unfinished."""
        about = None
        if properties:
            about = Properties(PacketTypes.PUBLISH)
            about.unpack(mqtt.varint(len(properties)) + properties)
        try:
            info = self._live.publish(topic.decode(), payload, qos, retain, about)
        except ValueError as error:
            raise NotSent(TOPIC_INVALID, str(error)) from error
        if info.rc != _OK:  # nothing else of ``info`` may be asked then: it raises
            raise NotSent(QUOTA, f"paho: {paho.error_string(info.rc)}")
        return (info.mid if qos else 0), b""

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> tuple[int, bytes]:
        """SUBSCRIBE to ``(filter, qos)`` pairs. Raises ValueError for a malformed filter."""
        code, id_ = self._live.subscribe(list(filters))
        if code != _OK:
            raise NotSent(QUOTA, f"paho: {paho.error_string(code)}")
        return id_ or 0, self.to_send()

    def unsubscribe(self, filters: Sequence[str]) -> tuple[int, bytes]:
        """UNSUBSCRIBE from filters."""
        code, id_ = self._live.unsubscribe(list(filters))
        if code != _OK:
            raise NotSent(QUOTA, f"paho: {paho.error_string(code)}")
        return id_ or 0, self.to_send()

    def acknowledge(self, message: mqtt.Arrived) -> bytes:
        """Acknowledge a message received with ``hold``; otherwise paho has done so by itself."""
        self._live.ack(message.id, message.qos)
        return self.to_send()

    def to_send(self) -> bytes:
        """What paho has to send."""
        client = self._live
        if client.want_write():
            client.loop_write()
            self._done.clear()  # paho reports messages of QoS 0 here, but it is the transport that knows when
            # they were sent
        return self._memory.take()

    def ping(self) -> bytes:
        """PINGREQ."""
        self._live._send_pingreq()
        return self.to_send()

    def goodbye(self) -> bytes:
        """DISCONNECT."""
        self._live.disconnect()
        return self.to_send()

    # --- in

    def receive(self, data: bytes) -> list[mqtt.Event]:
        """Read bytes from the server; returns their events. After a ProtocolError, close the connection."""
        if data[:4] == _OTHER_VERSION and not self._five and not self._is_connected:
            return [
                mqtt.Refused(1, mqtt.REASONS_311[1])
            ]  # paho would try an older version on a connection of its own
        memory, client = self._memory, self._live
        memory.feed(data)
        while memory.has_more():
            try:
                code = client.loop_read()
            except _BROKEN as error:
                raise ProtocolError(f"MQTT: paho found a malformed packet: {error}") from error
            if any(type(event) is mqtt.Refused for event in self._events):
                break
            if code != _OK:
                raise ProtocolError(f"MQTT: {paho.error_string(code)}")
            size = client._in_packet["remaining_length"]
            if size > mqtt.MAX_PACKET:
                raise ProtocolError(f"MQTT: expected a packet of at most {mqtt.MAX_PACKET} bytes, got {size}")
            if len(client._in_messages) > RECEIVE_MAXIMUM:
                raise ProtocolError(f"MQTT: expected at most {RECEIVE_MAXIMUM} unfinished messages of QoS 2")
        events, self._events = self._events, []
        if self._done:
            events.append(mqtt.Acknowledged(self._done))
            self._done = []
        return events

    @property
    def _live(self) -> _Client:
        if self._client is None:
            raise RuntimeError("connect() comes first")
        return self._client

    # --- what paho calls

    def _on_connect(self, client: Any, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        if self._is_connected:
            raise ValueError("a second CONNACK")
        if reason.is_failure:
            self._events.append(_refused(reason, properties))
            return
        self._is_connected = True
        self._events.append(
            mqtt.Connected(
                receive_maximum=getattr(properties, "ReceiveMaximum", 65535) or 65535,
                maximum_qos=getattr(properties, "MaximumQoS", 2),
                retain_available=bool(getattr(properties, "RetainAvailable", 1)),
                maximum_packet=getattr(properties, "MaximumPacketSize", 268_435_455),
                keepalive=getattr(properties, "ServerKeepAlive", None),
                client_id=getattr(properties, "AssignedClientIdentifier", ""),
                session_present=bool(flags.session_present),
            )
        )

    def _on_disconnect(self, client: Any, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._events.append(_refused(reason, properties))

    def _on_publish(self, client: Any, _: Any, id_: int, reason: Any, properties: Any) -> None:
        if reason.value >= 0x80:
            self._events.append(mqtt.NotTaken(id_, reason.value, _said(reason)))
        else:
            self._done.append(id_)

    def _on_subscribe(self, client: Any, _: Any, id_: int, codes: Any, properties: Any) -> None:
        self._events.append(mqtt.Subscribed(id_, [code.value for code in codes]))

    def _on_unsubscribe(self, client: Any, _: Any, id_: int, codes: Any, properties: Any) -> None:
        self._events.append(mqtt.Unsubscribed(id_, [code.value for code in codes]))

    def _on_message(self, client: Any, _: Any, message: Any) -> None:
        if not self._is_connected:
            raise ValueError("a PUBLISH before CONNACK")
        self._events.append(
            mqtt.Arrived(
                message.topic, bytes(message.payload), message.qos, message.retain, message.mid, message.dup
            )
        )


def _refused(reason: Any, properties: Any) -> mqtt.Refused:
    more = " ".join(getattr(properties, "ReasonString", "").split())[:200]
    said = f"{_said(reason)} ({more})" if more else _said(reason)
    return mqtt.Refused(reason.value, said, getattr(properties, "ServerReference", "")[:200])


def _said(reason: Any) -> str:
    return mqtt.REASONS.get(reason.value, str(reason))
