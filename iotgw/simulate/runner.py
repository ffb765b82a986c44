"""Lets simulated devices speak to a gateway over real sockets, at a rate, and counts what came of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct
from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import DatagramProtocol, Protocol
from twisted.python.failure import Failure
from twisted.web.server import Site

from iotgw.simulate.coap import CoapSensor, DraginoCoapNode, LobaroCoapGateway
from iotgw.simulate.coaps import CoapsSensor, Key
from iotgw.simulate.device import Device
from iotgw.simulate.dragino import DraginoNode
from iotgw.simulate.http import HttpSensor
from iotgw.simulate.lobaro import LobaroGateway
from iotgw.simulate.lwm2m import Lwm2mThermometer
from iotgw.simulate.mqtt import MqttSensor
from iotgw.simulate.plain import JsonSensor
from iotgw.simulate.platform_api import SimulatedApi
from iotgw.simulate.platform_calls import Called
from iotgw.simulate.platforms import PLATFORMS, PlatformDevice
from iotgw.simulate.pubsub_push import KIND as PUBSUB_PUSH
from iotgw.simulate.pubsub_push import PublishedKeys, PushedSensor
from iotgw.simulate.tekelek import TekelekSensor

MAX_OPEN = 1_000
"""Connections at once; with more, uplinks wait for one to end."""


class DeviceKind(Struct, frozen=True):
    """A protocol: its devices, its default port, and whether it is TCP or UDP."""

    make: Callable[..., Device]
    port: int
    is_udp: bool = False
    is_answered: bool = False
    """Whether the server says that it has the uplink."""
    about: str = ""
    has_path: bool = False
    """Whether its devices take a path or topic."""
    has_key: bool = False
    """Whether its devices need a pre-shared key."""


KINDS = {
    "tekelek": DeviceKind(
        TekelekSensor, 55345, is_answered=True, about="TEK 811 ultrasonic level sensors over TCP"
    ),
    "dragino": DeviceKind(DraginoNode, 5600, about="Dragino NDDS75 distance sensors over TCP"),
    "dragino-udp": DeviceKind(DraginoNode, 5600, is_udp=True, about="the same over UDP"),
    "dragino-coap": DeviceKind(
        DraginoCoapNode, 5683, True, True, "the same over CoAP, to a dragino-coap datasource", has_path=True
    ),
    "lobaro-coap": DeviceKind(
        LobaroCoapGateway, 5683, True, True, "Lobaro wMBus gateways over CoAP", has_path=True
    ),
    "lobaro-udp": DeviceKind(LobaroGateway, 1064, is_udp=True, about="Lobaro wMBus gateways over legacy UDP"),
    "tcp": DeviceKind(
        JsonSensor, 10560, about="JSON documents over TCP, for the handlers TEXT (maxFrameLength) and JSON"
    ),
    "http": DeviceKind(HttpSensor, 8080, is_answered=True, about="JSON over HTTP", has_path=True),
    "coap": DeviceKind(CoapSensor, 5683, True, True, "JSON over CoAP", has_path=True),
    "coaps": DeviceKind(
        CoapsSensor,
        5684,
        is_udp=True,
        is_answered=True,
        about="the same over DTLS; --psk-identity, --psk",
        has_path=True,
        has_key=True,
    ),
    "mqtt": DeviceKind(
        MqttSensor,
        1883,
        is_answered=True,
        about="JSON to an MQTT broker; --path <topic with {id}>",
        has_path=True,
    ),
    "lwm2m": DeviceKind(
        Lwm2mThermometer,
        5683,
        True,
        True,
        "LwM2M thermometers that register and send; --path stands before rd",
        has_path=True,
    ),
    PUBSUB_PUSH: DeviceKind(
        PushedSensor,
        8080,
        is_answered=True,
        about="a subscription of Google Pub/Sub that pushes; --api-port has its keys",
        has_path=True,
    ),
    "udp": DeviceKind(JsonSensor, 11560, is_udp=True, about="JSON documents over UDP"),
    **{
        name: DeviceKind(
            partial(PlatformDevice, platform=name),
            8080,
            is_answered=True,
            about="a platform's push; --path /i/<routing key>",
            has_path=True,
        )
        for name in PLATFORMS
    },
}


class Plan(Struct, frozen=True):
    """What to do: ``count`` uplinks of ``devices`` devices in turn, ``rate`` a second (0: as fast as it goes)."""

    kind: str
    host: str = "127.0.0.1"
    port: int = 0
    count: int = 10
    rate: float = 1.0
    devices: int = 10
    patience: float | None = None
    path: str = ""
    seed: int | None = None
    key: Key | None = None
    repeat: int = 0
    """Platforms: every so many-th uplink comes twice."""
    api_port: int = 0
    """Platforms: the port at which their API is simulated, or their keys are published; 0 is none."""


class Summary(Struct):
    """What came of it. ``failed`` are connections that couldn't be made or broke."""

    sent: int = 0
    answered: int = 0
    downlinks: int = 0
    failed: int = 0
    unanswered: int = 0
    seconds: float = 0.0
    last_error: str = ""


def run(reactor: Any, plan: Plan, progress: Callable[[Summary], None] = lambda _: None) -> Deferred[Summary]:
    """Carry out a plan; fires with its `Summary`."""
    return _Run(reactor, plan, progress).start()


