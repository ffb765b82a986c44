"""ThingsBoard as a target, by its MQTT gateway API: telemetry and attributes of many devices, RPC both ways, and shared attributes,
which go into the downlink queue.

https://thingsboard.io/docs/reference/gateway-mqtt-api/ What it is sent is made in `iotgw.integrations.thingsboard_documents`. Everything
is published with QoS 1: to ThingsBoard 4.4, a publication with QoS 0 is malformed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct, structs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.connect import mqtt_probe
from iotgw.connect.endpoint import Connector
from iotgw.connect.mqtt_broker import endpoint
from iotgw.connect.mqtt_client import BrokerAccess, MqttClient, client_id
from iotgw.connect.mqtt_engines import engine_maker
from iotgw.connect.mqtt_owner import NONE, ArrivalSource, Greeting, Item, MqttOwner, Topics
from iotgw.core.backoff import Backoff
from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.core.names import unfit
from iotgw.core.own_file import OwnFile, path_of
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Apart, Rejected, Retry, Unavailable, Verdict
from iotgw.integrations import thingsboard_provision, trial
from iotgw.integrations.mqtt import BUSY_CODES, WRONG_CODES
from iotgw.integrations.thingsboard_documents import (
    ATTRIBUTES,
    ATTRIBUTES_RESPONSE,
    RPC,
    Documents,
    Packet,
    encode,
)
from iotgw.integrations.thingsboard_incoming import IncomingMessages
from iotgw.integrations.thingsboard_provision import Provisioner, ProvisionSettings
from iotgw.integrations.thingsboard_rpc import ANSWERS, OpenRequests, RpcAnswer, ServerRequests
from iotgw.integrations.thingsboard_settings import ThingsBoardSettings
from iotgw.integrations.thingsboard_shared import Digests, KnownAttributes
from iotgw.wire import mqtt

Settle = Callable[[Sequence[int], Verdict], None]

PACKETS = 6
"""Packets of a message at the most: the device's announcement, a request of its attributes, telemetry, attributes, an answer to RPC, and a request."""
LAG = 5.0
"""Seconds after which what is known of shared attributes is written."""


class _Kept(Struct):
    """What outlives a restart: the token at ``place``, sealed, and whether the server knows it; and what is known of shared attributes."""

    place: str = ""
    token: str = ""
    is_known: bool = False
    shared: Digests = {}


class _Batch:
    """The packets that one send waits for."""

    __slots__ = ("is_busy", "is_wrong", "left", "refused", "seqs", "settle")

    def __init__(self, seqs: list[int], settle: Settle) -> None:
        self.seqs = seqs
        self.settle = settle
        self.left = 0
        self.refused = ""
        self.is_busy = False
        self.is_wrong = False


