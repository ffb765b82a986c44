"""The settings of a subscription of Google Pub/Sub."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from iotgw.connect.pubsub import PubsubPlace, check_resource
from iotgw.datasources.frames import GatherSeconds, GatherWith, check_gathering
from iotgw.datasources.leased_source import Requests
from iotgw.envelopes.envelope import Envelope
from iotgw.envelopes.presets.choices import (
    BrokerPresetName,
    ConverterGets,
    Custom,
    DeviceName,
    broker_envelope,
)


class PubsubSourceSettings(
    PubsubPlace, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``google-pubsub`` datasource."""

    subscription: Annotated[str, Meta(description="The subscription's name; it must be one that is pulled.")]
    batch: Annotated[int, Meta(ge=1, le=1000, description="Messages that a request asks for, at most.")] = 100
    window: Annotated[
        int, Meta(ge=10, le=10000, description="Messages that are received and not acknowledged yet.")
    ] = 1000
    requests: Requests = 4
    key_is_device: Annotated[bool, Meta(description="Whether a message's ordering key names its device.")] = (
        True
    )
    device_attribute: Annotated[
        str, Meta(description="The attribute that names the device; it outranks the ordering key.")
    ] = ""
    preset: BrokerPresetName = "none"
    custom: Custom = None
    converter_gets: ConverterGets = "auto"
    device_name: DeviceName = "name"
    gather_seconds: GatherSeconds = None
    gather_with: GatherWith = ""

    def __post_init__(self) -> None:
        """Refuse what can't be read."""
        PubsubPlace.__post_init__(self)
        check_resource("subscription", self.subscription)
        check_gathering(self, self.envelope())

    def envelope(self) -> Envelope:
        """What the messages are. Raises ValueError."""
        return broker_envelope(self.preset, self.custom, self.converter_gets, self.device_name)
