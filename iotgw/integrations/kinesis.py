"""Amazon Kinesis as a target: a record of the stream per record, up to 500 in a request."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct
from zope.interface import implementer

from iotgw.connect.aws import is_about_messages
from iotgw.connect.endpoint import Connector
from iotgw.connect.json_api import CallProblem, Told
from iotgw.connect.kinesis import KinesisApi, KinesisPlace, KinesisPuts
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegrationType, IntegrationContext
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Rejected, Unavailable, Verdict
from iotgw.integrations import payload
from iotgw.integrations.cloud_target import CloudMessage, CloudTarget, Concurrency, Timeout
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.template import Template, TemplateFailed

LONGEST_KEY = 256
"""Characters of a partition key (Kinesis API reference, "PutRecordsRequestEntry")."""
LARGEST_REQUEST = 5 << 20
"""Bytes of a request's records and keys (Kinesis API reference, "PutRecords")."""


class KinesisSettings(KinesisPlace, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Amazon Kinesis: one record per record."""

    partition_key: Annotated[
        str,
        Meta(description="A template. Records with the same key are in one shard, and stay in order."),
    ] = "{{ deviceName }}"
    largest: Annotated[
        int, Meta(ge=1024, le=10 << 20, description="Bytes of a record that the stream takes.")
    ] = 1 << 20
    batch_size: Annotated[int, Meta(ge=1, le=500, description="Records in a request, at most.")] = 500
    concurrency: Concurrency = 8
    timeout: Timeout = 30.0


class KinesisService:
    """A stream that takes records; an `iotgw.integrations.cloud_target.CloudService`."""

    largest = LARGEST_REQUEST

    def __init__(self, settings: KinesisSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self.most = settings.batch_size
        self.address = settings.name
        self.api = KinesisApi(
            context.reactor, connector, settings, context.date, connections=settings.concurrency,
            timeout=settings.timeout,
        )  # fmt: skip
        names = RecordNames(context.epochs, context.datasource_name)
        self._payload = payload.formatter(context.spec, names, context.warn)
        self._key = Template(settings.partition_key, "configuration.partitionKey", names)

    def message(self, record: TelemetryRecord) -> CloudMessage | Rejected:
        """See `CloudService.message`."""
        try:
            body, key = self._payload(record), self._key.text(record)[:LONGEST_KEY] or "-"
        except TemplateFailed as error:
            return Rejected(str(error))
        size = len(body) + len(key.encode())
        if size > self._settings.largest:
            return Rejected(f"{size} bytes with the key; the setting largest allows {self._settings.largest}")
        return CloudMessage({"Data": base64.b64encode(body).decode(), "PartitionKey": key}, size)

    def post(self, entries: list[dict[str, Any]], told: Told) -> None:
        """See `CloudService.post`."""
        self.api.put(entries, told)

    def verdicts(self, answer: KinesisPuts, count: int) -> list[Verdict]:
        """See `CloudService.verdicts`. A shard that has too much to do, or fails, charges no record."""
        verdicts: list[Verdict] = [Unavailable("the stream's answer doesn't name it")] * count
        for number, each in enumerate(answer.records[:count]):
            if each.error_code:
                verdicts[number] = Unavailable(f"{each.error_code}: {each.error_message or ''}"[:300])
            elif each.sequence_number:
                verdicts[number] = DELIVERED
        return verdicts

    def is_about_messages(self, problem: CallProblem) -> bool:
        """See `CloudService.is_about_messages`."""
        return is_about_messages(problem)

    def look(self, told: Told) -> None:
        """See `CloudService.look`."""
        self.api.describe(told)


@implementer(IIntegrationType)
class KinesisType:
    """The type ``aws-kinesis``; see `KinesisSettings`."""

    name = "aws-kinesis"
    settings: type[Struct] = KinesisSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: KinesisSettings, context: IntegrationContext) -> CloudTarget:
        """A target; raises SettingsError."""
        return CloudTarget(KinesisService(settings, context, self._connector), context)
