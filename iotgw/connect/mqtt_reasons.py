"""What an operator can do about a broker that refuses or closes, in one sentence each.

A broker that closes a connection seldom says why: MQTT 3.1.1 has no way to. What it was told last often shows it, and what
brokers are known to do: AWS IoT closes when a policy doesn't allow something, and at QoS 2; Azure IoT Hub closes at QoS 2,
and when a device connects twice; mosquitto closes the older of two clients with one id, and after a packet that is too large.

Texts never have figures that change from one attempt to the next, since a reason that stays the same is reported once.
"""

from __future__ import annotations

from msgspec import Struct

from iotgw.wire import mqtt

LARGE = 100_000
"""Bytes of a packet that some brokers refuse. AWS IoT takes 128 KiB, Azure IoT Hub 256 KiB."""
SOON = 30.0
"""Seconds: a connection that is closed sooner, twice in a row, is one that somebody else wants."""

_ADVICE_311 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""The reason codes that CONNACK's return codes of 3.1.1 are like."""
_VERSION = 0x84
_ADVICE = {
    0x85: "It does not take the client id {id!r}: set another clientId",
    0x86: "Check username and password",
    0x87: "Check username and password, and what the broker allows the client id {id!r}",
    0x88: "It is starting, or overloaded",
    0x8A: "Ask the broker's operator",
    0x8D: "It heard nothing in time: set a shorter keepalive",
    0x8E: "Another client uses the client id {id!r}: give each client an id of its own",
    0x90: "It does not take a topic that was published to",
    0x95: "A packet is larger than it takes",
    0x97: "A limit of the broker is reached, such as its number of connections",
    0x98: "Its operator ended the connection",
    0x9A: "It keeps no retained messages: switch retain off",
    0x9B: "It does not take this QoS: set a lower one",
    0x9F: "Connections are made too often, perhaps by other clients as well",
}
_TLS = {
    "wrong version number": "The port speaks no TLS: use mqtt:// or another port, such as 8883",
    "packet length too long": "The port speaks no TLS: use mqtt:// or another port, such as 8883",
    "record layer failure": "The port speaks no TLS: use mqtt:// or another port, such as 8883",
    "certificate required": "The broker wants a client certificate: set tls.certificate and tls.key",
    "alert handshake failure": "The broker may want a client certificate: set tls.certificate and tls.key",
    "alert unknown ca": "The broker does not trust the client certificate's authority",
    "alert bad certificate": "The broker refuses the client certificate",
    "alert certificate expired": "The client certificate has expired",
    "alert certificate revoked": "The client certificate is revoked",
    "no application protocol": "The port serves another protocol: set alpn to the broker's, or use another port",
    "alert unrecognized name": "The broker serves another name: set tls.serverName",
}  # fmt: skip
"""What OpenSSL says (RFC 8446 §6.2), and what it means here."""


class Story(Struct):
    """What is known of a connection when it ends. ``version`` is MQTT's."""

    client_id: str
    version: int
    is_tls: bool = False
    is_greeted: bool = False
    is_up: bool = False
    first: bytes = b""
    """The broker's first bytes."""
    subscribing: tuple[tuple[str, int], ...] = ()
    """Subscriptions that wait for an answer: filter and QoS."""
    is_unanswered: bool = False
    """Whether publishes wait for their acknowledgements."""
    qos: int = 0
    retain: bool = False
    largest: int = 0
    """Bytes of the largest packet among these."""


def of_refusal(refused: mqtt.Refused, client_id: str, version: int) -> str:
    """Advice on CONNACK or DISCONNECT with a reason; empty if there is none."""
    if refused.server:
        return f"It says to use {refused.server!r}: set host"
    code = _ADVICE_311.get(refused.code, refused.code)
    if code == _VERSION:
        return f'It speaks another version of MQTT: set version = "{"3.1.1" if version == mqtt.V5 else "5"}"'
    return _ADVICE.get(code, "").format(id=client_id)


def of_end(story: Story, said: str) -> str:
    """Advice on a connection that the broker closed without a reason; ``said`` is why, as the transport tells."""
    if said.startswith("TLS:"):
        return next((advice for words, advice in _TLS.items() if words in said), "")
    if not story.is_greeted:
        return of_strangers(story.first) or _before_the_greeting(story)
    if story.subscribing:
        said = ", ".join(filter_ for filter_, _ in story.subscribing)
        if any(qos == 2 for _, qos in story.subscribing):
            return f"It closes after the subscription to {said}: it may not allow it, or not take QoS 2"
        return f"It closes after the subscription to {said}: it may not allow it"
    if story.is_unanswered:
        return _after_publishes(story)
    return ""


def of_strangers(first: bytes) -> str:
    """Advice on a port that speaks something else, by its first bytes; empty if they are no such ones."""
    if first[:2] == b"\x15\x03":
        return "The port speaks TLS: use mqtts://, or set tls"
    if first[:4] == b"HTTP":
        return "The port speaks HTTP: use ws:// or wss:// for MQTT over WebSockets, or another port"
    return ""


def of_silence(is_tls: bool) -> str:
    """Advice on a port that takes the connection and says nothing. ``is_tls``: and not even in TLS, which was asked for."""
    if is_tls:
        return "The port may speak no TLS: use mqtt:// or another port, such as 8883"
    return "The port may want TLS (mqtts://) or a WebSocket (ws://)"


def _before_the_greeting(story: Story) -> str:
    if story.is_tls:
        return (
            f"It closes without an answer to CONNECT: it may not allow the client id {story.client_id!r}, or want "
            "another client certificate"
        )
    return (
        "It closes without an answer to CONNECT: the port may want TLS (mqtts://) or a WebSocket (ws://), or "
        f"the broker may not allow the client id {story.client_id!r}"
    )


def _after_publishes(story: Story) -> str:
    if story.qos == 2:
        return "It closes after QoS 2 publishes: it may not take QoS 2"
    if story.largest >= LARGE:
        return f"It closes after publishes of more than {LARGE} bytes: it may not take packets so large"
    if story.retain:
        return "It closes after retained publishes: it may keep no retained messages"
    return "It closes after publishes: it may not allow their topics"


def taken_over(client_id: str) -> str:
    """Advice where the broker closes one connection after the other soon after it was made."""
    return f"Another client may use the client id {client_id!r}: give each client an id of its own"
