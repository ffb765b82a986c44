"""A device's connection to an Azure IoT hub: made for what waits, and made anew before its token ends.

A hub takes a device's messages on that device's own connection only, and closes it when the token ends by which it was made. So the connection is
replaced some minutes before: what is in flight is acknowledged first, and what comes meanwhile waits for the new one.

Source: "Communicate with an IoT hub using the MQTT protocol" in Azure's documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IStreamClientEndpoint

from iotgw.connect.azure import IotHub
from iotgw.connect.azure_sas import signature
from iotgw.connect.mqtt_client import BrokerAccess, MqttClient
from iotgw.connect.mqtt_engine import Engine
from iotgw.connect.mqtt_owner import Greeting, MqttOwner
from iotgw.connect.own_token import EARLY, LIFE
from iotgw.core.ports.integrations import Settle
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Retry, Unavailable, Verdict
from iotgw.wire import mqtt

API = "2021-04-12"
"""The version of the hub's interface that is spoken."""
KEEPALIVE = 240
"""Seconds; a hub takes up to 1767."""
IDLE = 600.0
"""Seconds without a message after which a connection is closed."""
REFUSED_FOR = 60.0
"""Seconds after which a device is tried again that the hub didn't let in."""
NOT_LET_IN = frozenset({4, 5})
"""Return codes of CONNACK: bad user name or password, not authorized (MQTT 3.1.1 §3.2.2.3)."""


class HubMessage(Struct, frozen=True):
    """A record as it leaves."""

    seq: int
    topic: bytes
    body: bytes
    settle: Settle


class HubAccess(Struct, frozen=True):
    """What all devices of a hub have in common. ``date()`` gives the date in seconds since 1970. ``let_in(device)`` is told when the hub has taken a
    device's token; ``knows_us()`` says whether it has taken another's not long ago. ``lost(device, reason)`` is told when a connection is over that was
    not closed by us."""

    hub: IotHub
    endpoint: IStreamClientEndpoint
    engine: Callable[[], Engine]
    reactor: IReactor
    date: Callable[[], float]
    let_in: Callable[[HubDevice], None]
    knows_us: Callable[[], bool]
    lost: Callable[[HubDevice, str], None]


class HubDevice:
    """The connection of the device ``name``."""

    def __init__(self, access: HubAccess, name: str) -> None:
        self.name = name
        self._access = access
        self._link: HubLink | None = None
        self._waiting: list[HubMessage] = []
        self._in_flight: dict[int, Settle] = {}
        self._is_ending = False
        """Whether the connection is to be replaced when nothing is in flight."""
        self.used_at = access.reactor.seconds()
        self._leaving: list[Deferred[None]] = []

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for the hub."""
        return not self._waiting and not self._in_flight

    @property
    def is_up(self) -> bool:
        """Whether the hub has let it in."""
        return self._link is not None and self._link.client.up is not None

    def send(self, messages: Sequence[HubMessage]) -> None:
        """Publish messages, now or when the connection is there."""
        self.used_at = self._access.reactor.seconds()
        self._waiting += messages
        if self._link is None:
            self._connect()
        elif not self._is_ending:
            self._flush()

    def look(self) -> None:
        """Called from time to time: replace the connection before its token ends."""
        now, link = self._access.date(), self._link
        if link is not None and not self._is_ending and not now < link.until - EARLY < now + LIFE:
            self._is_ending = True
            self._replace()

    def close(self) -> Deferred[Any]:
        """Disconnect; fires when that is done. What isn't settled stays so."""
        self._disconnect()
        return DeferredList(self._leaving, consumeErrors=True)

    # --- the connection ---

    def greeting(self, until: float) -> Greeting:
        """CONNECT, with a token that ends at a date."""
        hub = self._access.hub
        password = signature(f"{hub.host}/devices/{self.name}", hub.key, hub.policy, int(until))
        user = f"{hub.host}/{self.name}/?api-version={API}"
        return Greeting(self.name, KEEPALIVE, user, password, version=mqtt.V311)

    def _connect(self) -> None:
        access = self._access
        until = access.date() + LIFE
        way = BrokerAccess(access.endpoint, self.greeting(until), access.engine, lambda failures: LIFE)
        self._is_ending = False
        self._link = HubLink(self, until)
        self._link.client = MqttClient(access.reactor, way, self._link)
        self._link.client.start()

    def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        left: Deferred[None] = Deferred()
        self._leaving.append(left)

        def stop() -> None:
            link.client.stop().addBoth(lambda _: self._left(left))

        # in this turn, the client may not know yet how its attempt ended
        self._access.reactor.callLater(0, stop)

    def _left(self, left: Deferred[None]) -> None:
        self._leaving.remove(left)
        left.callback(None)

    def _replace(self) -> None:
        """Leave the connection if nothing is in flight, and make a new one if something waits."""
        if self._in_flight:
            return
        self._disconnect()
        if self._waiting:
            self._connect()

    def _flush(self) -> None:
        up = self._link.client.up if self._link is not None else None
        if up is None or not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._in_flight |= {each.seq: each.settle for each in waiting}
        up.publish([(each.seq, each.topic, each.body, b"") for each in waiting], 1, False)

    # --- for its link ---

    def has(self, link: HubLink) -> bool:
        """Whether this is its present link, and not one that it has left."""
        return link is self._link

    def let_in(self) -> None:
        """The hub has let the device in."""
        self._access.let_in(self)
        if self._is_ending:
            self._replace()
        else:
            self._flush()

    def settle(self, numbers: Sequence[int], verdict: Verdict) -> None:
        """What became of these messages."""
        for number in numbers:
            self._in_flight.pop(number)([number], verdict)
        if self._is_ending:
            self._replace()

    def lost(self, link: HubLink, reason: str) -> None:
        """The connection ended, or couldn't be made: nothing that waits is sent, and the delivery service decides when to try again."""
        waiting, self._waiting = self._waiting, []
        in_flight, self._in_flight = self._in_flight, {}
        self._disconnect()
        self._access.lost(self, reason)
        is_its_own = link.refused in NOT_LET_IN and self._access.knows_us()
        verdict = Retry(f"{self.name}: {reason}", REFUSED_FOR) if is_its_own else Unavailable(reason)
        for number, settle in in_flight.items():
            settle([number], verdict)
        for each in waiting:
            each.settle([each.seq], verdict)


class HubLink(MqttOwner):
    """One connection of a device; what it reports after the device has left it counts no more. ``until`` is the date at which its token ends."""

    client: MqttClient

    def __init__(self, device: HubDevice, until: float) -> None:
        self._device = device
        self.until = until
        self.refused = 0
        """The return code of a CONNACK that didn't let us in."""

    def hint(self, refused: mqtt.Refused) -> str:
        """See `MqttOwner.hint`."""
        self.refused = refused.code
        return "the hub has no such device, it is disabled, or the key isn't the one of this policy or device"

    def on_up(self, limits: mqtt.Connected) -> None:
        """See `MqttOwner.on_up`."""
        if self._device.has(self):
            self._device.let_in()

    def on_acknowledged(self, numbers: list[int]) -> None:
        """See `MqttOwner.on_acknowledged`."""
        if self._device.has(self):
            self._device.settle(numbers, DELIVERED)

    def on_refused(self, number: int, code: int, reason: str) -> None:
        """See `MqttOwner.on_refused`."""
        if self._device.has(self):
            self._device.settle([number], Retry(reason))

    def on_lost(self, numbers: list[int], reason: str) -> None:
        """See `MqttOwner.on_lost`."""
        if self._device.has(self):
            self._device.lost(self, reason)
