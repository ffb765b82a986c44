"""``azure-event-hub`` as a target: an Event Hub is also a Kafka cluster with one topic for each hub."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from zope.interface import implementer

from iotgw.connect.azure import EventHubPlace
from iotgw.core.ports.integrations import IIntegrationType, IntegrationContext
from iotgw.core.validate import settings_of
from iotgw.integrations.kafka import KafkaSettings, KafkaTarget, KafkaType


class EventHubSettings(EventHubPlace, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An Event Hub: one event per record."""

    key: Annotated[
        str,
        Meta(
            description="A template: the partition key. Events with the same one stay in order; empty is any partition."
        ),
    ] = "{{ deviceName }}"
    largest: Annotated[
        int,
        Meta(
            ge=1, le=1 << 20, description="Bytes of an event: 256 KB in the tier Basic, 1 MB in the others."
        ),
    ] = 1_000_000
    delivery_timeout: Annotated[
        float,
        Meta(
            ge=1,
            le=3600,
            description="Seconds without a report on an event after which the connection is given up, and the event sent again.",
        ),
    ] = 30.0
    window: Annotated[int, Meta(ge=1, le=100_000, description="Events in flight.")] = 5000

    def __post_init__(self) -> None:
        """Refuse what is no connection string."""
        if self.connection_string:
            self.kafka()

    def kafka(self) -> KafkaSettings:
        """The same as settings of a Kafka cluster. Raises ValueError."""
        access = self.access()
        return KafkaSettings(
            brokers=[access.broker], topic=access.topic, key=self.key, sasl=access.sasl, tls=access.tls,
            largest=self.largest, delivery_timeout=self.delivery_timeout, window=self.window,
        )  # fmt: skip


@implementer(IIntegrationType)
class EventHubType(KafkaType):
    """The type ``azure-event-hub``; see `EventHubSettings`."""

    name = "azure-event-hub"
    settings: type[Struct] = EventHubSettings

    def build(self, settings: EventHubSettings, context: IntegrationContext) -> KafkaTarget:  # type: ignore[override]
        """See `KafkaType.build`."""
        with settings_of("configuration"):
            plain = settings.kafka()
        return super().build(plain, context)
