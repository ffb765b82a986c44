"""RabbitMQ as a target: a persistent message per record, with publisher confirms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from msgspec import Meta
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.connect.endpoint import Connector
from iotgw.connect.rabbit_access import LONGEST, RabbitAccess, check_names, library
from iotgw.connect.rabbit_client import RabbitClient
from iotgw.core.backoff import Backoff
from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.core.names import unfit, without_unfit
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext, Settle
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Rejected, Retry, Unavailable
from iotgw.integrations import payload, trial
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.table import bodies_of
from iotgw.integrations.settles import Settles
from iotgw.integrations.template import Template, TemplateFailed

_NO_KEY = str.maketrans(dict.fromkeys(".*#", "_"))
PERSISTENT = 2
"""The delivery mode of messages that a durable queue keeps on disk."""
CHECK = 30.0
"""Seconds for a check."""


class RabbitSettings(RabbitAccess, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RabbitMQ: one persistent message per record, confirmed by the broker."""

    exchange: Annotated[
        str,
        Meta(description="An exchange that exists; empty is the default one, whose routing keys are queues."),
    ] = ""
    routing_key: Annotated[
        str, Meta(description="A template; values that are inserted lose `.`, `*` and `#`.")
    ] = "iotgw.{{ deviceName }}"
    mandatory: Annotated[
        bool,
        Meta(
            description="Whether a message that no queue takes counts as refused. Otherwise the broker drops it, and confirms it."
        ),
    ] = True
    window: Annotated[int, Meta(ge=1, le=10000, description="Messages that are not confirmed yet.")] = 1000
    connect_timeout: Annotated[float, Meta(gt=0, description="Seconds to connect.")] = 10.0

    def __post_init__(self) -> None:
        """Refuse names that no broker takes."""
        RabbitAccess.__post_init__(self)
        check_names(exchange=self.exchange)


def for_routing_key(value: Any) -> str:
    """A value in a routing key."""
    return without_unfit(str(value).translate(_NO_KEY), "_")


