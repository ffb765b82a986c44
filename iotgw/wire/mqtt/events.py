"""Events from a server as values, and the texts of its reason codes."""

from __future__ import annotations

from msgspec import Struct

from iotgw.wire.mqtt.packets import NO_PROPERTIES, Properties


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
    """CONNACK with a reason code that is not success, or DISCONNECT from the server. ``server`` is another one that it says
    to use (MQTT 5.0 §3.2.2.3.16), ``reason`` one line."""

    code: int
    reason: str
    server: str = ""


class Acknowledged(Struct, frozen=True):
    """The server has acknowledged these packet identifiers."""

    ids: list[int]


class NotTaken(Struct, frozen=True):
    """The server answered a PUBLISH with a reason code of 0x80 or more (MQTT 5 only)."""

    id: int
    code: int
    reason: str


class Arrived(Struct, frozen=True):
    """A PUBLISH from the server; its acknowledgement is among `MqttSession.to_send`, or with ``hold`` up to the
    user: `MqttSession.acknowledge` with its ``id``."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    id: int = 0
    duplicate: bool = False
    properties: Properties = NO_PROPERTIES


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
    0x9D: "server moved", 0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded", 0xA0: "maximum connect time",
    0xA1: "subscription identifiers not supported", 0xA2: "wildcard subscriptions not supported",
}  # fmt: skip
"""Reason codes (§2.4)."""

REASONS_311 = {
    1: "unacceptable protocol version", 2: "client identifier rejected", 3: "server unavailable",
    4: "bad user name or password", 5: "not authorized",
}  # fmt: skip
"""CONNACK return codes of 3.1.1 (§3.2.2.3 there)."""
