"""``azure-iot-hub`` as a target: messages to an IoT hub, each sent as the device that it is about, over MQTT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.connect import mqtt_probe
from iotgw.connect.azure import DEVICE_ID, IotHub, iot_hub
from iotgw.connect.endpoint import Connector
from iotgw.connect.mqtt_broker import BrokerSettings, endpoint
from iotgw.connect.mqtt_client import BrokerAccess
from iotgw.connect.mqtt_engines import engine_maker
from iotgw.connect.own_token import LIFE
from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext, Settle
from iotgw.core.ports.reactor import IReactor
from iotgw.core.secrets import Secret
from iotgw.core.validate import settings_of
from iotgw.core.verdict import DELIVERED, Rejected
from iotgw.integrations import payload, trial
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.readings import NothingToSay
from iotgw.integrations.iot_hub_device import IDLE, HubAccess, HubDevice, HubMessage
from iotgw.integrations.template import Template, TemplateFailed
from iotgw.wire import mqtt

LARGEST = 256 << 10
"""Bytes of a message with its properties ("IoT Hub quotas and throttling")."""
LOOK = 10.0
"""Seconds between looks at tokens and idle connections."""
CONNECT_TIMEOUT = 15.0
PATH = "/$iothub/websocket"
CHECKED = "iotgw-check"
"""The device that is asked for by `IotHubTarget.check` where a policy may be any."""


class IotHubSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An Azure IoT hub: a device-to-cloud message per record."""

    connection_string: Annotated[
        Secret,
        Meta(
            description="Of the IoT hub, with a policy that may connect as devices: `HostName=…;SharedAccessKeyName=device;SharedAccessKey=…`; or of the one device "
            "as which all is sent: `HostName=…;DeviceId=…;SharedAccessKey=…`."
        ),
    ]
    device: Annotated[
        str,
        Meta(description="A template: the id that the device has at the hub, if a policy's key is given."),
    ] = "{{ deviceName }}"
    websocket: Annotated[bool, Meta(description="MQTT in a WebSocket on port 443, in place of 8883.")] = False
    connections: Annotated[
        int,
        Meta(
            ge=1, le=5000, description="Devices that are connected at once, at most, and messages in flight."
        ),
    ] = 500
    tls: Annotated[ClientTls | None, Meta(description="TLS, if not with the system's authorities.")] = None
    proxy: ProxyUrl = ""

    def __post_init__(self) -> None:
        """Refuse what is no hub."""
        if self.connection_string:
            self.hub()

    def hub(self) -> IotHub:
        """The hub. Raises ValueError, which repeats nothing of the string."""
        return iot_hub(self.connection_string)

    def broker(self) -> BrokerSettings:
        """The hub as a broker."""
        hub = self.hub()
        scheme = ("ws" if self.websocket else "mqtt") + ("" if hub.is_emulated else "s")
        url = f"{scheme}://{hub.netloc}{PATH if self.websocket else ''}"
        return BrokerSettings(host=url, tls=None if hub.is_emulated else self.tls, proxy=self.proxy)

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        hub = self.hub() if self.connection_string else None
        return hub and (hub.netloc, hub.is_emulated), trust(self.tls), goes_by(self.proxy)


