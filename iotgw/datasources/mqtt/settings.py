"""The settings of an MQTT subscription."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.names import unfit
from iotgw.core.secrets import Secret
from iotgw.envelopes.envelope import Envelope
from iotgw.envelopes.presets.choices import (
    ConverterGets,
    Custom,
    MqttPrefix,
    MqttPresetName,
    mqtt_envelope,
    mqtt_filters,
)


class MqttSourceSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``mqtt`` datasource."""

    host: Annotated[str, Meta(min_length=1, description="The broker.")]
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None, Meta(description="1883, with TLS 8883, if not given.")
    ] = None
    tls: Annotated[ClientTls | None, Meta(description="TLS, also with a client certificate.")] = None
    proxy: ProxyUrl = ""
    version: Annotated[Literal["3.1.1", "5"], Meta(description="MQTT's version.")] = "3.1.1"
    client_id: Annotated[str, Meta(description="Empty is `iotgw-` and the datasource's id.")] = ""
    username: str = ""
    password: Secret = ""
    topics: Annotated[list[str], Meta(description="Topic filters, with the wildcards `+` and `#`.")] = []
    qos: Annotated[Literal[0, 1, 2], Meta(description="Quality of service of the subscriptions.")] = 1
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
    downlink_qos: Literal[0, 1, 2] = 1

    def __post_init__(self) -> None:
        """Refuse a preset that can't be used, and topics that every broker would refuse."""
        self.envelope()
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
            ("clientId", self.client_id), ("username", self.username), ("downlinkTopic", self.downlink_topic)
        ):  # fmt: skip
            if unfit(text):
                raise ValueError(f"{name}: expected no control characters, got {unfit(text)}")
        if not self.filters:
            raise ValueError("expected topics, got none")

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return self.host.lower(), self.broker_port, trust(self.tls), goes_by(self.proxy)

    @property
    def broker_port(self) -> int:
        """Where the broker listens."""
        return self.port or (8883 if self.tls else 1883)

    @property
    def broker(self) -> str:
        """The broker's host and port."""
        return f"{self.host}:{self.broker_port}"

    def client(self, id: str) -> str:
        """The client id of the datasource with this id: unique, and the same after each restart."""
        return self.client_id or f"iotgw-{id}"

    @property
    def filters(self) -> list[str]:
        """What is subscribed to."""
        return self.topics or mqtt_filters(self.preset, self.custom, self.prefix, self.username)

    def envelope(self) -> Envelope:
        """What the messages are. Raises ValueError."""
        return mqtt_envelope(self.preset, self.custom, self.converter_gets, self.prefix)
