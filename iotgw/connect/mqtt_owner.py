"""What a user of an MQTT client tells it, and hears from it."""

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
    """What CONNECT says. ``keepalive`` in seconds, 0 for none; ``receive_maximum`` and ``expiry`` (seconds that the
    broker keeps a session that is not ``clean``) are MQTT 5's."""

    client_id: str
    keepalive: int = 60
    user: str | None = None
    password: str | None = None
    will: mqtt.Will | None = None
    receive_maximum: int = 100
    clean: bool = True
    expiry: int = 0


class Topics(Struct, frozen=True):
    """What a connection is subscribed to before it is up: ``(filter, qos)`` pairs, and filters of an earlier
    connection that are wanted no more."""

    wanted: Sequence[tuple[str, int]] = ()
    stale: Sequence[str] = ()


NONE = Topics()


class ArrivalSource(Protocol):
    """A connection as the one sees it who takes what arrives; an `iotgw.connect.mqtt_connection.MqttConnection`."""

    def acknowledge(self, message: mqtt.Arrived) -> None:
        """A message that the engine holds back has been taken; never too late, nor for another connection."""

    def stop_reading(self) -> None:
        """Hear nothing for now."""

    def start_reading(self) -> None:
        """Hear again what the broker says."""


class MqttOwner:
    """Who uses a client. What isn't overridden does nothing."""

    def on_greeted(self, limits: mqtt.Connected, reader: ArrivalSource) -> Topics:
        """CONNACK: what to subscribe to. If that is anything, the connection is up when the broker has confirmed
        it, and ended when it refuses."""
        return NONE

    def on_up(self, limits: mqtt.Connected) -> None:
        """The connection can be used."""

    def on_acknowledged(self, numbers: list[int]) -> None:
        """The broker has these; with QoS 0, they have left."""

    def on_refused(self, number: int, code: int, reason: str) -> None:
        """The broker doesn't take this one."""

    def on_lost(self, numbers: list[int], reason: str) -> None:
        """The connection ended, or none could be made; these were not acknowledged."""

    def on_message(self, message: mqtt.Arrived) -> None:
        """Something arrived for a subscription, perhaps before the connection is up."""

    def on_unsubscribed(self, refused: list[str]) -> None:
        """The broker has dropped the stale filters, but for these."""

    def on_trouble(self, reason: str) -> None:
        """Something that doesn't end the connection."""

    def hint(self, refused: mqtt.Refused) -> str:
        """What a person could do about a refused CONNECT; empty when there is nothing to say."""
        return ""
