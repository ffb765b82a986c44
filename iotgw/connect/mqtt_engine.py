"""What an MQTT engine must offer.

An engine does no I/O and has no clock: calls return bytes to send, and received bytes return events of
`iotgw.wire.mqtt`. It lives as long as one connection; `iotgw.connect.mqtt_client` manages the connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from iotgw.wire import mqtt


class NotSent(Exception):
    """The engine did not accept a message; ``code`` is the corresponding MQTT 5 reason code (§2.4)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Engine(Protocol):
    """One connection's conversation. `iotgw.wire.mqtt.MqttSession` is one."""

    def connect(
        self,
        client_id: str,
        keepalive: int = 60,
        user: str | None = None,
        password: str | None = None,
        will: mqtt.Will | None = None,
        receive_maximum: int = 100,
        clean: bool = True,
        expiry: int = 0,
    ) -> bytes:
        """CONNECT; ``receive_maximum`` and ``expiry`` (seconds) are MQTT 5's."""

    def publish(
        self, topic: bytes, payload: bytes, qos: int = 1, retain: bool = False, properties: bytes = b""
    ) -> tuple[int, bytes]:
        """A packet identifier (0 for QoS 0), and bytes; the rest of them may come with `to_send`. Raises NotSent."""

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> tuple[int, bytes]:
        """SUBSCRIBE to ``(filter, options)`` pairs: packet identifier and bytes. The options are the QoS, with MQTT 5
        also those of §3.8.3.1."""

    def unsubscribe(self, filters: Sequence[str]) -> tuple[int, bytes]:
        """UNSUBSCRIBE from filters: packet identifier and bytes."""

    def acknowledge(self, message: mqtt.Arrived) -> bytes:
        """Acknowledge a message that is held back; returns the bytes to send."""

    def receive(self, data: bytes) -> list[mqtt.Event]:
        """Read bytes from the server; returns their events. After a ProtocolError, close the connection."""

    def to_send(self) -> bytes:
        """Further bytes to send, after `publish` and `receive`."""

    def ping(self) -> bytes:
        """PINGREQ."""

    def goodbye(self) -> bytes:
        """DISCONNECT."""
