"""An MQTT client that keeps a connection to a broker up, for targets and for subscriptions.

`MqttClient` connects by a Twisted endpoint, backs off, and watches the time. `MqttConnection` is one
connection, on which an engine (`mqtt_engine`) speaks MQTT. Name resolution, TCP, TLS and a silent broker never
block the reactor. The user of a client is its `MqttOwner`: it is told what was acknowledged, what arrived, and
what was not yet acknowledged when a connection ended.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect import mqtt_reasons
from iotgw.connect.endpoint import in_words
from iotgw.connect.mqtt_connection import MqttConnection
from iotgw.connect.mqtt_engine import Engine
from iotgw.connect.mqtt_owner import Greeting, MqttOwner
from iotgw.wire import mqtt


def client_id(text: str) -> str:
    """A client id with ``{RND}`` replaced by eight random characters."""
    alphabet = string.ascii_lowercase + string.digits
    return text.replace("{RND}", "".join(random.choices(alphabet, k=8)))


class BrokerAccess(Struct, frozen=True):
    """How a client connects to its broker: endpoint, credentials, engine, and retries.

    ``engine`` makes the MQTT engine of a connection. ``retry`` gives the seconds to wait after so many failures
    in a row, from 1.
    """

    endpoint: IStreamClientEndpoint
    greeting: Greeting
    engine: Callable[[], Engine]
    retry: Callable[[int], float]


class MqttClient:
    """Keeps one connection to the broker up from `start` to `stop`."""

    _log = Logger()

    def __init__(self, reactor: IReactorTime, way: BrokerAccess, owner: MqttOwner) -> None:
        self._reactor = reactor
        self._way = way
        self._owner = owner
        self._current: MqttConnection | None = None
        """The connection that is being made or is up."""
        self.up: MqttConnection | None = None
        """The connection that is up, if any; messages are sent on it."""
        self.last_error = ""
        self._falls = 0
        """Connections in a row that the broker closed soon after they were up, without a reason."""
        self._is_stopping = False
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        self._service = ClientService(_Welcome(self), factory, retryPolicy=way.retry, clock=reactor)
        self._loop = LoopingCall(self._tick)
        self._loop.clock = reactor

    def start(self) -> None:
        """Connect, and stay connected."""
        self._is_stopping = False
        self._service.startService()
        self._loop.start(1.0, now=False).addErrback(
            lambda failure: self._log.failure("the MQTT time-out check failed", failure)
        )

    def stop(self) -> Deferred[None]:
        """Disconnect; fires when the connection is closed."""
        self._is_stopping = True
        if self._loop.running:
            self._loop.stop()
        if self.up is not None:
            self.up.goodbye()
        stopped: Deferred[None] = self._service.stopService()
        return stopped

    def _tick(self) -> None:
        if self._current is not None:
            self._current.tick(self._reactor.seconds())

    # --- for the endpoint

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """A connection that is up; ``factory`` makes what `ClientService` watches."""
        way = self._way
        connection = MqttConnection(way.greeting, self._owner, self._reactor, way.engine())
        self._current = connection
        inner = Factory.forProtocol(lambda: connection)
        inner.noisy = False

        def ready(limits: mqtt.Connected) -> Any:
            outer: Any = factory.buildProtocol(connection.transport.getPeer())
            outer.makeConnection(connection.transport)
            connection.ended.addCallback(self._lost, outer)
            self.up = connection
            self._owner.on_up(limits)
            return outer

        made: Deferred[Any] = way.endpoint.connect(inner)
        made.addCallback(lambda _: connection.ready).addErrback(self._missed)
        return made.addCallback(ready)

    def _missed(self, failure: Failure) -> Failure:
        """No connection could be made."""
        said = in_words(failure)
        if said.startswith("TLS:"):
            greeting = self._way.greeting
            advice = mqtt_reasons.of_end(mqtt_reasons.Story(greeting.client_id, greeting.version), said)
            said += f". {advice}" if advice else ""
        if not self._is_stopping:
            self.last_error = said
        self._owner.on_lost([], said)
        return failure

    def _lost(self, how: tuple[list[int], str, Failure], outer: Any) -> None:
        """The connection that was up is over."""
        numbers, self.last_error, reason = how
        up, self.up = self.up, None
        is_soon = up is not None and self._reactor.seconds() - up.up_at < mqtt_reasons.SOON
        self._falls = self._falls + 1 if up is not None and is_soon and up.is_unexplained else 0
        if self._falls > 1:
            self.last_error += f". {mqtt_reasons.taken_over(self._way.greeting.client_id)}"
        outer.connectionLost(reason)
        self._owner.on_lost(numbers, self.last_error)


@implementer(IStreamClientEndpoint)
class _Welcome:
    """An endpoint whose connection counts as made only once MQTT is up, so that `ClientService` backs off from
    a broker that refuses as it does from one that is unreachable."""

    def __init__(self, client: MqttClient) -> None:
        self._client = client

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """See `IStreamClientEndpoint`."""
        return self._client.connect(protocolFactory)
