"""``dragino``, ``dragino-udp``, ``dragino-coap`` and ``dragino-mqtt``: Dragino's NB-IoT and LTE-M nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from iotgw.core.ports.datasources import PresetAbout
from iotgw.datasources.coap.served import ServedCoapSettings, ServedCoapType
from iotgw.datasources.mqtt.settings import MqttSourceSettings
from iotgw.datasources.mqtt.source_type import MqttSourceType
from iotgw.datasources.socket.datagram import DatagramSettings, DatagramType
from iotgw.datasources.socket.dialogues import DialogueType
from iotgw.datasources.socket.stream import Seconds, StreamSettings
from iotgw.envelopes.dialogue import Dialogue
from iotgw.envelopes.dragino import (
    DraginoDevices,
    DraginoDialogue,
    DraginoEncoding,
    DraginoEnvelope,
    DraginoModel,
)
from iotgw.envelopes.envelope import Envelope


class DraginoSettings(StreamSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``dragino`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; the nodes' `AT+SERVADDR`.")] = 5600
    model: DraginoModel = ""
    pause: Annotated[
        Seconds,
        Meta(
            description="Silence that ends a frame of a known layout; any other ends after three times as "
            "long. Must be shorter than the time that the nodes wait for a downlink (`AT+RXDL`)."
        ),
    ] = 1.0
    encoding: DraginoEncoding = "raw"
    devices: DraginoDevices = {}


class DraginoType(DialogueType):
    """The ``dragino`` datasources of a gateway."""

    name = "dragino"
    settings = DraginoSettings

    def dialogues(self, settings: DraginoSettings) -> Callable[[], Dialogue]:
        """See `DialogueType.dialogues`; what is learned about nodes outlives their connections."""
        envelope = DraginoEnvelope(settings.devices, settings.model, settings.encoding)
        return lambda: DraginoDialogue(envelope, settings.pause)


class DraginoUdpSettings(
    DatagramSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``dragino-udp`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port; the nodes' `AT+SERVADDR`.")] = 5600
    model: DraginoModel = ""
    encoding: DraginoEncoding = "raw"
    devices: DraginoDevices = {}


class DraginoUdpType(DatagramType):
    """The ``dragino-udp`` datasources of a gateway."""

    name = "dragino-udp"
    settings = DraginoUdpSettings

    def envelope(self, settings: DraginoUdpSettings) -> Envelope:
        """See `DatagramType.envelope`."""
        return DraginoEnvelope(settings.devices, settings.model, settings.encoding)


class DraginoCoapSettings(
    ServedCoapSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``dragino-coap`` datasource: those of ``coap``, and those of ``dragino-udp``."""

    empty_ack_delay: Annotated[
        float,
        Meta(
            gt=0, description="Long: the nodes' modem takes nothing but a reply within the acknowledgement."
        ),
    ] = 10.0
    confirm_downlinks: Annotated[bool, Meta(description="Not with these nodes, for the same reason.")] = False
    model: DraginoModel = ""
    encoding: DraginoEncoding = "asciihex"
    devices: DraginoDevices = {}


class DraginoCoapType(ServedCoapType):
    """The ``dragino-coap`` datasources of a gateway."""

    name = "dragino-coap"
    settings = DraginoCoapSettings

    def envelope(self, settings: DraginoCoapSettings) -> Envelope:
        """See `ServedCoapType.envelope`."""
        return DraginoEnvelope(settings.devices, settings.model, settings.encoding)


class DraginoMqttSettings(
    MqttSourceSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``dragino-mqtt`` datasource: those of ``mqtt``, and those of ``dragino-udp``."""

    model: DraginoModel = ""
    encoding: DraginoEncoding = "asciihex"
    devices: DraginoDevices = {}


class DraginoMqttType(MqttSourceType):
    """The ``dragino-mqtt`` datasources of a gateway: nodes behind a broker (``AT+PRO=3``), at any topic."""

    name = "dragino-mqtt"
    settings = DraginoMqttSettings

    def presets(self) -> list[PresetAbout]:
        """See `IHasPresets.presets`: it is Dragino's nodes that send, not a platform."""
        return []

    def envelope(self, settings: DraginoMqttSettings) -> Envelope:
        """See `MqttSourceType.envelope`."""
        return DraginoEnvelope(settings.devices, settings.model, settings.encoding)
