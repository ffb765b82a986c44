"""The settings of an MQTT subscription."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, structs

from iotgw.connect.mqtt_broker import BrokerSettings
from iotgw.core.names import unfit
from iotgw.datasources.frames import GatherSeconds, GatherWith, check_gathering
from iotgw.envelopes.envelope import Envelope
from iotgw.envelopes.presets.choices import (
    ConverterGets,
    Custom,
    DeviceName,
    MqttChoice,
    MqttPrefix,
    MqttPreset,
    MqttPresetName,
    mqtt_preset,
)


class MqttSourceSettings(
    BrokerSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of an ``mqtt`` datasource."""

    version: Annotated[Literal["3.1.1", "5"], Meta(description="MQTT's version.")] = "3.1.1"
    client_id: Annotated[str, Meta(description="Empty is `iotgw-` and the datasource's id.")] = ""
    topics: Annotated[list[str], Meta(description="Topic filters, with the wildcards `+` and `#`.")] = []
    qos: Annotated[Literal[0, 1, 2], Meta(description="Quality of service of the subscriptions.")] = 1
    retained: Annotated[
        Literal["new", "all", "none"],
        Meta(
            description="Which retained values are readings when a subscription is made. `new`: those that differ from what "
            "came last on their topic. `all`: every one, with each connection. `none`: none of them."
        ),
    ] = "new"
    clean_session: Annotated[
        bool | None,
        Meta(
            description="If true, the broker drops messages while the gateway is offline. If false or "
            "not given, it keeps the session, and with it messages of QoS 1 and 2."
        ),
    ] = None
    session_expiry: Annotated[
        int,
        Meta(
            ge=0,
            le=0xFFFFFFFF,
            description="Seconds that the broker keeps the session while the gateway is offline (MQTT 5).",
        ),
    ] = 86400
    keepalive: Annotated[int, Meta(ge=5, le=65535, description="Seconds.")] = 60
    receive_maximum: Annotated[
        int, Meta(ge=1, le=65535, description="Messages that the broker may send unacknowledged (MQTT 5).")
    ] = 1000
    preset: MqttPresetName = "none"
    custom: Custom = None
    converter_gets: ConverterGets = "auto"
    device_name: DeviceName = "name"
    gather_seconds: GatherSeconds = None
    gather_with: GatherWith = ""
    prefix: MqttPrefix = "LOB/"
    identity_level: Annotated[
        int, Meta(ge=0, le=32, description="Level of the topic, from 1, that names the device; 0 is none.")
    ] = 0
    downlink_topic: Annotated[
        str,
        Meta(
            description="Where downlinks go, with `{identity}` and `{topic}` (the uplink's); empty is nowhere."
        ),
    ] = ""
    downlink_qos: Annotated[Literal[0, 1, 2], Meta(description="The quality of service of downlinks.")] = 1
    downlink_retain: Annotated[
        bool,
        Meta(
            description="Have the broker keep the last downlink of each topic for devices that subscribe later."
        ),
    ] = False

    def __post_init__(self) -> None:
        """Refuse a preset that can't be used, and topics that every broker would refuse."""
        super().__post_init__()
        chosen, choice = self._preset, self._choice
        check_gathering(self, chosen.envelope(choice))
        if problem := chosen.object_to(choice):
            raise ValueError(problem)
        for name, qos in (("qos", self.qos), ("downlinkQos", self.downlink_qos)):
            if qos > chosen.highest_qos:
                raise ValueError(f"{name}: expected at most {chosen.highest_qos} with preset {self.preset}")
        for topic in self.filters:
            levels = topic.split("/")
            if (
                not topic
                or unfit(topic)
                or "#" in levels[:-1]
                or any(len(level) > 1 and set(level) & {"+", "#"} for level in levels)
            ):
                raise ValueError(f"expected a topic filter such as devices/+/up, got {topic!r}")
        for name, text in (
            ("clientId", self.client_id), ("username", self.broker.username), ("downlinkTopic", self.downlink_topic)
        ):  # fmt: skip
            if unfit(text):
                raise ValueError(f"{name}: expected no control characters, got {unfit(text)}")
        if not self.filters:
            raise ValueError("expected topics, got none")

    def client(self, id: str) -> str:
        """The client id of the datasource with this id: unique, and the same after each restart."""
        return self.client_id or f"iotgw-{id}"

    @property
    def filters(self) -> list[str]:
        """What is subscribed to."""
        choice = structs.replace(self._choice, username=self.broker.username)
        return self.topics or self._preset.filters(choice)

    def envelope(self) -> Envelope:
        """What the messages are. Raises ValueError."""
        return self._preset.envelope(self._choice)

    @property
    def uses_tls(self) -> bool:
        """See `BrokerSettings.uses_tls`."""
        return self._preset.tls

    @property
    def protocol(self) -> str:
        """See `BrokerSettings.protocol`."""
        broker = self.broker
        has_certificate = broker.tls is not None and bool(broker.tls.certificate)
        return self.alpn or self._preset.alpn(broker.port, has_certificate)

    @property
    def _preset(self) -> MqttPreset:
        return mqtt_preset(self._choice)

    @property
    def _choice(self) -> MqttChoice:
        return MqttChoice(
            self.preset,
            self.custom,
            self.converter_gets,
            self.device_name,
            self.prefix,
            self.topics,
            self.username,
            self.client_id,
        )
