"""MQTT 3.1.1 and 5 as a target: one PUBLISH per message, a window of them in flight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.connect import mqtt_probe
from iotgw.connect.endpoint import Connector
from iotgw.connect.mqtt_broker import BrokerSettings, endpoint
from iotgw.connect.mqtt_client import BrokerAccess, MqttClient, client_id
from iotgw.connect.mqtt_engines import EngineName, engine_maker
from iotgw.connect.mqtt_owner import NONE, ArrivalSource, Greeting, MqttOwner, Topics
from iotgw.core.backoff import Backoff
from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.core.names import unfit
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext, Queued
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Rejected, Retry, Unavailable, Verdict
from iotgw.integrations import payload, trial
from iotgw.integrations.commands import item_of
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.readings import NothingToSay
from iotgw.integrations.incoming import Incoming
from iotgw.integrations.template import Template, TemplateFailed, for_topic
from iotgw.wire import mqtt

Settle = Callable[[Sequence[int], Verdict], None]

BUSY_CODES = {0x88, 0x89, 0x93, 0x96, 0x97}
"""Reason codes that are about the broker, not about the message (MQTT 5.0 §3.4.2.1)."""
WRONG_CODES = {0x90, 0x99}
"""Those that say what is wrong with the message, its topic or its payload: the same one again is no use."""

LONGEST_TOPIC = 65535
"""Bytes (MQTT 5.0 §1.5.4)."""
HEAD = 12
"""Bytes of a PUBLISH besides topic, payload and properties, at the most: first byte, remaining length (4), length
of the topic (2), packet identifier (2), length of the properties (here at most 3)."""


NO_TOPIC = "expected a topic without +, # and control characters"


def _is_no_topic(text: str) -> bool:
    return bool(set(text) & {"+", "#"}) or unfit(text) != ""


class WillSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Last will: what the broker publishes when the gateway's connection is lost."""

    topic: Annotated[str, Meta(description="Where it is published.")]
    payload: Annotated[str, Meta(description="What is published.")] = ""
    qos: Annotated[Literal[0, 1, 2], Meta(description="The quality of service.")] = 0
    retain: Annotated[bool, Meta(description="Whether the broker keeps it.")] = False


