"""The settings of a queue of Amazon SQS."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from iotgw.connect.sqs import SqsPlace
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


class SqsSourceSettings(SqsPlace, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``aws-sqs`` datasource."""

    wait: Annotated[
        int,
        Meta(
            ge=0, le=20, description="Seconds that a request waits at the queue for a message (long polling)."
        ),
    ] = 20
    visibility: Annotated[
        int,
        Meta(
            ge=10,
            le=43200,
            description="Seconds for which a message that the gateway has is hidden from others. It is asked for again while the "
            "gateway is full.",
        ),
    ] = 60
    window: Annotated[
        int, Meta(ge=10, le=10000, description="Messages that are received and not deleted yet.")
    ] = 500
    requests: Requests = 4
    body: Annotated[
        Literal["text", "base64"],
        Meta(description="What bodies are: the message itself, or its bytes in base64."),
    ] = "text"
    group_is_device: Annotated[
        bool, Meta(description="Whether a FIFO queue's message group names the device.")
    ] = True
    device_attribute: Annotated[
        str, Meta(description="The message attribute that names the device; it outranks the group.")
    ] = ""
    preset: BrokerPresetName = "none"
    custom: Custom = None
    converter_gets: ConverterGets = "auto"
    device_name: DeviceName = "name"
    gather_seconds: GatherSeconds = None
    gather_with: GatherWith = ""

    def __post_init__(self) -> None:
        """Refuse what can't be read."""
        SqsPlace.__post_init__(self)
        check_gathering(self, self.envelope())

    def envelope(self) -> Envelope:
        """What the messages are. Raises ValueError."""
        return broker_envelope(self.preset, self.custom, self.converter_gets, self.device_name)
