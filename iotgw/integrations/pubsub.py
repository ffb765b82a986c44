"""Google Pub/Sub as a target: a message per record, many in a request."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct
from zope.interface import implementer

from iotgw.connect.endpoint import Connector
from iotgw.connect.json_api import CallProblem, Told
from iotgw.connect.pubsub import PubsubApi, PubsubPlace, PubsubPublished, check_resource
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegrationType, IntegrationContext
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Rejected, Unavailable, Verdict
from iotgw.integrations import payload
from iotgw.integrations.cloud_target import CloudMessage, CloudTarget, Concurrency, Timeout
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.template import Template, TemplateFailed

LONGEST_KEY = 1024
"""Bytes of an ordering key (Pub/Sub, "Quotas and limits")."""
LARGEST = 10_000_000
"""Bytes of a request, base64 and all (Pub/Sub, "Quotas and limits")."""
AROUND = 512
"""Bytes that are added for a message's attributes."""


class PubsubSettings(PubsubPlace, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Google Pub/Sub: one message per record."""

    topic: Annotated[str, Meta(description="The topic's name; it must be there.")]
    ordering_key: Annotated[
        str,
        Meta(
            description="A template. Subscriptions with message ordering hand out messages of one key in order; empty is none."
        ),
    ] = "{{ deviceName }}"
    batch_size: Annotated[int, Meta(ge=1, le=1000, description="Messages in a request, at most.")] = 500
    concurrency: Concurrency = 8
    timeout: Timeout = 30.0

    def __post_init__(self) -> None:
        """Refuse what is no topic."""
        PubsubPlace.__post_init__(self)
        check_resource("topic", self.topic)


class PubsubService:
    """A topic that takes messages; an `iotgw.integrations.cloud_target.CloudService`."""

    largest = LARGEST

    def __init__(self, settings: PubsubSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self.most = settings.batch_size
        self.address = f"projects/{settings.project}/topics/{settings.topic}"
        self.api = PubsubApi(
            context.reactor, connector, settings, f"topics/{settings.topic}", context.date,
            connections=settings.concurrency, timeout=settings.timeout,
        )  # fmt: skip
        names = RecordNames(context.epochs, context.datasource_name)
        self._key = names.key
        self._payload = payload.formatter(context.spec, names, context.warn)
        template = settings.ordering_key
        self._ordering = Template(template, "configuration.orderingKey", names) if template else None

    def message(self, record: TelemetryRecord) -> CloudMessage | Rejected:
        """See `CloudService.message`."""
        try:
            body = self._payload(record)
            ordering = self._ordering.text(record) if self._ordering is not None else ""
        except TemplateFailed as error:
            return Rejected(str(error))
        if len(ordering.encode()) > LONGEST_KEY:
            return Rejected(f"an ordering key of {len(ordering.encode())} bytes; Pub/Sub takes {LONGEST_KEY}")
        data = base64.b64encode(body).decode()
        size = len(data) + len(ordering.encode()) + AROUND
        if size > LARGEST:
            return Rejected(f"{size} bytes as base64; Pub/Sub takes {LARGEST}")
        entry = {"data": data, "attributes": {"iotgw-key": self._key(record), "device": record.device_name}}
        return CloudMessage(entry | ({"orderingKey": ordering} if ordering else {}), size)

    def post(self, entries: list[dict[str, Any]], told: Told) -> None:
        """See `CloudService.post`."""
        self.api.do("publish", {"messages": entries}, told, PubsubPublished)

    def verdicts(self, answer: PubsubPublished, count: int) -> list[Verdict]:
        """See `CloudService.verdicts`: a request is taken as a whole."""
        if len(answer.message_ids) != count:
            return [Unavailable(f"the answer names {len(answer.message_ids)} of {count} messages")] * count
        return [DELIVERED] * count

    def is_about_messages(self, problem: CallProblem) -> bool:
        """See `CloudService.is_about_messages`."""
        return problem.status == 413 or (problem.status == 400 and problem.code == "INVALID_ARGUMENT")

    def look(self, told: Told) -> None:
        """See `CloudService.look`."""
        self.api.get(told)


@implementer(IIntegrationType)
class PubsubType:
    """The type ``google-pubsub``; see `PubsubSettings`."""

    name = "google-pubsub"
    settings: type[Struct] = PubsubSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: PubsubSettings, context: IntegrationContext) -> CloudTarget:
        """A target; raises SettingsError, also where the package google-auth is missing."""
        return CloudTarget(PubsubService(settings, context, self._connector), context)
