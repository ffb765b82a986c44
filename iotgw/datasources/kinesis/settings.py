"""The settings of a stream of Amazon Kinesis."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from iotgw.connect.kinesis import KinesisPlace
from iotgw.datasources.frames import GatherSeconds, GatherWith, check_gathering
from iotgw.envelopes.envelope import Envelope
from iotgw.envelopes.presets.choices import (
    BrokerPresetName,
    ConverterGets,
    Custom,
    DeviceName,
    broker_envelope,
)


class KinesisSourceSettings(
    KinesisPlace, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of an ``aws-kinesis`` datasource."""

    start: Annotated[
        Literal["earliest", "latest"],
        Meta(
            description="Where a new datasource begins: at the oldest record that is kept, or at the time when it is started first."
        ),
    ] = field(default="earliest", name="from")
    interval: Annotated[
        float,
        Meta(
            ge=0.2,
            le=60,
            description="Seconds between two requests to a shard that has nothing new. A shard answers five a second, to all who "
            "read it.",
        ),
    ] = 1.0
    key_is_device: Annotated[bool, Meta(description="Whether a record's partition key names its device.")] = (
        True
    )
    preset: BrokerPresetName = "none"
    custom: Custom = None
    converter_gets: ConverterGets = "auto"
    device_name: DeviceName = "name"
    gather_seconds: GatherSeconds = None
    gather_with: GatherWith = ""

    def __post_init__(self) -> None:
        """Refuse what can't be read."""
        KinesisPlace.__post_init__(self)
        check_gathering(self, self.envelope())

    def envelope(self) -> Envelope:
        """What the records are. Raises ValueError."""
        return broker_envelope(self.preset, self.custom, self.converter_gets, self.device_name)
