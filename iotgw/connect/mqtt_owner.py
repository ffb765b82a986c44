"""What a user tells its MQTT client, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from iotgw.wire import mqtt

HANDSHAKE = 15.0
"""Seconds from the connection (TCP's, or TLS's) until it is up."""

Item = tuple[int, bytes, bytes, bytes]
"""A message to publish: a number of the owner's, topic, payload, MQTT 5 properties."""


class Greeting(Struct, frozen=True):
    """Contents of CONNECT. ``keepalive`` in seconds, 0 for none; ``receive_maximum`` and ``expiry`` (seconds that the
    broker keeps a session that is not ``clean``) are MQTT 5's. ``version`` is what the engine speaks."""

    client_id: str
    keepalive: int = 60
    user: str | None = None
    password: str | None = None
    will: mqtt.Will | None = None
    receive_maximum: int = 100
    clean: bool = True
    expiry: int = 0
    version: int = mqtt.V311


class Topics(Struct, frozen=True):
    """Subscriptions to make before a connection counts as up: ``(filter, options)`` pairs (the
    QoS, with MQTT 5 also what §3.8.3.1 has), and stale filters of an
    earlier connection to unsubscribe from."""

    wanted: Sequence[tuple[str, int]] = ()
    stale: Sequence[str] = ()


NONE = Topics()


class ArrivalSource(Protocol):
    """A connection as the receiver of its messages sees it; an
    `iotgw.connect.mqtt_connection.MqttConnection`."""

    def acknowledge(self, message: mqtt.Arrived) -> None:
        """Acknowledge a message that the engine holds back; harmless after the connection's end."""

    def stop_reading(self) -> None:
        """Stop reading."""

    def start_reading(self) -> None:
        """Read again."""


class MqttOwner:
    """The user of a client. Methods that aren't overridden do nothing."""

    def on_greeted(self, limits: mqtt.Connected, reader: ArrivalSource) -> Topics:
        """CONNACK came; returns what to subscribe to. The connection is up once the broker has confirmed all of
        it, and is closed if the broker refuses."""
        return NONE

    def on_up(self, limits: mqtt.Connected) -> None:
        """The connection can be used."""

    def on_acknowledged(self, numbers: list[int]) -> None:
        """The broker acknowledged these messages; with QoS 0, they were sent."""

    def on_refused(self, number: int, code: int, reason: str) -> None:
        """The broker refused this message."""

    def on_lost(self, numbers: list[int], reason: str) -> None:
        """The connection ended, or none could be made; these were not acknowledged."""

    def on_message(self, message: mqtt.Arrived) -> None:
        """Something arrived for a subscription, perhaps before the connection is up."""

    def on_unsubscribed(self, refused: list[str]) -> None:
        """The broker removed the stale filters except these."""

    def on_trouble(self, reason: str) -> None:
        """A problem that doesn't end the connection."""

    def hint(self, refused: mqtt.Refused) -> str:
        """Advice on a refused CONNECT for the operator; may be empty."""
        return ""
