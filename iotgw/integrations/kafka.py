"""Kafka as a target: a message per record, held until the brokers have reported that all replicas have it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.endpoint import Connector, in_words
from iotgw.connect.kafka_access import KafkaAccess, KafkaClient
from iotgw.connect.kafka_writer import Blame, Compression, KafkaWriter, Outgoing
from iotgw.core.backoff import Backoff
from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext, Settle
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Rejected, Retry, Unavailable
from iotgw.integrations import payload, trial
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.settles import Settles
from iotgw.integrations.template import Template, TemplateFailed

LONGEST_TOPIC = 249
"""Characters (org.apache.kafka.common.internals.Topic)."""
NO_TOPIC = re.compile(r"[^A-Za-z0-9._-]")
LARGEST = 1_000_000
"""Bytes of a message, unless a user says otherwise; brokers take 1,048,588 with its batch around it."""
CHECK = 30.0
"""Seconds for a check."""


class KafkaSettings(KafkaAccess, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Kafka: one message per record, with ``acks=all`` and an idempotent producer."""

    topic: Annotated[
        str,
        Meta(description="A template. In values that are inserted, what Kafka takes in no name becomes `_`."),
    ] = "iotgw"
    key: Annotated[
        str,
        Meta(
            description="A template. Messages with the same key are in one partition, and stay in order; empty is any partition."
        ),
    ] = "{{ deviceName }}"
    compression: Annotated[
        Compression, Meta(description="Of whole batches; all but `gzip` need the package cramjam.")
    ] = "none"
    largest: Annotated[
        int,
        Meta(
            ge=1, le=100_000_000, description="Bytes of a message that the topics take (`max.message.bytes`)."
        ),
    ] = LARGEST
    delivery_timeout: Annotated[
        float,
        Meta(
            ge=1,
            le=3600,
            description="Seconds without a report on a message after which the connection is given up, and the message sent again.",
        ),
    ] = 30.0
    window: Annotated[int, Meta(ge=1, le=100_000, description="Messages in flight.")] = 5000

    def __post_init__(self) -> None:
        """Refuse brokers that are none."""
        self.check_brokers()


def for_topic_name(value: Any) -> str:
    """A value in a topic's name."""
    return NO_TOPIC.sub("_", str(value))


