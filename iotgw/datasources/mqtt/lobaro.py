"""Lobaro's topics and envelope (``preset = "lobaro"``): ``<prefix><device>/up/<kind>``."""

from __future__ import annotations

from iotgw.core.model import Downlink, Metadata
from iotgw.envelopes.lobaro import downlink_cbor
from iotgw.wire import lobaro
from iotgw.wire.mqtt import Arrived


class LobaroTopics:
    """An `iotgw.datasources.mqtt.envelope.MqttEnvelope`. A level of the topic that the settings name
    (``identity_level``, from 1; 0 for none) outranks what the envelope says of the device."""

    def __init__(self, prefix: str, identity_level: int) -> None:
        self._prefix = prefix
        self._identity_level = identity_level

    def read(self, arrived: Arrived, received_ms: int) -> tuple[bytes, Metadata]:
        """See `MqttEnvelope.read`."""
        envelope = lobaro.parse(arrived.payload)
        rest = arrived.topic.removeprefix(self._prefix).split("/")
        facts = lobaro.metadata(envelope, rest[2] if len(rest) > 2 else "data")
        if not 0 < self._identity_level <= arrived.topic.count("/") + 1 and (
            identity := rest[0].removeprefix("urn:dev:mac:") or envelope.identity
        ):
            facts["identity"] = identity
        return arrived.payload, facts

    def write(self, downlink: Downlink, identity: str) -> bytes:
        """See `MqttEnvelope.write`."""
        return downlink_cbor(downlink.payload)