@implementer(IIntegration)
class ThingsBoardTarget(MqttOwner):
    """Publishes for many devices; see `ThingsBoardSettings`.

    Many methods: it is an `IIntegration` and an `MqttOwner`, seven methods each.
    """

    _log = Logger()
    whole = True

    def __init__(
        self, settings: ThingsBoardSettings, context: IntegrationContext, connector: IConnector
    ) -> None:
        self._settings = settings
        self._context = context
        self.max_batch = settings.batch_size
        self.capacity = settings.batch_size * settings.window
        keys = settings.shared_keys if settings.downlinks else ()
        self._documents = Documents(context.spec.route.wants, settings.max_payload, settings.mixed, keys)
        self._requests = OpenRequests(settings.rpc_answer) if settings.rpc_answer else None
        asks = settings.downlinks and settings.rpc_request
        self._asks = ServerRequests(settings.rpc_request) if asks else None
        self._batches: dict[int, _Batch] = {}
        self._packet = 0
        for name, text in (("clientId", settings.client_id), ("username", settings.broker.username)):
            if unfit(text):
                raise SettingsError(f"configuration.{name}", "expected no control characters")
        if settings.provision and (settings.token or settings.broker.username):
            raise SettingsError("configuration.provision", "expected none beside a token or username")
        self._file = OwnFile(path_of(context.data_dir, "thingsboard", context.id))
        place = str(settings.broker.place)
        kept = self._file.read(_Kept) or _Kept()
        self._kept = kept if kept.place == place else _Kept(place)
        self._known = KnownAttributes(self._kept.shared)
        self._writes: Any = None
        self._reader: ArrivalSource | None = None
        """The connection on which messages arrive."""
        self._incoming = IncomingMessages(
            context, self._requests, self._asks, settings.shared_keys, self._known, self._reply, self._learned
        )
        self._endpoint = endpoint(settings, connector, context.reactor, settings.connect_timeout, "")
        version = mqtt.V5 if settings.version == "5" else mqtt.V311
        # identifiers end at 65,535
        self._engine = engine_maker(settings.engine, version, min(PACKETS * self.capacity, 60_000), hold=True)
        self._client: MqttClient | None = None
        self._provisioner: Provisioner | None = None

    @property
    def _token(self) -> str:
        settings = self._settings
        if not settings.provision:
            return settings.token or settings.broker.username
        return self._context.unseal(self._kept.token) if self._kept.token else ""

    @property
    def _lacks_token(self) -> bool:
        return self._settings.provision is not None and not self._kept.is_known

    def _way(self, user: str) -> BrokerAccess:
        """How to connect to the server as ``user``; a random client id is made anew each time."""
        settings = self._settings
        greeting = Greeting(
            client_id(settings.client_id), settings.keepalive, user or None, settings.broker.password or None,
            version=mqtt.V5 if settings.version == "5" else mqtt.V311,
        )  # fmt: skip
        return BrokerAccess(self._endpoint, greeting, self._engine, Backoff(self._context.spec.retry).after)

    # --- IIntegration

    def start(self) -> Deferred[None]:
        """Connect in the background, with a token that is provisioned first where there is none."""
        if self._settings.provision is not None and self._lacks_token:
            self._provision(self._settings.provision)
        else:
            self._connect()
        return succeed(None)

    def _connect(self) -> None:
        self._client = MqttClient(self._context.reactor, self._way(self._token), self)
        self._client.start()

    def _provision(self, how: ProvisionSettings) -> None:
        if not self._kept.token:
            self._keep(thingsboard_provision.new_token(), False)
        name, context, settings = self._settings.device_name, self._context, self._settings
        asked = thingsboard_provision.request(how, name, self._token, is_gateway=True)
        self._provisioner = Provisioner(
            context.reactor, self._way(thingsboard_provision.USER), asked,
            lambda: mqtt_probe.knock(context.reactor, self._way(self._token), settings.connect_timeout + 10),
            self._provisioned, self.on_trouble,
        )  # fmt: skip
        self._provisioner.start()

    def _provisioned(self, token: str) -> None:
        self._keep(token or self._token, True)
        self._provisioner = None
        name = self._settings.device_name
        self._context.event("integration.provisioned", f"ThingsBoard has the gateway device {name}")
        self._connect()

    def _keep(self, token: str, is_known: bool) -> None:
        self._kept = structs.replace(self._kept, token=self._context.seal(token), is_known=is_known)
        self._write()

    def stop(self) -> Deferred[None]:
        """Disconnect."""
        self._incoming.close()
        if self._writes is not None:
            self._writes.cancel()
            self._write()
        client = self._provisioner or self._client
        return client.stop() if client is not None else succeed(None)

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Publish telemetry and attributes of a batch; devices that are new to the connection first."""
        seqs = [record.seq for record in records]
        up = self._client.up if self._client is not None else None
        if up is None:
            settle(seqs, Unavailable(self._last_error or "not connected yet"))
            return
        batch = _Batch(seqs, settle)
        packets = self._packets(records)
        if (shown := self._context.shown(records)) is not None:
            request = "\n\n".join(
                f"PUBLISH {topic.decode()} (QoS 1)\n\n{trial.text(body)}" for topic, body in packets
            )
            batch.settle = trial.showing(self._context.show, shown, request, "acknowledged", settle)
        items = [self._item(batch, topic, payload) for topic, payload in packets]
        if items:
            up.publish(items, 1, False)
        else:
            batch.settle(seqs, DELIVERED)

    def check(self) -> Deferred[dict[str, Any]]:
        """Connect beside the running connection, and disconnect."""
        if self._lacks_token:
            problem = f"no token yet: {self._last_error or 'not provisioned'}"
            return succeed({"ok": False, "detail": problem, "untried": ["the token"]})
        way = self._way(self._token)
        return mqtt_probe.check(self._context.reactor, way, self._settings.connect_timeout + 10)

    def status(self) -> dict[str, Any]:
        """Whether it is connected, and why not."""
        up = self._client is not None and self._client.up is not None
        state = "connected" if up else "provisioning" if self._provisioner is not None else "connecting"
        return {"state": state, "lastError": self._last_error or None}

    @property
    def _last_error(self) -> str:
        client = self._provisioner or self._client
        return (client.last_error if client is not None else "") or self._incoming.trouble

    # --- packets

    def _packets(self, records: Sequence[TelemetryRecord]) -> list[Packet]:
        bodies, more = [record.body for record in records], []
        for place, record in enumerate(records):
            if self._requests is not None:
                bodies[place], answer = self._requests.split(record)
                if answer is not None:
                    more.append((RPC, _rpc_answer(answer)))
            if self._asks is not None:
                bodies[place], asked = self._asks.split(record.device_name, bodies[place])
                if asked is not None:
                    more.append(self._asks.packet(asked))
        return self._documents.packets(records, bodies) + more

    def _item(self, batch: _Batch, topic: bytes, payload: bytes) -> Item:
        self._packet += 1
        self._batches[self._packet] = batch
        batch.left += 1
        return self._packet, topic, payload, b""

    # --- MqttOwner

    def on_greeted(self, limits: mqtt.Connected, reader: ArrivalSource) -> Topics:
        """The server accepted the connection."""
        self._reader = reader
        return NONE

    def on_up(self, limits: mqtt.Connected) -> None:
        """The server accepted the connection."""
        self._documents.begin()
        if self._settings.downlinks and self._client is not None and self._client.up is not None:
            topics = [RPC, ATTRIBUTES, *((ATTRIBUTES_RESPONSE,) if self._settings.shared_keys else ())]
            filters = [topic.decode() for topic in topics]
            if self._asks is not None:
                self._asks.begin()
                filters.append(ANSWERS)
            self._client.up.subscribe([(filter_, 1) for filter_ in filters])
        self._context.event("integration.connected", "connected to ThingsBoard", "info")
        self._context.available()

    def on_acknowledged(self, numbers: list[int]) -> None:
        """The server acknowledged these packets."""
        for packet in numbers:
            batch = self._batches.pop(packet, None)
            if batch is None:  # no message is in it
                continue
            batch.left -= 1
            if not batch.left:
                self._end(batch)

    def on_refused(self, number: int, code: int, reason: str) -> None:
        """The server refused this packet."""
        batch = self._batches.get(number)
        if batch is not None:
            batch.refused = reason
            batch.is_busy = batch.is_busy or code in BUSY_CODES
            batch.is_wrong = batch.is_wrong or code in WRONG_CODES
        self.on_acknowledged([number])

    def _end(self, batch: _Batch) -> None:
        if not batch.refused:
            if self._requests is not None:
                self._requests.settled(batch.seqs)
            batch.settle(batch.seqs, DELIVERED)
        elif batch.is_busy:
            batch.settle(batch.seqs, Unavailable(batch.refused))
        elif len(batch.seqs) > 1:
            batch.settle(batch.seqs, Apart(batch.refused))
        else:
            batch.settle(batch.seqs, Rejected(batch.refused) if batch.is_wrong else Retry(batch.refused))

    def on_lost(self, numbers: list[int], reason: str) -> None:
        """The connection ended; a batch that wasn't completely acknowledged is sent again as a whole."""
        found = [batch for packet in numbers if (batch := self._batches.pop(packet, None)) is not None]
        for batch in {id(batch): batch for batch in found}.values():
            batch.settle(batch.seqs, Unavailable(reason))

    def on_message(self, message: mqtt.Arrived) -> None:
        """An RPC request, the answer to a device's own, changed shared attributes, or those that were asked for."""
        reader = self._reader
        if reader is not None:
            self._incoming.take(message, lambda: reader.acknowledge(message))

    def _learned(self) -> None:
        if self._writes is None:
            self._writes = self._context.reactor.callLater(LAG, self._write)

    def _reply(self, answer: RpcAnswer) -> None:
        if self._client is not None and self._client.up is not None:
            self._packet += 1
            self._client.up.publish([(self._packet, RPC, _rpc_answer(answer), b"")], 1, False)

    def _write(self) -> None:
        self._writes = None
        try:
            shared = self._known.digests if self._settings.shared_keys else {}
            self._file.write(structs.replace(self._kept, shared=shared))
        except OSError as error:
            self._log.warn("{name} could not be written: {error}", name=self._file.name, error=error)

    def on_trouble(self, reason: str) -> None:
        """The server refused our subscription, or to make our device."""
        self._context.event("integration.trouble", reason, "warning")


def _rpc_answer(answer: RpcAnswer) -> bytes:
    return encode({"device": answer.device, "id": answer.id, "data": answer.data})


@implementer(IIntegrationType)
class ThingsBoardType:
    """The type ``thingsboard``. Its targets are reached by ``connector``; without one, ``forbid`` are the
    networks that no target may be in (see `iotgw.connect.forbidden`)."""

    name = "thingsboard"
    settings = ThingsBoardSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: ThingsBoardSettings, context: IntegrationContext) -> ThingsBoardTarget:
        """A target; raises SettingsError."""
        return ThingsBoardTarget(settings, context, self._connector)