class _Run:
    def __init__(self, reactor: Any, plan: Plan, progress: Callable[[Summary], None]) -> None:
        self.reactor = reactor
        self.plan = plan
        self.kind = KINDS[plan.kind]
        rng = random.Random(plan.seed)
        more: dict[str, Any] = {"path": plan.path} if plan.path and self.kind.has_path else {}
        if self.kind.has_key:
            more["key"] = plan.key
        if plan.kind in PLATFORMS:
            more["repeat"] = plan.repeat
        self._devices = [self.kind.make(rng, **more) for _ in range(max(1, min(plan.devices, plan.count)))]
        self._busy: set[str] = set()
        self.summary = Summary()
        self._progress = progress
        self._next = 0
        self._open = 0
        self._began = 0.0
        self._done: Deferred[Summary] = Deferred()

    def start(self) -> Deferred[Summary]:
        self._began = self.reactor.seconds()
        if self.plan.api_port:
            is_push = self.plan.kind == PUBSUB_PUSH
            api = PublishedKeys() if is_push else SimulatedApi(self.plan.kind, self._called)
            port = self.reactor.listenTCP(self.plan.api_port, Site(api), interface="127.0.0.1")
            self._done.addBoth(lambda result: maybeDeferred(port.stopListening).addCallback(lambda _: result))
        self._step()
        return self._done

    def _called(self, call: Called) -> bool:
        """A downlink came to the platform's API: its receipts go with the device's next words."""
        for device in self._devices:
            if isinstance(device, PlatformDevice) and device.identity == call.eui:
                device.say(call.posts)
                self.summary.downlinks += 1
                return True
        return False

    def now_ms(self) -> int:
        return int(self.reactor.seconds() * 1000)

    def _step(self) -> None:
        plan = self.plan
        due = plan.count
        if plan.rate > 0:
            due = min(due, int((self.reactor.seconds() - self._began) * plan.rate) + 1)
        while self._next < due and self._open < MAX_OPEN:
            device = self._devices[self._next % len(self._devices)]
            if device.identity in self._busy:
                break  # a device does one thing at a time
            self._next += 1
            self._open += 1
            self._busy.add(device.identity)
            _udp(self, device) if self.kind.is_udp else _tcp(self, device)
        if self._next < plan.count:
            self.reactor.callLater(min(0.1, 1 / plan.rate) if plan.rate > 0 else 0.01, self._step)

    def ended(self, device: Device, answered: bool, error: str = "") -> None:
        """A device has done its uplink."""
        summary = self.summary
        self._open -= 1
        self._busy.discard(device.identity)
        if error:
            summary.failed += 1
            summary.last_error = error
        elif answered:
            summary.answered += 1
        else:
            summary.unanswered += 1
        self._progress(summary)
        if self._next >= self.plan.count and not self._open and not self._done.called:
            summary.seconds = self.reactor.seconds() - self._began
            self._done.callback(summary)

    def patience(self, device: Device) -> float:
        return device.patience if self.plan.patience is None else self.plan.patience

    @property
    def port(self) -> int:
        return self.plan.port or self.kind.port


class _Speech(Protocol):
    """A device's TCP connection."""

    def __init__(self, run: _Run, device: Device) -> None:
        self._run = run
        self._device = device
        self._answered = False
        self._timer: Any = None

    def connectionMade(self) -> None:
        """Say what there is to say."""
        self.transport.write(self._device.uplink(self._run.now_ms()))  # type: ignore[union-attr]
        self._run.summary.sent += 1
        self._listen()

    def _listen(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._run.reactor.callLater(self._run.patience(self._device), self._hang_up)

    def _hang_up(self) -> None:
        self.transport.loseConnection()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Do as told."""
        reaction = self._device.received(data, self._run.now_ms())
        self._answered |= reaction.is_answer
        self._run.summary.downlinks += reaction.downlinks
        if reaction.send:
            self.transport.write(reaction.send)  # type: ignore[union-attr]
        if reaction.is_done:
            self._hang_up()
        else:
            self._listen()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """The end of this uplink."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        error = "" if reason.check(ConnectionDone) else reason.getErrorMessage()
        self._run.ended(self._device, self._answered, error)


def _tcp(run: _Run, device: Device) -> None:
    endpoint = HostnameEndpoint(run.reactor, run.plan.host, run.port)
    connectProtocol(endpoint, _Speech(run, device)).addErrback(
        lambda failure: run.ended(device, False, failure.getErrorMessage())
    )


class _Shout(DatagramProtocol):
    """A device's UDP socket, for one datagram."""

    noisy = False

    def __init__(self, run: _Run, device: Device) -> None:
        self._run = run
        self._device = device
        self._answered = False
        self._error = ""
        self._port: Any = None
        self._timer: Any = None

    def speak(self, host: str) -> None:
        reactor = self._run.reactor
        self._port = reactor.listenUDP(0, self, interface="::" if ":" in host else "")
        transport = self.transport
        transport.connect(host, self._run.port)  # type: ignore[union-attr]
        transport.write(self._device.uplink(self._run.now_ms()), None)  # type: ignore[union-attr]
        self._run.summary.sent += 1
        self._timer = reactor.callLater(self._run.patience(self._device), self._end)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A downlink, or the server's word."""
        reaction = self._device.received(datagram, self._run.now_ms())
        self._error = reaction.error
        self._answered |= reaction.is_answer
        self._run.summary.downlinks += reaction.downlinks
        if reaction.send:
            self.transport.write(reaction.send, None)  # type: ignore[union-attr]
        if reaction.is_done and self._timer.active():
            self._timer.cancel()
            self._end()

    def connectionRefused(self) -> None:
        """Nobody listens there."""
        self._error = "connection refused"

    def _end(self) -> None:
        self._port.stopListening()
        self._run.ended(self._device, self._answered, self._error)


def _udp(run: _Run, device: Device) -> None:
    host = run.plan.host
    speaking: Deferred[Any] = (
        succeed(host) if isIPv6Address(host) else maybeDeferred(run.reactor.resolve, host)
    )
    speaking.addCallback(_Shout(run, device).speak)
    speaking.addErrback(lambda failure: run.ended(device, False, failure.getErrorMessage()))
