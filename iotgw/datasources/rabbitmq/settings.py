"""The settings of a queue at a RabbitMQ broker."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.connect.rabbit_access import RabbitAccess, check_names
from iotgw.datasources.frames import GatherSeconds, GatherWith, check_gathering
from iotgw.envelopes.envelope import Envelope
from iotgw.envelopes.presets.choices import (
    BrokerPresetName,
    ConverterGets,
    Custom,
    DeviceName,
    broker_envelope,
)


class Binding(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What an exchange puts into the queue."""

    exchange: Annotated[str, Meta(min_length=1, description="An exchange that exists.")]
    routing_key: Annotated[
        str, Meta(description="A routing key; of a topic exchange, a pattern with `*` and `#`.")
    ] = "#"


class RabbitSourceSettings(
    RabbitAccess, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``rabbitmq`` datasource."""

    queue: Annotated[str, Meta(min_length=1, description="The queue to read.")]
    declare: Annotated[
        bool, Meta(description="Whether to declare the queue, durable. Otherwise it must be there.")
    ] = False
    bindings: Annotated[
        list[Binding], Meta(description="What to bind the queue to; bindings that are no longer here stay.")
    ] = []
    prefetch: Annotated[
        int, Meta(ge=1, le=65535, description="Messages that the broker hands out unacknowledged.")
    ] = 1000
    device_level: Annotated[
        int,
        Meta(ge=0, le=128, description="Part of the routing key, from 1, that names the device; 0 is none."),
    ] = 0
    device_header: Annotated[
        str, Meta(description="The header that names the device; it outranks the routing key.")
    ] = ""
    preset: BrokerPresetName = "none"
    custom: Custom = None
    converter_gets: ConverterGets = "auto"
    device_name: DeviceName = "name"
    gather_seconds: GatherSeconds = None
    gather_with: GatherWith = ""

    def __post_init__(self) -> None:
        """Refuse what can't be read."""
        RabbitAccess.__post_init__(self)
        check_gathering(self, self.envelope())
        check_names(queue=self.queue)
        for binding in self.bindings:
            check_names(bindings=binding.exchange, routingKey=binding.routing_key)

    def envelope(self) -> Envelope:
        """What the messages are. Raises ValueError."""
        return broker_envelope(self.preset, self.custom, self.converter_gets, self.device_name)
