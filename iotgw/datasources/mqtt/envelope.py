"""What a message at a broker means, and how a downlink is written: the one place where a vendor comes in."""

from __future__ import annotations

from typing import Protocol

from iotgw.core.model import Downlink, Metadata
from iotgw.wire.mqtt import Arrived


class MqttEnvelope(Protocol):
    """How devices of one kind speak over MQTT."""

    def read(self, arrived: Arrived, received_ms: int) -> tuple[bytes, Metadata]:
        """The payload that converters get of a message, and what is known of it besides the transport's facts.

        ``identity`` among the facts names the device; without it, the topic does. A message that is none has
        ``rejected``, the reason in one line: it is kept as failed, and acknowledged all the same.
        ``received_ms`` is the time in ms since 1970.
        """

    def write(self, downlink: Downlink, identity: str) -> bytes:
        """The bytes of a downlink for a device. Raises ValueError when it can't be written."""


class Plain:
    """Any device: its bytes as they are, in both directions."""

    def read(self, arrived: Arrived, received_ms: int) -> tuple[bytes, Metadata]:
        """See `MqttEnvelope.read`."""
        return arrived.payload, {}

    def write(self, downlink: Downlink, identity: str) -> bytes:
        """See `MqttEnvelope.write`."""
        return downlink.payload
