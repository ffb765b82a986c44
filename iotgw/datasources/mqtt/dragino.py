"""Dragino nodes behind an MQTT broker (``AT+PRO=3``): ``dragino-mqtt``.

A node publishes its frame as hexadecimal text, or as JSON, and takes downlinks in the same form. Who it is,
its frame says; the topic may be any.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta
from zope.interface import implementer

from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.datasources import IForgets
from iotgw.datasources.mqtt.datasource import MqttType
from iotgw.datasources.mqtt.envelope import MqttEnvelope
from iotgw.datasources.mqtt.settings import MqttSettings
from iotgw.envelopes import dragino
from iotgw.envelopes.dragino import DraginoDevices, DraginoEncoding
from iotgw.envelopes.envelope import Malformed
from iotgw.wire.mqtt import Arrived


class DraginoMqttSettings(
    MqttSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``dragino-mqtt`` datasource: those of ``mqtt``, and those of ``dragino-udp``."""

    model: Annotated[str, Meta(description="Model of all nodes whose frames don't tell it.")] = ""
    encoding: DraginoEncoding = "asciihex"
    devices: DraginoDevices = {}


@implementer(IForgets)
class DraginoMqttType(MqttType):
    """The ``dragino-mqtt`` datasources of a gateway."""

    name = "dragino-mqtt"
    settings = DraginoMqttSettings

    def envelope(self, settings: Any) -> MqttEnvelope:
        """See `MqttType.envelope`."""
        return DraginoMessages(dragino.DraginoEnvelope(settings.devices, settings.model, settings.encoding))


class DraginoMessages:
    """An `iotgw.datasources.mqtt.envelope.MqttEnvelope`."""

    def __init__(self, envelope: dragino.DraginoEnvelope) -> None:
        self._envelope = envelope

    def read(self, arrived: Arrived, received_ms: int) -> tuple[bytes, Metadata]:
        """See `MqttEnvelope.read`."""
        (read,) = self._envelope.read(arrived.payload, {}, received_ms)
        if isinstance(read, Malformed):
            return arrived.payload, {"rejected": read.reason}
        return read.payload, {**read.facts, "identity": read.identity}

    def write(self, downlink: Downlink, identity: str) -> bytes:
        """See `MqttEnvelope.write`: in the form that its node wants."""
        return self._envelope.write(downlink, identity).payload
