"""Devices behind an MQTT broker: a client that subscribes, and acknowledges a message when it is durable.

The broker keeps what it sent until we acknowledge it, so nothing is lost while the gateway is full (it stops
reading), or away, when the session is persistent. A message may then come twice; QoS 2 prevents that.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.tls import ClientTls
from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IDatasourceType, IPushes
from iotgw.core.secrets import Secret
from iotgw.datasources.mqtt.link import MqttLink
from iotgw.wire import lobaro, mqtt

CONNECT_TIMEOUT = 30.0


class MqttSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``mqtt`` datasource."""

    host: Annotated[str, Meta(min_length=1, description="The broker.")]
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None, Meta(description="1883, with TLS 8883, if not given.")
    ] = None
    tls: Annotated[ClientTls | None, Meta(description="TLS, also with a client certificate.")] = None
    version: Annotated[Literal["3.1.1", "5"], Meta(description="MQTT's version.")] = "3.1.1"
    client_id: Annotated[str, Meta(description="Empty is `iotgw-` and the datasource's id.")] = ""
    username: str = ""
    password: Secret = ""
    topics: Annotated[list[str], Meta(description="Topic filters, with the wildcards `+` and `#`.")] = []
    qos: Annotated[Literal[0, 1, 2], Meta(description="Quality of service that is asked for.")] = 1
    clean_session: Annotated[
        bool, Meta(description="False has the broker keep messages while the gateway is away.")
    ] = True
    session_expiry: Annotated[
        int, Meta(ge=0, le=0xFFFFFFFF, description="Seconds that the broker keeps such a session (MQTT 5).")
    ] = 86400
    keepalive: Annotated[int, Meta(ge=5, le=65535, description="Seconds.")] = 60
    receive_maximum: Annotated[
        int, Meta(ge=1, le=65535, description="Messages that the broker may send unacknowledged (MQTT 5).")
    ] = 1000
    preset: Annotated[
        Literal["none", "lobaro"],
        Meta(
            description="`lobaro` subscribes to `<prefix>+/up/#`, and reads Lobaro's envelope and the DevEUI."
        ),
    ] = "none"
    prefix: Annotated[str, Meta(description="Beginning of Lobaro's topics.")] = "LOB/"
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
        """Refuse topics that no broker takes."""
        for topic in self.filters:
            levels = topic.split("/")
            if (
                not topic
                or "#" in levels[:-1]
                or any(len(level) > 1 and set(level) & {"+", "#"} for level in levels)
            ):
                raise ValueError(f"expected a topic filter such as devices/+/up, got {topic!r}")
        if not self.filters:
            raise ValueError("expected topics, got none")

    @property
    def filters(self) -> list[str]:
        """What is subscribed to."""
        return self.topics or ([f"{self.prefix}+/up/#"] if self.preset == "lobaro" else [])


@implementer(IDatasourceType)
class MqttType:
    """The ``mqtt`` datasources of a gateway."""

    name = "mqtt"
    settings = MqttSettings

    def __init__(self, reactor: IReactorTime, connector: IConnector) -> None:
        self._connector = connector

    def build(self, settings: MqttSettings, context: DatasourceContext) -> MqttDatasource:
        """See `IDatasourceType.build`."""
        port = settings.port or (8883 if settings.tls else 1883)
        endpoint = self._connector.endpoint(settings.host, port, CONNECT_TIMEOUT, settings.tls)
        return self.make(settings, context, endpoint)

    def make(self, settings: Any, context: DatasourceContext, endpoint: Any) -> MqttDatasource:
        """A datasource of this type, which will connect to ``endpoint``."""
        return MqttDatasource(settings, context, endpoint)