@implementer(IIntegration)
class KafkaTarget:
    """Writes; see `KafkaSettings`."""

    whole = False

    def __init__(self, settings: KafkaSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self._context = context
        self._settles = Settles()
        self.capacity = self.max_batch = settings.window
        names = RecordNames(context.epochs, context.datasource_name)
        self._topic = Template(settings.topic, "configuration.topic", names, for_topic_name)
        if NO_TOPIC.search(self._topic.written) or not settings.topic:
            raise SettingsError(
                "configuration.topic", "expected a topic of letters, digits, '.', '_' and '-'"
            )
        self._key = Template(settings.key, "configuration.key", names) if settings.key else None
        self._payload = payload.formatter(context.spec, names, context.warn)
        self._idempotency_key = names.key
        self._client = KafkaClient(settings, context.reactor, connector, self.on_failed)
        if settings.compression not in ("none", "gzip") and not self._client.compresses(settings.compression):
            raise SettingsError(
                "configuration.compression",
                f"{settings.compression} needs the package cramjam: pip install 'iotgw[kafka]'",
            )
        self._thread = connector.asyncio()
        self._writer = KafkaWriter(
            self._client, self, context.reactor, self._thread, Backoff(context.spec.retry).after,
            settings.compression, settings.delivery_timeout,
        )  # fmt: skip
        self._running: Deferred[None] | None = None
        self._is_up = False
        self._error = ""

    # --- IIntegration

    def start(self) -> Deferred[None]:
        """Connect in the background."""
        self._running = self._writer.run()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Disconnect."""
        self._writer.end()
        self._client.close()
        waiting: Deferred[None] = Deferred()
        if self._running is None:
            return succeed(None)
        self._running.addBoth(self._stopped).addCallback(waiting.callback)
        return waiting

    def _stopped(self, _: object) -> None:
        self._is_up = False

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Write each record."""
        if not self._is_up:
            settle([record.seq for record in records], Unavailable(self._error or "not connected yet"))
            return
        settles, made = self._settles, []
        some_are_shown = self._context.shown(records) is not None
        for record in records:
            outgoing = self._outgoing(record)
            if isinstance(outgoing, Rejected):
                settle([record.seq], outgoing)
            elif record.seq in settles:  # a test message that is in flight already
                settle([record.seq], Unavailable("it is in flight"))
            else:
                is_shown = some_are_shown and self._context.shown((record,)) is not None
                settles.put(record.seq, self._shown(record, outgoing, settle) if is_shown else settle)
                made.append(outgoing)
        if made:
            self._writer.put(made)

    def _shown(self, record: TelemetryRecord, sent: Outgoing, settle: Settle) -> Settle:
        """Settle a message, and show it."""
        headers = "".join(f"\n{name}: {trial.text(value)}" for name, value in sent.headers)
        key = f", key {trial.text(sent.key)}" if sent.key is not None else ""
        request = f"PRODUCE {sent.topic}{key}{headers}\n\n{trial.text(sent.value or b'')}"
        return trial.showing(self._context.show, record, request, "all replicas have it", settle)

    def _outgoing(self, record: TelemetryRecord) -> Outgoing | Rejected:
        try:
            topic, body = self._topic.text(record), self._payload(record)
            key = self._key.bytes(record) if self._key is not None else b""
        except TemplateFailed as error:
            return Rejected(str(error))
        if not topic or len(topic) > LONGEST_TOPIC or topic in (".", ".."):
            return Rejected(f"Kafka takes no topic {topic[:300]!r}")
        if len(body) + len(key) > self._settings.largest:
            return Rejected(f"{len(body)} bytes; the setting largest allows {self._settings.largest}")
        headers = [("idempotency-key", self._idempotency_key(record).encode())]
        return Outgoing(record.seq, topic, key or None, body, record.received_ms, headers)

    def check(self) -> Deferred[dict[str, Any]]:
        """Connect beside the running connection, authenticate, and disconnect."""

        def failed(failure: Failure) -> dict[str, Any]:
            return {"ok": False, "detail": in_words(failure)}

        checking = self._thread.run(self._client.check())
        checking.addTimeout(CHECK, self._context.reactor)
        checked: Deferred[dict[str, Any]] = checking.addCallback(lambda said: {"ok": True, "detail": said})
        return checked.addErrback(failed)

    def status(self) -> dict[str, Any]:
        """Whether it is connected, and why not."""
        return {
            "state": "connected" if self._is_up and not self._error else "connecting",
            "lastError": self._error or None,
            "unreported": len(self._settles),
        }

    # --- KafkaWriterOwner

    def on_ready(self) -> None:
        """See `KafkaWriterOwner`."""
        if not self._is_up:
            self._context.event("integration.connected", "connected to the brokers", "info")
        self._is_up, self._error = True, ""
        self._context.available()

    def on_failed(self, reason: str) -> None:
        """See `KafkaWriterOwner`. What was sent is held meanwhile."""
        self._error = reason

    def on_delivered(self, numbers: Sequence[int]) -> None:
        """See `KafkaWriterOwner`."""
        self._error = ""
        self._settles.report(numbers, DELIVERED)

    def on_refused(self, numbers: Sequence[int], blame: Blame, reason: str) -> None:
        """See `KafkaWriterOwner`."""
        if blame == "brokers":
            self._is_up, self._error = False, reason
            self._settles.report(numbers, Unavailable(reason))
        else:
            self._settles.report(numbers, Rejected(reason) if blame == "message" else Retry(reason))


@implementer(IIntegrationType)
class KafkaType:
    """The type ``kafka``; see `KafkaSettings`."""

    name = "kafka"
    settings: type[Struct] = KafkaSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: KafkaSettings, context: IntegrationContext) -> KafkaTarget:
        """A target; raises SettingsError, also where the package aiokafka is missing."""
        return KafkaTarget(settings, context, self._connector)
