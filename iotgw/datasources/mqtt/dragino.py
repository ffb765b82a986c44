"""Dragino nodes behind an MQTT broker (``AT+PRO=3``): ``dragino-mqtt``.

A node publishes its frame as hexadecimal text, or as JSON, and takes downlinks in the same form. Who it is,
its frame says; the topic may be any.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace
from zope.interface import implementer

from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.datasources import DatasourceContext, IForgets
from iotgw.datasources.mqtt.datasource import MqttDatasource, MqttSettings, MqttType
from iotgw.envelopes.dragino import DraginoDevices, DraginoEncoding, DraginoEnvelope
from iotgw.envelopes.envelope import Reading
from iotgw.wire import mqtt


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

    def make(self, settings: Any, context: DatasourceContext, endpoint: Any) -> DraginoMqttDatasource:
        """See `MqttType.make`."""
        return DraginoMqttDatasource(settings, context, endpoint)


class DraginoMqttDatasource(MqttDatasource):
    """A subscription to nodes' topics."""

    def __init__(self, settings: DraginoMqttSettings, context: DatasourceContext, endpoint: Any) -> None:
        super().__init__(settings, context, endpoint)
        self._envelope = DraginoEnvelope(settings.devices, settings.model, settings.encoding)

    def message(self, arrived: mqtt.Arrived) -> tuple[bytes, Metadata]:
        """A node's frame; what is none is kept as failed, and acknowledged all the same."""
        _, facts = super().message(arrived)
        (read,) = self._envelope.read(arrived.payload, facts, facts["receivedTime"])
        if not isinstance(read, Reading):
            self.counts["faults"] += 1
            return arrived.payload, facts | {"rejected": read.reason}
        facts |= read.facts
        facts["identity" if self.settings.downlink_topic else "device"] = read.identity
        return read.payload, facts

    def publish(self, identity: str, topic: str, downlinks: tuple[Downlink, ...]) -> None:
        """Send downlinks to a node, in the form that it wants."""
        wanted = (replace(item, payload=self._envelope.write(item, identity).payload) for item in downlinks)
        super().publish(identity, topic, tuple(wanted))