@implementer(IPushes)
class MqttDatasource:
    """A subscription."""

    def __init__(self, settings: MqttSettings, context: DatasourceContext, endpoint: Any) -> None:
        self.settings = settings
        self.context = context
        self.intake = context.intake
        self.clock = context.reactor
        self.can_push = bool(settings.downlink_topic)
        self.counts: Counter[str] = Counter()
        self.received: set[int] = set()
        """Identifiers of QoS 2 messages that were taken; they outlive a connection."""
        self.link: MqttLink | None = None
        self._error = ""
        factory = Factory.forProtocol(lambda: MqttLink(self, settings))
        factory.noisy = False
        self._service = ClientService(
            endpoint,
            factory,
            retryPolicy=backoffPolicy(1.0, 60.0),
            clock=context.reactor,
            prepareConnection=lambda link: link.ready,  # type: ignore[attr-defined]
        )

    # --- IDatasource ---

    def start(self) -> Deferred[Any]:
        """Connect in the background; a broker that is away is tried again and again."""
        self._service.startService()
        self._watch()
        return succeed(None)

    def stop(self) -> Deferred[Any]:
        """Say goodbye; fires when the connection is closed."""
        if self.link is not None:
            self.link.transport.write(mqtt.BYE)
        return maybeDeferred(self._service.stopService)

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`."""
        settings = self.settings
        scheme = "mqtts" if settings.tls else "mqtt"
        return {
            "state": "connected" if self.link is not None else "connecting",
            "address": f"{scheme}://{settings.host}:{settings.port or (8883 if settings.tls else 1883)}",
            **({"lastError": self._error} if self._error else {}),
            **self.counts,
        }

    def push(self, metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """See `IPushes.push`."""
        self.publish(str(metadata.get("identity", "")), str(metadata.get("topic", "")), downlinks)

    # --- connections come and go ---

    def _watch(self) -> None:
        self._service.whenConnected(failAfterFailures=1).addErrback(self._not_connected)

    def _not_connected(self, failure: Failure) -> None:
        if self._service.running:
            self.trouble(failure.getErrorMessage())
            self.clock.callLater(1.0, lambda: self._watch() if self._service.running else None)

    def trouble(self, reason: str) -> None:
        """Something went wrong; said once for as long as it is the same."""
        if reason != self._error:
            self._error = reason
            self.intake.event("failed", f"{self.settings.host}: {reason}", "error")

    def connected(self, link: MqttLink) -> None:
        """The broker said yes."""
        self.link = link
        self._error = ""
        self.intake.event("connected", f"connected to {self.settings.host}")

    def lost(self, link: MqttLink, reason: str) -> None:
        """The connection ended."""
        if self.link is link:
            self.link = None
            if self._service.running:
                self.trouble(reason)
                self._watch()

    # --- messages ---

    def message(self, arrived: mqtt.Arrived) -> tuple[bytes, Metadata]:
        """A message as the gateway gets it."""
        settings = self.settings
        levels = arrived.topic.split("/")
        facts: Metadata = {
            "integrationName": self.context.name,
            "protocol": "mqtt",
            "topic": arrived.topic,
            "qos": arrived.qos,
            "retain": arrived.retain,
            "receivedTime": int(self.clock.seconds() * 1000),
        }
        identity = ""
        if settings.preset == "lobaro":
            envelope = lobaro.parse(arrived.payload)
            rest = arrived.topic.removeprefix(settings.prefix).split("/")
            facts |= lobaro.metadata(envelope, rest[2] if len(rest) > 2 else "data")
            identity = rest[0].removeprefix("urn:dev:mac:") or envelope.identity
        if 0 < settings.identity_level <= len(levels):
            identity = levels[settings.identity_level - 1]
        if identity:
            # without a topic for downlinks none may be taken from the queue
            facts["identity" if settings.downlink_topic else "device"] = identity
        return arrived.payload, facts

    def publish(self, identity: str, topic: str, downlinks: tuple[Downlink, ...]) -> None:
        """Send downlinks to a device."""
        for downlink in downlinks:
            target = str(downlink.metadata.get("topic") or self.settings.downlink_topic)
            target = target.replace("{topic}", topic).replace("{identity}", identity)
            if self.link is None:
                self.intake.downlink_lost(downlink, "the broker is not connected")
            elif not target or set(target) & {"+", "#", "\x00"}:
                self.intake.downlink_lost(downlink, f"expected a topic for downlinks, got {target!r}")
            else:
                self.link.publish(target, downlink)