@implementer(IIntegration)
class IotHubTarget:
    """Publishes as devices; see `IotHubSettings`."""

    whole = False
    _log = Logger()

    def __init__(self, settings: IotHubSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self._context = context
        self._hub = hub = settings.hub()
        names = RecordNames(context.epochs, context.datasource_name)
        self._key = names.key
        self._payload = payload.formatter(context.spec, names, context.warn)
        self._device = Template(settings.device, "configuration.device", names) if not hub.device else None
        # at least one connection is idle when a message comes of a device that has none
        self.capacity = self.max_batch = settings.connections
        self._engine = engine_maker("iotgw", mqtt.V311, settings.connections)
        self._endpoint = endpoint(settings.broker(), connector, context.reactor, CONNECT_TIMEOUT)
        self._access = HubAccess(
            hub, self._endpoint, self._engine, context.reactor, context.date, self._let_in, self._knows_us, self._lost
        )  # fmt: skip
        self._devices: dict[str, HubDevice] = {}
        """Those with a connection, the least recently used first."""
        self._let_in_at = -LIFE
        self._error = ""
        self._loop = LoopingCall(self._look)
        self._loop.clock = context.reactor

    # --- IIntegration ---

    def start(self) -> Deferred[None]:
        """Connections are made when there is something to say."""
        self._loop.start(LOOK, now=False).addErrback(
            lambda failure: self._log.failure("the look at an IoT hub's connections failed", failure)
        )
        return succeed(None)

    def stop(self) -> Deferred[Any]:
        """Disconnect."""
        if self._loop.running:
            self._loop.stop()
        devices, self._devices = self._devices, {}
        return DeferredList([device.close() for device in devices.values()], consumeErrors=True)

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Publish each record as its device."""
        for record in records:
            try:
                made = self._message(record, settle)
            except NothingToSay:
                settle([record.seq], DELIVERED)
                continue
            except TemplateFailed as error:
                settle([record.seq], Rejected(str(error)))
                continue
            if isinstance(made, Rejected):
                settle([record.seq], made)
            else:
                name, message = made
                self._of(name).send([message])

    def check(self) -> Deferred[dict[str, Any]]:
        """Connect as the one device, or as one that no hub has: that it refuses is its answer."""
        name = self._hub.device
        if name and (device := self._devices.get(name)) is not None and device.is_up:
            return succeed({"ok": True, "detail": f"{name} is connected"})
        way = BrokerAccess(
            self._endpoint, HubDevice(self._access, name or CHECKED).greeting(self._context.date() + LIFE), self._engine, lambda failures: LIFE
        )  # fmt: skip
        knocked = mqtt_probe.knock(self._context.reactor, way, CONNECT_TIMEOUT + 10)
        return knocked.addCallback(self._judge, bool(name))

    def status(self) -> dict[str, Any]:
        """``devices`` are those that are connected."""
        up = sum(device.is_up for device in self._devices.values())
        return {"state": "connected" if up else "idle", "devices": up, "lastError": self._error or None}

    # --- messages ---

    def _message(self, record: TelemetryRecord, settle: Settle) -> tuple[str, HubMessage] | Rejected:
        """A record's device and message. Raises TemplateFailed and NothingToSay."""
        name = self._hub.device if self._device is None else self._device.text(record)
        if not DEVICE_ID.fullmatch(name) or set(name) & {"+", "#"}:
            return Rejected(f"no device of an IoT hub can send as {name[:128]!r}")
        body = self._payload(record)
        said = {"$.mid": self._key(record)[-128:], "deviceName": record.device_name}
        if _is_json(body):
            said |= {"$.ct": "application/json", "$.ce": "utf-8"}
        bag = "&".join(f"{quote(each, safe='$.')}={quote(value, safe='')}" for each, value in said.items())
        topic = f"devices/{name}/messages/events/{bag}"
        size = len(body) + len(topic)
        if size > LARGEST:
            return Rejected(f"{size} bytes with its properties; an IoT hub takes {LARGEST}")
        if self._context.shown((record,)) is not None:
            request = f"PUBLISH {topic} (QoS 1)\n\n{trial.text(body)}"
            settle = trial.showing(self._context.show, record, request, "acknowledged", settle)
        return name, HubMessage(record.seq, topic.encode(), body, settle)

    def _of(self, name: str) -> HubDevice:
        """A device's connection."""
        device = self._devices.pop(name, None)
        if device is None:
            if len(self._devices) >= self._settings.connections:
                self._close_one()
            device = HubDevice(self._access, name)
        self._devices[name] = device
        return device

    def _close_one(self) -> None:
        idle = next((device for device in self._devices.values() if device.is_idle), None)
        if idle is not None:
            del self._devices[idle.name]
            idle.close()

    # --- connections ---

    def _look(self) -> None:
        now = self._context.reactor.seconds()
        for device in list(self._devices.values()):
            if device.is_idle and now - device.used_at > IDLE:
                del self._devices[device.name]
                device.close()
            else:
                device.look()

    def _let_in(self, device: HubDevice) -> None:
        self._let_in_at = self._context.reactor.seconds()
        self._error = ""
        self._context.available()

    def _knows_us(self) -> bool:
        """Whether the key is right, so that a refusal is about a single device."""
        return not self._hub.device and self._context.reactor.seconds() < self._let_in_at + LIFE

    def _lost(self, device: HubDevice, reason: str) -> None:
        self._error = reason
        if self._devices.get(device.name) is device:
            del self._devices[device.name]

    def _judge(self, problem: str, is_device: bool) -> dict[str, Any]:
        if not problem:
            return {"ok": True, "detail": "connected and logged in", "untried": ["whether it may publish"]}
        if not is_device and problem.startswith("the broker refused"):
            untried = ["whether the key is right", "whether the devices are there"]
            return {"ok": True, "detail": f"{self._hub.netloc} answers", "untried": untried}
        return {"ok": False, "detail": problem}


def _is_json(body: bytes) -> bool:
    """Whether the hub's routing can look into a body, which it does where that is called JSON."""
    return body[:1] in (b"{", b"[")


@implementer(IIntegrationType)
class IotHubType:
    """The type ``azure-iot-hub``; see `IotHubSettings`."""

    name = "azure-iot-hub"
    settings: type[Struct] = IotHubSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: IotHubSettings, context: IntegrationContext) -> IotHubTarget:
        """A target; raises SettingsError."""
        with settings_of("configuration"):
            return IotHubTarget(settings, context, self._connector)