class MqttSettings(BrokerSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """MQTT: one message per PUBLISH."""

    version: Annotated[Literal["3.1.1", "5"], Meta(description="The version of MQTT.")] = "3.1.1"
    client_id: Annotated[str, Meta(description="`{RND}` becomes eight random characters.")] = "iotgw-{RND}"
    topic: Annotated[str, Meta(description="A template; values that are inserted lose `/`, `+` and `#`.")] = (
        "iotgw/{{ deviceName }}/telemetry"
    )
    qos: Annotated[Literal[0, 1, 2], Meta(description="The quality of service of what is published.")] = 1
    retain: Annotated[bool, Meta(description="Whether the broker keeps the last message of each topic.")] = (
        False
    )
    window: Annotated[
        int, Meta(ge=1, le=10000, description="Messages in flight; an MQTT 5 broker may ask for fewer.")
    ] = 1000
    keepalive: Annotated[int, Meta(ge=0, le=65535, description="Seconds.")] = 60
    connect_timeout: Annotated[float, Meta(gt=0, description="Seconds to connect.")] = 10.0
    will: Annotated[
        WillSettings | None, Meta(description="What the broker publishes when the connection is lost.")
    ] = None
    command_topic: Annotated[
        str,
        Meta(
            description="A topic filter with one `+` where the device's name stands; what arrives there is queued for the device as a downlink: a JSON object as the API takes it, or else raw bytes."
        ),
    ] = ""
    engine: Annotated[
        EngineName,
        Meta(description="MQTT implementation: `iotgw` is our own, `paho` is paho-mqtt; see below."),
    ] = "iotgw"


@implementer(IIntegration)
class MqttTarget(MqttOwner):
    """Publishes; see `MqttSettings`."""

    whole = False

    def __init__(self, settings: MqttSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self._context = context
        self._settle: dict[int, Settle] = {}
        names = RecordNames(context.epochs, context.datasource_name)
        self._topic = Template(settings.topic, "configuration.topic", names, for_topic)
        self._payload = payload.formatter(context.spec, names, context.warn)
        self._key = names.key
        self._five = settings.version == "5"
        self.capacity = self.max_batch = settings.window
        self._limits = mqtt.Connected()
        self._incoming = Incoming(context)
        self._reader: ArrivalSource | None = None
        """The connection on which commands arrive."""
        if settings.command_topic and settings.command_topic.split("/").count("+") != 1:
            raise SettingsError("configuration.commandTopic", "expected exactly one level + for the device")
        if any(len(level) > 1 and set(level) & set("+#") for level in settings.command_topic.split("/")):
            raise SettingsError("configuration.commandTopic", "expected + and # to be whole levels")
        if self._topic.loops:
            raise SettingsError(
                "configuration.topic",
                "expected no loop, as a message has one topic: with split: value each value is a message of its own, and "
                "{{ name }} its key",
            )
        if _is_no_topic(self._topic.written):
            raise SettingsError("configuration.topic", NO_TOPIC)
        if settings.will and (not settings.will.topic or _is_no_topic(settings.will.topic)):
            raise SettingsError("configuration.will.topic", NO_TOPIC)
        if unfit(settings.command_topic):
            raise SettingsError("configuration.commandTopic", "expected no control characters")
        for name, text in (("clientId", settings.client_id), ("username", settings.broker.username)):
            if unfit(text):
                raise SettingsError(f"configuration.{name}", "expected no control characters")
        # the window, and one test message
        most = settings.window + 100
        version = mqtt.V5 if self._five else mqtt.V311
        self._engine = engine_maker(settings.engine, version, most, hold=True)
        self._endpoint = endpoint(settings, connector, context.reactor, settings.connect_timeout, "")
        self._client = MqttClient(context.reactor, self._way(), self)

    def _way(self) -> BrokerAccess:
        """How to connect to the broker; a random client id is made anew each time."""
        settings = self._settings
        will = settings.will
        greeting = Greeting(
            client_id(settings.client_id),
            settings.keepalive,
            settings.broker.username or None,
            settings.broker.password or None,
            mqtt.Will(will.topic, will.payload.encode(), will.qos, will.retain) if will else None,
            version=mqtt.V5 if self._five else mqtt.V311,
        )
        return BrokerAccess(self._endpoint, greeting, self._engine, Backoff(self._context.spec.retry).after)

    # --- IIntegration

    def start(self) -> Deferred[None]:
        """Connect in the background."""
        self._client.start()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Disconnect."""
        self._incoming.close()
        return self._client.stop()

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Publish each record."""
        up = self._client.up
        if up is None:
            reason = self._client.last_error or "not connected yet"
            settle([record.seq for record in records], Unavailable(reason))
            return
        items = []
        settles, topic, payload_of = self._settle, self._topic, self._payload
        limits = self._limits
        qos = min(self._settings.qos, limits.maximum_qos)
        if (
            qos and len(settles) + len(records) > limits.receive_maximum
        ):  # a test message while the window is full
            settle(
                [record.seq for record in records],
                Unavailable("the broker accepts no more unacknowledged messages"),
            )
            return
        largest = limits.maximum_packet - HEAD
        some_are_shown = self._context.shown(records) is not None
        for record in records:
            try:
                name, body = topic.bytes(record), payload_of(record)
            except NothingToSay:
                settle([record.seq], DELIVERED)
                continue
            except TemplateFailed as error:
                settle([record.seq], Rejected(str(error)))
                continue
            if len(name) > LONGEST_TOPIC:
                settle([record.seq], Rejected(f"a topic of {len(name)} bytes; MQTT has {LONGEST_TOPIC}"))
                continue
            properties = b""
            if self._five:
                properties = mqtt.user_property("idempotency-key", self._key(record))
            if len(name) + len(body) + len(properties) > largest:
                said = f"{len(body)} bytes; the broker takes packets of {limits.maximum_packet}"
                settle([record.seq], Rejected(said))
                continue
            is_shown = some_are_shown and self._context.shown((record,)) is not None
            settles[record.seq] = self._shown(record, name, body, settle) if is_shown else settle
            items.append((record.seq, name, body, properties))
        if items:
            retain = self._settings.retain and limits.retain_available
            up.publish(items, qos, retain)

    def _shown(self, record: TelemetryRecord, topic: bytes, body: bytes, settle: Settle) -> Settle:
        """Settle a message, and show it."""
        qos = min(self._settings.qos, self._limits.maximum_qos)
        retained = ", retained" if self._settings.retain and self._limits.retain_available else ""
        named = f"\nidempotency-key: {self._key(record)}" if self._five else ""
        request = f"PUBLISH {topic.decode()} (QoS {qos}{retained}){named}\n\n{trial.text(body)}"
        taken = "acknowledged" if qos else "sent; with QoS 0 nothing is acknowledged"
        return trial.showing(self._context.show, record, request, taken, settle)

    def check(self) -> Deferred[dict[str, Any]]:
        """Connect beside the running connection, and disconnect."""
        return mqtt_probe.check(self._context.reactor, self._way(), self._settings.connect_timeout + 10)

    def status(self) -> dict[str, Any]:
        """Whether it is connected, and why not."""
        up = self._client.up is not None
        return {
            "state": "connected" if up else "connecting",
            "lastError": self._client.last_error or self._incoming.trouble or None,
        }

    # --- MqttOwner

    def on_greeted(self, limits: mqtt.Connected, reader: ArrivalSource) -> Topics:
        """The broker accepted the connection."""
        self._reader = reader
        return NONE

    def on_up(self, limits: mqtt.Connected) -> None:
        """The broker accepted the connection."""
        self._limits = limits
        self.capacity = self.max_batch = min(self._settings.window, limits.receive_maximum)
        if self._settings.command_topic and self._client.up is not None:
            self._client.up.subscribe([(self._settings.command_topic, 1)])
        self._context.event("integration.connected", "connected to the broker", "info")
        self._context.available()

    def on_acknowledged(self, numbers: list[int]) -> None:
        """The broker acknowledged these messages."""
        settles = self._settle
        settle, group = settles.pop(numbers[0]), numbers[:1]
        for seq in numbers[1:]:
            other = settles.pop(seq)
            if other is not settle:  # one send was a test message, or the target's settings changed
                settle(group, DELIVERED)
                settle, group = other, []
            group.append(seq)
        settle(group, DELIVERED)

    def on_refused(self, number: int, code: int, reason: str) -> None:
        """The broker refused this message."""
        settle = self._settle.pop(number)
        if code in BUSY_CODES:
            verdict: Verdict = Unavailable(reason)
        else:
            verdict = Rejected(reason) if code in WRONG_CODES else Retry(reason)
        settle([number], verdict)

    def on_lost(self, numbers: list[int], reason: str) -> None:
        """The connection ended; what wasn't acknowledged is sent again."""
        by: dict[Settle, list[int]] = {}
        for seq in numbers:
            by.setdefault(self._settle.pop(seq), []).append(seq)
        for settle, mine in by.items():
            settle(mine, Unavailable(reason))

    def on_message(self, message: mqtt.Arrived) -> None:
        """A downlink arrived for a device. It is acknowledged when it is queued, or never will be."""
        reader = self._reader
        levels = message.topic.split("/")
        place = self._settings.command_topic.split("/").index("+")

        def done(queued: Queued) -> None:
            if queued.is_final and reader is not None:
                reader.acknowledge(message)

        if place < len(levels):
            self._incoming.take(levels[place], item_of(message.payload), done)
        else:
            done(Queued("no device is named"))

    def on_trouble(self, reason: str) -> None:
        """The broker refused our subscription."""
        self._context.event("integration.trouble", reason, "warning")


@implementer(IIntegrationType)
class MqttType:
    """The type ``mqtt``. Its targets are reached by ``connector``; without one, ``forbid`` are the
    networks that no target may be in (see `iotgw.connect.forbidden`)."""

    name = "mqtt"
    settings = MqttSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: MqttSettings, context: IntegrationContext) -> MqttTarget:
        """A target; raises SettingsError."""
        return MqttTarget(settings, context, self._connector)
