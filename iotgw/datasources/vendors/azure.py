"""``azure-event-hub`` and ``azure-iot-hub``: Event Hubs as the Kafka clusters that they also are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field
from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.connect.azure import EventHubPlace
from iotgw.core.errors import ProtocolError
from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IPushes
from iotgw.core.validate import settings_of
from iotgw.datasources.frames import GatherSeconds, GatherWith
from iotgw.datasources.kafka.datasource import KafkaDatasource, KafkaSourceType, ReaderMaker, header_text
from iotgw.datasources.kafka.settings import KafkaSourceSettings
from iotgw.datasources.vendors.direct_methods import DirectMethods, MethodCaller
from iotgw.envelopes.presets.choices import BrokerPresetName, ConverterGets, Custom, DeviceName
from iotgw.wire import amqp_values

DEVICE_ID = "iothub-connection-device-id"
"""The property in which an IoT hub names the device that it has authenticated."""


class EventHubSourceSettings(
    EventHubPlace, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of an ``azure-event-hub`` datasource."""

    group: Annotated[
        str,
        Meta(max_length=256, description="Consumer group; empty is `iotgw-` and the datasource's id."),
    ] = ""
    start: Annotated[
        Literal["earliest", "latest"],
        Meta(
            description="Where a new group begins: at the oldest event that is kept, or at the next one. From then on it misses none, in partitions that are "
            "added later either."
        ),
    ] = field(default="earliest", name="from")
    key_is_device: Annotated[bool, Meta(description="Whether an event's partition key names its device.")] = (
        True
    )
    device_header: Annotated[
        str, Meta(description="The property that names the device; it outranks the key.")
    ] = ""
    preset: BrokerPresetName = "none"
    custom: Custom = None
    converter_gets: ConverterGets = "auto"
    device_name: DeviceName = "name"
    gather_seconds: GatherSeconds = None
    gather_with: GatherWith = ""

    def __post_init__(self) -> None:
        """Refuse what can't be read."""
        if self.connection_string:
            self.kafka()

    def kafka(self) -> KafkaSourceSettings:
        """The same as settings of a Kafka cluster. Raises ValueError."""
        access = self.access()
        return KafkaSourceSettings(
            brokers=[access.broker], topics=[access.topic], group=self.group, start=self.start, sasl=access.sasl,
            tls=access.tls, key_is_device=self.key_is_device, device_header=self.device_header, preset=self.preset,
            custom=self.custom, converter_gets=self.converter_gets, device_name=self.device_name, gather_seconds=self.gather_seconds,
            gather_with=self.gather_with,
        )  # fmt: skip


class IotHubSourceSettings(
    EventHubSourceSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of an ``azure-iot-hub`` datasource: those of the Event Hub that an IoT hub has built in."""

    key_is_device: Annotated[bool, Meta(description="Whether a message's key names its device.")] = False
    device_header: Annotated[str, Meta(description="The property that names the device.")] = DEVICE_ID
    methods: Annotated[
        DirectMethods | None,
        Meta(description="Downlinks as direct methods; without it nothing is sent to devices."),
    ] = None

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        methods = None if self.methods is None else self.methods.destination()
        return EventHubSourceSettings.destination(self), methods


@implementer(IPushes)
class IotHubDatasource(KafkaDatasource):
    """The messages of an IoT hub's devices; its direct methods carry downlinks."""

    def __init__(
        self,
        settings: IotHubSourceSettings,
        kafka: KafkaSourceSettings,
        context: DatasourceContext,
        make_reader: ReaderMaker,
        header: Callable[[bytes | None], Any],
        connector: IConnector,
    ) -> None:
        super().__init__(kafka, context, make_reader, header)
        self._caller: MethodCaller | None = None
        self.can_push = settings.methods is not None
        if settings.methods is not None:
            self._caller = MethodCaller(settings.methods, context, connector)
            self._reply = self.push
            self._messages.whose = "identity"

    def push(self, metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """See `IPushes.push`."""
        for downlink in downlinks:
            if self._caller is not None:
                self._caller.call(str(metadata.get("identity", "")), downlink)

    def stop(self) -> Deferred[None]:
        """See `KafkaDatasource.stop`."""
        caller = self._caller
        stopped = super().stop()
        return stopped if caller is None else stopped.addCallback(lambda _: caller.stop())

    def status(self) -> dict[str, Any]:
        """See `KafkaDatasource.status`. ``methods`` is why the hub takes no calls."""
        error = self._caller.error if self._caller is not None else ""
        return {**super().status(), **({"methods": {"lastError": error}} if error else {})}


class EventHubSourceType(KafkaSourceType):
    """The ``azure-event-hub`` datasources of a gateway."""

    name = "azure-event-hub"
    settings: type[Struct] = EventHubSourceSettings

    def plain(self, settings: Any) -> KafkaSourceSettings:
        """See `KafkaSourceType.plain`."""
        with settings_of("configuration"):
            made: KafkaSourceSettings = settings.kafka()
        return made

    def header(self, value: bytes | None) -> Any:
        """See `KafkaSourceType.header`: properties of events that came over AMQP are in its encoding."""
        text = header_text(value)
        if not value or (value.isascii() and text.isprintable()):
            return text
        try:
            return amqp_values.value(value)
        except ProtocolError:
            return text


class IotHubSourceType(EventHubSourceType):
    """The ``azure-iot-hub`` datasources of a gateway."""

    name = "azure-iot-hub"
    settings: type[Struct] = IotHubSourceSettings

    def build(self, settings: Any, context: DatasourceContext) -> IotHubDatasource:
        """See `KafkaSourceType.build`."""
        made: IotHubSourceSettings = settings
        with settings_of("configuration"):
            return IotHubDatasource(
                made, self.plain(made), context, self._reader, self.header, self._connector
            )
