"""Amazon SQS as a target: a message per record, up to ten in a request."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from zope.interface import implementer

from iotgw.connect.aws import LATER, is_about_messages
from iotgw.connect.endpoint import Connector
from iotgw.connect.json_api import CallProblem, Told
from iotgw.connect.sqs import MOST, SqsApi, SqsBatch, SqsEntry, SqsPlace
from iotgw.core.model import TelemetryRecord
from iotgw.core.numbers import whole
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegrationType, IntegrationContext
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Rejected, Retry, Unavailable, Verdict
from iotgw.integrations import payload
from iotgw.integrations.cloud_target import CloudMessage, CloudTarget, Concurrency, Timeout
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.template import Template, TemplateFailed

LONGEST_GROUP = 128
"""Characters of a message group or of a deduplication id (Amazon SQS API reference, "SendMessage")."""
_NO_GROUP = re.compile(r"[^!-~]")
_NO_TEXT = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no message may have: SQS takes XML 1.0's characters only."""
AROUND = 256
"""Bytes that are added for a message's attributes."""


class SqsSettings(SqsPlace, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Amazon SQS: one message per record."""

    group: Annotated[
        str,
        Meta(
            description="A template, for FIFO queues only: the message group. Messages of one group stay in order. Characters that "
            "SQS doesn't take become `_`."
        ),
    ] = "{{ deviceName }}"
    body: Annotated[
        Literal["text", "base64"],
        Meta(description="`base64` is for formats that aren't text; SQS takes nothing else."),
    ] = "text"
    largest: Annotated[
        int,
        Meta(
            ge=1024,
            le=1 << 20,
            description="Bytes that the queue takes, of a message and of a request alike (`MaximumMessageSize`).",
        ),
    ] = 256 << 10
    concurrency: Concurrency = 8
    timeout: Timeout = 30.0


class SqsService:
    """A queue that takes messages; an `iotgw.integrations.cloud_target.CloudService`."""

    most = MOST

    def __init__(self, settings: SqsSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self.largest = settings.largest
        self.address = settings.queue_url
        self.api = SqsApi(
            context.reactor, connector, settings, context.date, connections=settings.concurrency,
            timeout=settings.timeout,
        )  # fmt: skip
        names = RecordNames(context.epochs, context.datasource_name)
        self._key = names.key
        self._payload = payload.formatter(context.spec, names, context.warn)
        self._group = Template(settings.group, "configuration.group", names) if settings.is_fifo else None

    def message(self, record: TelemetryRecord) -> CloudMessage | Rejected:
        """See `CloudService.message`."""
        try:
            body = self._payload(record)
            group = self._group.text(record) if self._group is not None else ""
        except TemplateFailed as error:
            return Rejected(str(error))
        text = base64.b64encode(body).decode() if self._settings.body == "base64" else _text(body)
        if text is None:
            return Rejected("it is no text that SQS takes; set body to base64")
        size = len(text.encode()) + AROUND
        if size > self.largest:
            return Rejected(f"{size} bytes with its attributes; the setting largest allows {self.largest}")
        key = self._key(record)
        said = {"iotgw-key": key, "device": record.device_name}
        entry: dict[str, Any] = {
            "MessageBody": text,
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in said.items() if _text(value.encode())
            },
        }  # fmt: skip
        if self._group is not None:
            entry["MessageGroupId"] = (_NO_GROUP.sub("_", group) or "_")[:LONGEST_GROUP]
            entry["MessageDeduplicationId"] = key[-LONGEST_GROUP:]
        return CloudMessage(entry, size)

    def post(self, entries: list[dict[str, Any]], told: Told) -> None:
        """See `CloudService.post`."""
        numbered = [{"Id": str(number), **entry} for number, entry in enumerate(entries)]
        self.api.do("SendMessageBatch", told, SqsBatch, Entries=numbered)

    def verdicts(self, answer: SqsBatch, count: int) -> list[Verdict]:
        """See `CloudService.verdicts`: a message that the answer doesn't name is sent again."""
        verdicts: list[Verdict] = [Unavailable("the queue's answer doesn't name it")] * count
        for number, _ in _numbered(answer.successful, count):
            verdicts[number] = DELIVERED
        for number, each in _numbered(answer.failed, count):
            reason = f"{each.code}: {each.message or ''}"[:300]
            is_ours = each.sender_fault and each.code not in LATER
            verdicts[number] = Retry(reason) if is_ours else Unavailable(reason)
        return verdicts

    def is_about_messages(self, problem: CallProblem) -> bool:
        """See `CloudService.is_about_messages`."""
        return is_about_messages(problem)

    def look(self, told: Told) -> None:
        """See `CloudService.look`."""
        self.api.do("GetQueueAttributes", told, AttributeNames=["QueueArn"])


def _text(body: bytes) -> str | None:
    """A body as SQS takes it; None if it doesn't."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if not text or _NO_TEXT.search(text) else text


def _numbered(entries: list[SqsEntry] | None, count: int) -> list[tuple[int, SqsEntry]]:
    """The entries with the numbers that they have in the request."""
    found = ((whole(each.id), each) for each in entries or ())
    return [(number, each) for number, each in found if number is not None and number < count]


@implementer(IIntegrationType)
class SqsType:
    """The type ``aws-sqs``; see `SqsSettings`."""

    name = "aws-sqs"
    settings: type[Struct] = SqsSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: SqsSettings, context: IntegrationContext) -> CloudTarget:
        """A target; raises SettingsError."""
        return CloudTarget(SqsService(settings, context, self._connector), context)
