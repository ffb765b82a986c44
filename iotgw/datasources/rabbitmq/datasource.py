"""A queue at a RabbitMQ broker: its messages in order, acknowledged up to where all are durable.

The broker hands out at most ``prefetch`` messages unacknowledged, so a full gateway needs nothing else to stop it. What was not
acknowledged when a connection ended is handed out again, marked as redelivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from iotgw.connect.rabbit_client import RabbitClient
from iotgw.core.model import Metadata
from iotgw.core.names import unfit
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IVouches
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.pulled import Found, Partition
from iotgw.datasources.pulled_source import MOST_HEADERS, PATIENCE, PulledSource
from iotgw.datasources.rabbitmq.settings import RabbitSourceSettings

CONNECT_TIMEOUT = 30.0
LATEST = 1e12
"""Seconds since 1970; a later time is none."""


@implementer(IVouches)
class RabbitSourceType:
    """The ``rabbitmq`` datasources of a gateway."""

    name = "rabbitmq"
    settings = RabbitSourceSettings

    def __init__(self, reactor: IReactor, connector: IConnector) -> None:
        self._connector = connector

    def build(self, settings: RabbitSourceSettings, context: DatasourceContext) -> RabbitDatasource:
        """See `IDatasourceType.build`. Raises SettingsError where the package pika is missing."""
        return RabbitDatasource(settings, context, self._connector)

    def vouches(self, settings: Any) -> bool:
        """See `IVouches.vouches`: a broker knows its clients, and who publishes where."""
        return True


@implementer(IDatasource)
class RabbitDatasource(PulledSource[RabbitSourceSettings]):
    """A subscription to a queue."""

    def __init__(
        self, settings: RabbitSourceSettings, context: DatasourceContext, connector: IConnector
    ) -> None:
        super().__init__(settings, context)
        self._partition: Partition[int] | None = None
        self._acknowledged = 0
        self._timer: IDelayedCall | None = None
        self._place = place = settings.place
        endpoint = connector.endpoint(
            place.host, place.port, CONNECT_TIMEOUT, place.tls, proxy=settings.proxy
        )
        self._client = RabbitClient(context.reactor, settings, endpoint, backoffPolicy(1.0, 60.0), self)

    # --- IDatasource ---

    def start(self) -> Deferred[None]:
        """Connect in the background, with retries while the broker is unreachable."""
        return self._intake.recall().addCallback(self._begin)

    def _begin(self, _: None) -> None:
        if not self._is_stopped:
            self._client.start()

    def stop(self) -> Deferred[None]:
        """Acknowledge what is durable, and disconnect; fires when the connection is closed."""
        self._is_stopped = True
        self._contact.ends()
        if self._partition is None:
            return self._client.stop()
        quiet = self._partition.close().addTimeout(PATIENCE, self._clock, lambda _, after: None)
        return quiet.addCallback(self._leave)

    def _leave(self, _: object) -> Deferred[None]:
        self._acknowledge()
        return self._client.stop()

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`."""
        settings = self._settings
        is_full = self._partition is not None and self._partition.is_paused
        return {
            "state": "connected" if self._client.channel is not None else "connecting",
            "address": self._place.address,
            "queue": settings.queue,
            **({"waitsForRoom": True} if is_full else {}),
            **self._contact.shown(),
            **self._counted(),
        }

    # --- RabbitOwner ---

    def set_up(self, channel: Any, ready: Callable[[], None]) -> None:
        """See `RabbitOwner`: declare, bind, subscribe. What the broker refuses closes the channel."""
        settings = self._settings
        partition: Partition[int] = Partition(
            self._intake, self._clock, self._paused, lambda: None, self._grew, frames=self._frames
        )
        steps: list[Callable[[Callable[..., None]], Any]] = []
        if settings.declare:
            steps.append(lambda go: channel.queue_declare(settings.queue, durable=True, callback=go))
        for binding in settings.bindings:
            steps.append(
                lambda go, binding=binding: channel.queue_bind(  # type: ignore[misc]
                    settings.queue, binding.exchange, binding.routing_key, callback=go
                )
            )
        steps.append(lambda go: channel.basic_qos(prefetch_count=settings.prefetch, callback=go))

        def message(_: Any, method: Any, properties: Any, body: bytes) -> None:
            self._client.progress()
            if self._partition is partition:
                partition.take(method.delivery_tag, self._uplinks(method, properties, body))

        def begin(go: Callable[..., None]) -> None:
            self._partition, self._acknowledged = partition, 0
            channel.basic_consume(settings.queue, message, callback=go)

        steps.append(begin)

        def go(*_: object) -> None:
            if steps:
                steps.pop(0)(go)
            else:
                ready()

        channel.add_on_cancel_callback(
            lambda _: self._client.give_up(f"the queue {settings.queue} was deleted, or has moved")
        )
        go()

    def on_up(self) -> None:
        """See `RabbitOwner`."""
        self._contact.works(f"connected to {self._place.address}")

    def on_lost(self, reason: str) -> None:
        """See `RabbitOwner`. The broker hands out again what it has no acknowledgement of."""
        if self._partition is not None:
            self._partition.close()
            self._partition = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._contact.fails(reason)

    def on_blocked(self, reason: str) -> None:
        """See `RabbitOwner`: it says nothing about reading."""

    # --- messages ---

    def _grew(self) -> None:
        if self._timer is None and self._partition is not None:
            self._timer = self._clock.callLater(0, self._acknowledge_later)

    def _acknowledge_later(self) -> None:
        self._timer = None
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Acknowledge all messages up to the last durable one, at once."""
        channel, partition = self._client.channel, self._partition
        tag = partition.durable if partition is not None else None
        if channel is not None and channel.is_open and tag is not None and tag > self._acknowledged:
            self._acknowledged = tag
            channel.basic_ack(tag, multiple=True)

    def _uplinks(self, method: Any, properties: Any, body: bytes) -> Iterable[Found]:
        settings = self._settings
        key = _text(method.routing_key)
        known: Metadata = {
            "protocol": "rabbitmq", "queue": settings.queue, "exchange": _text(method.exchange), "routingKey": key,
            "redelivered": bool(method.redelivered),
        }  # fmt: skip
        message_id = _text(properties.message_id)
        for name, value in (
            ("messageId", message_id), ("contentType", properties.content_type), ("appId", properties.app_id),
            ("correlationId", properties.correlation_id),
        ):  # fmt: skip
            if value:
                known[name] = _text(value)
        if 0 < (properties.timestamp or 0) < LATEST:  # seconds (AMQP 0-9-1 §4.2.5.4)
            known["timestamp"] = properties.timestamp * 1000
        device = _level(key, settings.device_level)
        for name, value in list((properties.headers or {}).items())[:MOST_HEADERS]:
            if name == settings.device_header and isinstance(value, str | int):
                device = str(value)
            if self._may_show(name):
                known[f"Header:{name}"] = value
        # some publishers give all their messages one id
        name = f"{message_id}@{properties.timestamp or 0}/{_digest(body)}" if message_id else ""
        return self._messages.uplinks(body, known, "" if unfit(device) else device, name, key)


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=12).hexdigest()


def _level(key: str, level: int) -> str:
    """A part of a routing key, counted from 1; empty if it has fewer."""
    parts = key.split(".")
    return parts[level - 1] if 0 < level <= len(parts) else ""


def _text(value: Any) -> str:
    """What AMQP calls a short string; in hexadecimal where it is no UTF-8, which the library leaves as bytes."""
    return value.hex() if isinstance(value, bytes) else str(value or "")