@implementer(IIntegration)
class RabbitTarget:
    """Publishes; see `RabbitSettings`."""

    whole = False

    def __init__(self, settings: RabbitSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self._context = context
        self._properties = library().BasicProperties
        self.capacity = self.max_batch = settings.window
        names = RecordNames(context.epochs, context.datasource_name)
        self._routing_key = Template(settings.routing_key, "configuration.routingKey", names, for_routing_key)
        if unfit(self._routing_key.written):
            raise SettingsError("configuration.routingKey", "expected no control characters")
        self._payload = payload.formatter(context.spec, names, context.warn)
        self._content_type = bodies_of(context.spec.format).media_type("none")
        self._key = names.key
        self._settles = Settles()
        self._tag = 0
        self._unconfirmed: dict[int, int] = {}
        """Positions by delivery tags, in order."""
        self._numbers: dict[str, int] = {}
        """Positions by message ids, for messages that come back."""
        self._returned: dict[int, str] = {}
        self._error = self._blocked = ""
        place = settings.place
        self._endpoint = connector.endpoint(
            place.host, place.port, settings.connect_timeout, place.tls, proxy=settings.proxy
        )
        retry = Backoff(context.spec.retry).after
        self._client = RabbitClient(context.reactor, settings, self._endpoint, retry, self)

    # --- IIntegration

    def start(self) -> Deferred[None]:
        """Connect in the background."""
        self._client.start()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Disconnect."""
        return self._client.stop()

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Publish each record."""
        channel = self._client.channel
        problem = self._error or "not connected yet"
        if channel is not None and channel.is_open:
            problem = self._blocked
            if not problem and len(self._settles) + len(records) > self._settings.window:
                problem = "the window is full"  # a test message
        if problem:
            settle([record.seq for record in records], Unavailable(problem))
            return
        some_are_shown = self._context.shown(records) is not None
        for record in records:
            try:
                key, body = self._routing_key.text(record), self._payload(record)
            except TemplateFailed as error:
                settle([record.seq], Rejected(str(error)))
                continue
            if len(key.encode()) > LONGEST:
                settle(
                    [record.seq], Rejected(f"a routing key of {len(key.encode())} bytes; AMQP has {LONGEST}")
                )
                continue
            if some_are_shown and self._context.shown((record,)) is not None:
                self._publish(channel, record, key, body, self._shown(record, key, body, settle))
            else:
                self._publish(channel, record, key, body, settle)

    def _shown(self, record: TelemetryRecord, key: str, body: bytes, settle: Settle) -> Settle:
        """Settle a message, and show it."""
        exchange = self._settings.exchange or "(default)"
        mandatory = ", mandatory" if self._settings.mandatory else ""
        request = (
            f"PUBLISH to exchange {exchange}, routing key {key}{mandatory}\ncontent-type: {self._content_type}\n"
            f"message-id: {self._key(record)}\n\n{trial.text(body)}"
        )
        return trial.showing(self._context.show, record, request, "confirmed", settle)

    def _publish(self, channel: Any, record: TelemetryRecord, key: str, body: bytes, settle: Settle) -> None:
        delivery = self._key(record)
        properties = self._properties(
            content_type=self._content_type, delivery_mode=PERSISTENT, message_id=delivery,
            timestamp=record.received_ms // 1000, app_id="iotgw",
        )  # fmt: skip
        self._settles.put(record.seq, settle)
        self._tag += 1
        self._unconfirmed[self._tag] = record.seq
        self._numbers[delivery] = record.seq
        channel.basic_publish(self._settings.exchange, key, body, properties, self._settings.mandatory)

    def check(self) -> Deferred[dict[str, Any]]:
        """Connect beside the running connection, look for the exchange, and disconnect."""
        knock = _Knock(self._settings, self._endpoint, self._context.reactor)
        return knock.run()

    def status(self) -> dict[str, Any]:
        """Whether it is connected, and why not."""
        is_up = self._client.channel is not None
        return {
            "state": "connected" if is_up else "connecting",
            "lastError": self._error or self._blocked or None,
            "unconfirmed": len(self._unconfirmed),
        }

    # --- RabbitOwner

    def set_up(self, channel: Any, ready: Callable[[], None]) -> None:
        """See `RabbitOwner`: ask for confirms, once the exchange is there."""
        self._tag = 0

        def confirm(*_: object) -> None:
            channel.add_on_return_callback(self._came_back)
            channel.confirm_delivery(self._confirmed, callback=lambda _: ready())

        look_for_exchange(channel, self._settings.exchange, confirm)

    def on_up(self) -> None:
        """See `RabbitOwner`."""
        self._error = self._blocked = ""
        self._context.event("integration.connected", "connected to the broker", "info")
        self._context.available()

    def on_lost(self, reason: str) -> None:
        """See `RabbitOwner`: what wasn't confirmed is sent again."""
        self._error = reason
        self._unconfirmed.clear()
        self._numbers.clear()
        self._returned.clear()
        self._settles.report_all(Unavailable(reason))

    def on_blocked(self, reason: str) -> None:
        """See `RabbitOwner`. What was sent is held meanwhile."""
        was_blocked, self._blocked = bool(self._blocked), reason
        if reason and not was_blocked:
            self._context.event("integration.trouble", reason, "warning")
        if was_blocked and not reason:
            self._context.available()

    def _came_back(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        """No queue took a message; its confirmation follows."""
        self._client.progress()
        seq = self._numbers.get(properties.message_id)
        if seq is not None:
            self._returned[seq] = f"no queue takes it: {method.reply_text}"

    def _confirmed(self, frame: Any) -> None:
        """The broker has messages, or refuses them (Basic.Ack, Basic.Nack)."""
        self._client.progress()
        method = frame.method
        tag, unconfirmed = method.delivery_tag, self._unconfirmed
        if method.multiple:
            tags = []
            for each in unconfirmed:
                if each > tag:
                    break
                tags.append(each)
        else:
            tags = [tag] if tag in unconfirmed else []
        seqs = [unconfirmed.pop(each) for each in tags]
        if len(self._numbers) > 2 * len(unconfirmed) + 1000:
            left = set(unconfirmed.values())
            self._numbers = {key: seq for key, seq in self._numbers.items() if seq in left}
        if method.NAME == "Basic.Nack":
            self._settles.report(seqs, Retry("the broker refuses it (Basic.Nack): a queue is full, or fails"))
            return
        refused = [seq for seq in seqs if seq in self._returned] if self._returned else []
        for seq in refused:
            self._settles.report([seq], Retry(self._returned.pop(seq)))
        self._settles.report(seqs, DELIVERED)


def look_for_exchange(channel: Any, exchange: str, then: Callable[..., None]) -> None:
    """Call ``then`` if an exchange is there; otherwise the broker closes the channel."""
    if exchange:
        channel.exchange_declare(exchange, passive=True, callback=then)
    else:
        then()


class _Knock:
    """A connection that ends when it is up."""

    def __init__(self, settings: RabbitSettings, endpoint: Any, reactor: IReactor) -> None:
        self._settings = settings
        self._first: Deferred[str] = Deferred()
        self._first.addTimeout(CHECK, reactor, lambda _, after: f"no connection within {after:g} s")
        self._client = RabbitClient(reactor, settings, endpoint, lambda failures: CHECK, self)

    def run(self) -> Deferred[dict[str, Any]]:
        """The answer of a check."""
        self._client.start()
        return self._first.addCallback(self._end)

    def _end(self, problem: str) -> Deferred[dict[str, Any]]:
        answer = {"ok": not problem, "detail": problem or "connected"}
        return self._client.stop().addCallback(lambda _: answer)

    def _tell(self, problem: str) -> None:
        if not self._first.called:
            self._first.callback(problem)

    def set_up(self, channel: Any, ready: Callable[[], None]) -> None:
        """See `RabbitOwner`."""
        look_for_exchange(channel, self._settings.exchange, lambda *_: ready())

    def on_up(self) -> None:
        """See `RabbitOwner`."""
        self._tell("")

    def on_lost(self, reason: str) -> None:
        """See `RabbitOwner`."""
        self._tell(reason)

    def on_blocked(self, reason: str) -> None:
        """See `RabbitOwner`."""


@implementer(IIntegrationType)
class RabbitType:
    """The type ``rabbitmq``; see `RabbitSettings`."""

    name = "rabbitmq"
    settings = RabbitSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: RabbitSettings, context: IntegrationContext) -> RabbitTarget:
        """A target; raises SettingsError, also where the package pika is missing."""
        return RabbitTarget(settings, context, self._connector)
