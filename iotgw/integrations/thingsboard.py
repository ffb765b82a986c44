"""ThingsBoard as a target, by its MQTT gateway API: telemetry and attributes of many devices in batches;
RPC and shared attributes come back into the downlink queue.

https://thingsboard.io/docs/reference/gateway-mqtt-api/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.connect import mqtt_probe
from iotgw.connect.endpoint import Connector
from iotgw.connect.mqtt_client import BrokerAccess, MqttClient, client_id
from iotgw.connect.mqtt_engines import EngineName, engine_maker
from iotgw.connect.mqtt_owner import Greeting, Item, MqttOwner
from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core import plain_json
from iotgw.core.backoff import Backoff
from iotgw.core.errors import SettingsError
from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.names import unfit
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext
from iotgw.core.ports.reactor import IReactor
from iotgw.core.secrets import Secret
from iotgw.core.verdict import DELIVERED, Apart, Retry, Unavailable, Verdict
from iotgw.integrations.mqtt import BUSY_CODES
from iotgw.wire import mqtt

Settle = Callable[[Sequence[int], Verdict], None]

TELEMETRY = b"v1/gateway/telemetry"
ATTRIBUTES = b"v1/gateway/attributes"
CONNECT = b"v1/gateway/connect"
RPC = b"v1/gateway/rpc"
ANNOUNCED = 100_000
"""Devices remembered as announced. Beyond that, all are announced again."""


class ThingsBoardSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """ThingsBoard: the credentials of a device there that is marked as a gateway."""

    host: str
    port: Annotated[int | None, Meta(description="1883, with TLS 8883.")] = None
    token: Annotated[Secret, Meta(description="The gateway device's access token.")] = ""
    client_id: Annotated[str, Meta(description="`{RND}` becomes eight random characters.")] = "iotgw-{RND}"
    username: Annotated[str, Meta(description="With MQTT basic credentials, instead of `token`.")] = ""
    password: Secret = ""
    tls: ClientTls | None = None
    batch_size: Annotated[int, Meta(ge=1, le=5000, description="The most messages of a PUBLISH.")] = 100
    max_payload: Annotated[
        int, Meta(ge=1024, description="Bytes of a PUBLISH; ThingsBoard's default limit is 65,536.")
    ] = 60_000
    window: Annotated[int, Meta(ge=1, le=1000, description="Batches in flight.")] = 10
    keepalive: Annotated[int, Meta(ge=0, le=65535, description="Seconds.")] = 60
    proxy: ProxyUrl = ""
    connect_timeout: Annotated[float, Meta(gt=0)] = 10.0
    downlinks: Annotated[
        bool, Meta(description="Queue RPC and shared attributes for the device as downlinks.")
    ] = True
    engine: Annotated[
        EngineName,
        Meta(description="MQTT implementation: `iotgw` is our own, `paho` is paho-mqtt; see `mqtt`."),
    ] = "iotgw"

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return (
            self.host.lower(),
            self.port or (8883 if self.tls else 1883),
            trust(self.tls),
            goes_by(self.proxy),
        )


class _Body(Struct):
    telemetry: Raw = Raw(b"[]")
    attributes: Raw = Raw(b"{}")


class _FromGateway(Struct):
    device: str
    data: Any = None


_body = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode


class _Batch:
    """The packets that one send waits for."""

    __slots__ = ("is_busy", "left", "refused", "seqs", "settle")

    def __init__(self, seqs: list[int], settle: Settle) -> None:
        self.seqs = seqs
        self.settle = settle
        self.left = 0
        self.refused = ""
        self.is_busy = False


def packed(parts: dict[str, list[bytes]], limit: int, form: Callable[[list[bytes]], bytes]) -> list[bytes]:
    """JSON objects of ``name: form(values)``, each at most ``limit`` bytes where that can be."""
    out: list[bytes] = []
    members: list[bytes] = []
    size = 2
    for name, values in parts.items():
        member = _encode(name) + b":" + form(values)
        if members and size + len(member) + 1 > limit:
            out.append(b"{" + b",".join(members) + b"}")
            members, size = [], 2
        members.append(member)
        size += len(member) + 1
    if members:
        out.append(b"{" + b",".join(members) + b"}")
    return out


def _array(values: list[bytes]) -> bytes:
    return b"[" + b",".join(value.strip()[1:-1] for value in values) + b"]"


def _merged(values: list[bytes]) -> bytes:
    if len(values) == 1:
        return values[0]
    merged: dict[str, Any] = {}
    for value in values:
        merged |= msgspec.json.decode(value)
    return _encode(merged)


@implementer(IIntegration)
class ThingsBoardTarget(MqttOwner):
    """Publishes for many devices; see `ThingsBoardSettings`."""

    whole = True

    def __init__(
        self, settings: ThingsBoardSettings, context: IntegrationContext, connector: IConnector
    ) -> None:
        self._settings = settings
        self._context = context
        self.max_batch = settings.batch_size
        self.capacity = settings.batch_size * settings.window
        self._wants = set(context.spec.route.wants)
        self._batches: dict[int, _Batch] = {}
        self._packet = 0
        self._announced: set[str] = set()
        for name, text in (("clientId", settings.client_id), ("username", settings.username)):
            if unfit(text):
                raise SettingsError(f"configuration.{name}", "expected no control characters")
        port = settings.port or (8883 if settings.tls else 1883)
        self._endpoint = connector.endpoint(
            settings.host, port, settings.connect_timeout, settings.tls, "tls", settings.proxy
        )
        # telemetry, attributes and perhaps CONNECT for each message; identifiers end at 65,535
        self._engine = engine_maker(settings.engine, mqtt.V311, min(3 * self.capacity, 60_000))
        self._client = MqttClient(context.reactor, self._way(), self)

    def _way(self) -> BrokerAccess:
        """How to connect to the server; a random client id is made anew each time."""
        settings = self._settings
        greeting = Greeting(
            client_id(settings.client_id), settings.keepalive,
            settings.token or settings.username or None, settings.password or None,
        )  # fmt: skip
        return BrokerAccess(self._endpoint, greeting, self._engine, Backoff(self._context.spec.retry).after)

    # --- IIntegration

    def start(self) -> Deferred[None]:
        """Connect in the background."""
        self._client.start()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Disconnect."""
        return self._client.stop()

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Publish telemetry and attributes of a batch; devices that are new to the connection first."""
        seqs = [record.seq for record in records]
        up = self._client.up
        if up is None:
            settle(seqs, Unavailable(self._client.last_error or "not connected yet"))
            return
        batch = _Batch(seqs, settle)
        items = [self._item(batch, topic, payload) for topic, payload in self._packets(records)]
        if items:
            up.publish(items, 1, False)
        else:
            settle(seqs, DELIVERED)

    def check(self) -> Deferred[dict[str, Any]]:
        """Connect beside the running connection, and disconnect."""
        return mqtt_probe.check(self._context.reactor, self._way(), self._settings.connect_timeout + 10)

    def status(self) -> dict[str, Any]:
        """Whether it is connected, and why not."""
        up = self._client.up is not None
        return {"state": "connected" if up else "connecting", "lastError": self._client.last_error or None}

    # --- packets

    def _packets(self, records: Sequence[TelemetryRecord]) -> list[tuple[bytes, bytes]]:
        packets: list[tuple[bytes, bytes]] = []
        telemetry: dict[str, list[bytes]] = {}
        attributes: dict[str, list[bytes]] = {}
        for record in records:
            name = record.device_name
            if record.kind is Kind.EVENT or not name:
                continue
            if name not in self._announced:
                if len(self._announced) >= ANNOUNCED:
                    self._announced.clear()
                self._announced.add(name)
                packets.append((CONNECT, _encode({"device": name, "type": record.device_type})))
            body = _body(record.body)
            if "telemetry" in self._wants and len(bytes(body.telemetry).strip()) > 2:
                telemetry.setdefault(name, []).append(bytes(body.telemetry))
            if "attributes" in self._wants and len(bytes(body.attributes).strip()) > 2:
                attributes.setdefault(name, []).append(bytes(body.attributes))
        limit = self._settings.max_payload
        packets += [(TELEMETRY, payload) for payload in packed(telemetry, limit, _array)]
        packets += [(ATTRIBUTES, payload) for payload in packed(attributes, limit, _merged)]
        return packets

    def _item(self, batch: _Batch, topic: bytes, payload: bytes) -> Item:
        self._packet += 1
        self._batches[self._packet] = batch
        batch.left += 1
        return self._packet, topic, payload, b""

    # --- MqttOwner

    def on_up(self, limits: mqtt.Connected) -> None:
        """The server accepted the connection."""
        self._announced.clear()
        if self._settings.downlinks and self._client.up is not None:
            self._client.up.subscribe([(RPC.decode(), 1), (ATTRIBUTES.decode(), 1)])
        self._context.event("integration.connected", "connected to ThingsBoard", "info")
        self._context.available()

    def on_acknowledged(self, numbers: list[int]) -> None:
        """The server acknowledged these packets."""
        for packet in numbers:
            batch = self._batches.pop(packet)
            batch.left -= 1
            if not batch.left:
                self._end(batch)

    def on_refused(self, number: int, code: int, reason: str) -> None:
        """The server refused this packet."""
        batch = self._batches[number]
        batch.refused = reason
        batch.is_busy = batch.is_busy or code in BUSY_CODES
        self.on_acknowledged([number])

    def _end(self, batch: _Batch) -> None:
        if not batch.refused:
            batch.settle(batch.seqs, DELIVERED)
        elif batch.is_busy:
            batch.settle(batch.seqs, Unavailable(batch.refused))
        elif len(batch.seqs) > 1:
            batch.settle(batch.seqs, Apart(batch.refused))
        else:
            batch.settle(batch.seqs, Retry(batch.refused))

    def on_lost(self, numbers: list[int], reason: str) -> None:
        """The connection ended; a batch that wasn't completely acknowledged is sent again as a whole."""
        batches = {id(self._batches[packet]): self._batches.pop(packet) for packet in numbers}
        for batch in batches.values():
            batch.settle(batch.seqs, Unavailable(reason))

    def on_message(self, message: mqtt.Arrived) -> None:
        """An RPC request or changed shared attributes."""
        try:
            request = plain_json.decode(message.payload, _FromGateway)
        except plain_json.NotJson:
            return
        if self._context.downlink is None or not request.device:
            return
        is_rpc = message.topic == RPC.decode()
        if is_rpc and not (isinstance(request.data, dict) and "method" in request.data):
            return
        kind = "rpc" if is_rpc else "attributes"
        self._context.downlink(self._context.tenant, request.device, {"msgType": kind, "msg": request.data})
        rpc_id = request.data.get("id") if is_rpc else None
        if rpc_id is not None and self._client.up is not None:
            # A sleeping device may answer only tomorrow; the caller is told that its request is queued.
            answer = {"device": request.device, "id": rpc_id, "data": {"queued": True}}
            self._client.up.say(RPC, _encode(answer))

    def on_trouble(self, reason: str) -> None:
        """The server refused our subscription."""
        self._context.event("integration.trouble", reason, "warning")


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
