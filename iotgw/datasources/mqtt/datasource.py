"""Devices behind an MQTT broker: a client that subscribes, and acknowledges a message when it is durable.

The broker keeps what it sent until we acknowledge it, so nothing is lost while the gateway is full (it stops
reading), or away, since the session stays. A message may then come twice; QoS 2 prevents that.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.tls import ClientTls
from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IForgets, IPushes
from iotgw.core.secrets import Secret
from iotgw.datasources.mqtt.link import MqttLink
from iotgw.datasources.mqtt.session import Kept, Memory, end
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
        bool | None,
        Meta(
            description="True has the broker drop what comes while the gateway is away. If it is false or not given, the broker keeps the session, and with it messages of QoS 1 and 2."
        ),
    ] = None
    session_expiry: Annotated[
        int,
        Meta(
            ge=0,
            le=0xFFFFFFFF,
            description="Seconds that the broker keeps the session while the gateway is away (MQTT 5).",
        ),
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
    def broker(self) -> str:
        """The broker's host and port."""
        return f"{self.host}:{self.port or (8883 if self.tls else 1883)}"

    def client(self, id: str) -> str:
        """The client id of the datasource with this id: the same after each restart, and nobody else's."""
        return self.client_id or f"iotgw-{id}"

    @property
    def filters(self) -> list[str]:
        """What is subscribed to."""
        return self.topics or ([f"{self.prefix}+/up/#"] if self.preset == "lobaro" else [])


@implementer(IForgets)
class MqttType:
    """The ``mqtt`` datasources of a gateway."""

    name = "mqtt"
    settings = MqttSettings

    def __init__(self, reactor: IReactorTime, connector: IConnector) -> None:
        self._connector = connector
        self._born_ms = int(reactor.seconds() * 1000)
        self._ending: dict[tuple[str, str], Deferred[None]] = {}
        """Sessions that are being ended, by broker and client id: who wants the same one waits."""

    def build(self, settings: MqttSettings, context: DatasourceContext) -> MqttDatasource:
        """See `IDatasourceType.build`."""
        made = self.make(settings, context, self._endpoint(settings))
        # stored by a gateway that had another default, and without a session since
        made.is_new_default = settings.clean_session is None and 0 < context.created_ms < self._born_ms
        made.after = self._ending.get((settings.broker, made.client_id))
        return made

    def forget(self, settings: Any, context: DatasourceContext, successor: Any) -> Deferred[None] | None:
        """See `IForgets.forget`: end the session at the broker, unless the successor goes on with it."""
        client = settings.client(context.id)
        goes_on = (
            isinstance(successor, MqttSettings)
            and (successor.broker, successor.client(context.id)) == (settings.broker, client)
        )  # fmt: skip
        if goes_on:
            return None
        memory = Memory(context.data_dir, context.id, lambda reason: None)
        has_one = memory.kept is not None and memory.kept.is_of(settings.broker, client)
        if successor is None:
            memory.forget()
        elif has_one:
            memory.keep(Kept())
        if not has_one:
            return None

        def left(failure: Failure) -> None:
            context.intake.event(
                "session-left",
                f"the session of {client} could not be ended at {settings.broker}, which keeps messages for it until "
                f"it expires there: {failure.getErrorMessage()}",
                "warning",
            )

        key = (settings.broker, client)

        def over(_: object) -> None:
            self._ending.pop(key, None)

        ended = end(self._endpoint(settings), client, settings, context.reactor)
        self._ending[key] = ended
        return ended.addErrback(left).addCallback(over)

    def _endpoint(self, settings: MqttSettings) -> IStreamClientEndpoint:
        port = settings.port or (8883 if settings.tls else 1883)
        return self._connector.endpoint(settings.host, port, CONNECT_TIMEOUT, settings.tls)

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
        self.is_new_default = False
        """Whether an upgrade made its session one that stays; said once."""
        self.after: Deferred[None] | None = None
        """The end of the session that one of before had with this client id, while it lasts."""
        self._is_stopped = False
        self._error = ""
        self._is_kept: bool | None = None
        self.client_id = settings.client(context.id)
        self.memory = Memory(
            context.data_dir, context.id, lambda reason: self.intake.event("failed", reason, "warning")
        )
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
        settings = self.settings
        if self.is_new_default and self.memory.kept is None:
            self.intake.event(
                "session-kept",
                f"the default of cleanSession is false now: {settings.broker} keeps the session of "
                f"{self.client_id}, and messages for it while the gateway is away; set it to true to have it as before",
                "warning",
            )
        if self.after is None:
            self._begin(None)
        else:
            self.after.addCallback(self._begin)
        return succeed(None)

    def _begin(self, _: None) -> None:
        if not self._is_stopped:
            self._service.startService()
            self._watch()

    def stop(self) -> Deferred[Any]:
        """Say goodbye; fires when the connection is closed."""
        self._is_stopped = True
        if self.link is not None:
            self.link.transport.write(mqtt.BYE)
        return maybeDeferred(self._service.stopService)

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`."""
        settings = self.settings
        scheme = "mqtts" if settings.tls else "mqtt"
        session = {None: {}, True: {"session": "kept"}, False: {"session": "clean"}}[self._is_kept]
        return {
            "state": "connected" if self.link is not None else "connecting",
            "address": f"{scheme}://{settings.broker}",
            "clientId": self.client_id,
            **session,
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

    # --- the session

    def welcome(self, said: mqtt.Connected) -> tuple[str, ...]:
        """The broker said yes, with or without a session of before: what it must be told to unsubscribe from."""
        settings, memory = self.settings, self.memory
        kept = memory.kept
        is_known = kept is not None and kept.is_of(settings.broker, self.client_id)
        self._is_kept = not settings.clean_session
        if settings.clean_session:
            memory.forget()
            return ()
        if said.session_expiry == 0:
            self._is_kept = False
            self.intake.event(
                "session-refused",
                f"{settings.broker} keeps no session: messages that are sent while the gateway is away are lost",
                "warning",
            )
        if is_known and not said.session_present:
            self.intake.event(
                "session-lost",
                f"{settings.broker} has no session of {self.client_id} any more: messages that were sent while the "
                "gateway was away may be missing",
                "warning",
            )
        before = kept.filters if kept is not None and is_known and said.session_present else ()
        stale = tuple(filter_ for filter_ in before if filter_ not in settings.filters)
        self._remember((*settings.filters, *stale))
        return stale

    def unsubscribed(self, refused: list[str]) -> None:
        """The broker's word on stale filters; those that it refused are tried again with the next connection."""
        self._remember((*self.settings.filters, *refused))
        if refused:
            said = ", ".join(refused)
            self.intake.event("failed", f"{self.settings.broker} goes on sending {said}", "warning")

    def _remember(self, filters: tuple[str, ...]) -> None:
        self.memory.keep(Kept(broker=self.settings.broker, client_id=self.client_id, filters=filters))

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
