"""A queue of Amazon SQS: each message is deleted when it is durable, and hidden from others until then.

Requests wait at the queue for messages (long polling). What isn't deleted when its visibility timeout ends comes again, and is
known by its message id. Of a FIFO queue's group the messages are deleted in order, so that one that comes again comes before
those after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from zope.interface import implementer

from iotgw.connect.json_api import Told
from iotgw.connect.sqs import MOST, SqsApi, SqsMessage, SqsReceived
from iotgw.core.expressions.functions import decode_base64
from iotgw.core.model import Metadata
from iotgw.core.names import unfit
from iotgw.core.numbers import whole
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IVouches
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.leased_source import SIDE_CONNECTIONS, LeasedSource
from iotgw.datasources.pulled import Found
from iotgw.datasources.pulled_source import MOST_HEADERS
from iotgw.datasources.sqs.settings import SqsSourceSettings
from iotgw.datasources.sqs.telling import SqsTelling

SLACK = 10.0
"""Seconds that an answer may take longer than a request waits at the queue."""
MANY = MOST // 2
"""Messages in an answer that call for more requests at once. Where there are fewer, more requests would only share them."""
FACTS = {
    "SentTimestamp": "timestamp", "ApproximateReceiveCount": "receiveCount",
    "ApproximateFirstReceiveTimestamp": "firstReceived",
}  # fmt: skip
"""Numbers that the queue says of a message, and what they are called in its metadata."""


@implementer(IVouches)
class SqsSourceType:
    """The ``aws-sqs`` datasources of a gateway."""

    name = "aws-sqs"
    settings = SqsSourceSettings

    def __init__(self, reactor: IReactor, connector: IConnector) -> None:
        self._connector = connector

    def build(self, settings: SqsSourceSettings, context: DatasourceContext) -> SqsDatasource:
        """See `IDatasourceType.build`."""
        return SqsDatasource(settings, context, self._connector)

    def vouches(self, settings: Any) -> bool:
        """See `IVouches.vouches`: a queue's policy says who may send to it."""
        return True


class SqsDatasource(LeasedSource[SqsSourceSettings]):
    """A queue that is read."""

    def __init__(
        self, settings: SqsSourceSettings, context: DatasourceContext, connector: IConnector
    ) -> None:
        def date() -> float:
            return context.date_ms() / 1000

        timeout = settings.wait + SLACK
        self._reading = SqsApi(
            context.reactor, connector, settings, date, connections=settings.requests, timeout=timeout
        )
        self._side = SqsApi(
            context.reactor, connector, settings, date, connections=SIDE_CONNECTIONS, timeout=SLACK
        )
        lent = settings.visibility
        super().__init__(settings, context, settings.queue_url, self._reading, self._side, lent, lent, MANY)

    def telling(self) -> SqsTelling:
        """See `LeasedSource.telling`."""
        return SqsTelling(self._side, self._counts)

    def ask(self, told: Told) -> None:
        """See `LeasedSource.ask`."""
        self._reading.do(
            "ReceiveMessage", told, SqsReceived, MaxNumberOfMessages=MOST, WaitTimeSeconds=self._settings.wait,
            VisibilityTimeout=self._settings.visibility, MessageSystemAttributeNames=["All"], AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )  # fmt: skip

    def take(self, answer: SqsReceived, asked: float) -> int:
        """See `LeasedSource.take`."""
        messages = answer.messages or []
        for message in messages:
            self._take(message, asked)
        return len(messages)

    def _take(self, message: SqsMessage, asked: float) -> None:
        if self._is_stopped:
            self._telling.lend([message.receipt_handle], 0)
            return
        lane = message.attributes.get("MessageGroupId", "") if self._settings.is_fifo else ""
        self._leases.take(message.receipt_handle, lane, asked, self._uplinks(message))

    def _uplinks(self, message: SqsMessage) -> Iterable[Found]:
        settings, id = self._settings, message.message_id
        known: Metadata = {
            "protocol": "aws-sqs",
            "queue": settings.queue_url.rpartition("/")[2],
            "messageId": id,
        }
        for name, ours in FACTS.items():
            if (number := whole(message.attributes.get(name, ""))) is not None:
                known[ours] = number
        group = message.attributes.get("MessageGroupId", "")
        for ours, text in (
            ("messageGroup", group),
            ("sequenceNumber", message.attributes.get("SequenceNumber", "")),
        ):
            if text:
                known[ours] = text
        device = group if settings.is_fifo and settings.group_is_device else ""
        for name, value in islice(message.message_attributes.items(), MOST_HEADERS):
            if name == settings.device_attribute and value.text:
                device = value.text
            if self._may_show(name):
                known[f"Header:{name}"] = value.text
        device = "" if unfit(device) else device
        said = {name: value.text for name, value in message.message_attributes.items()}
        if settings.body == "text":
            return self._messages.uplinks(message.body.encode(), known, device, id, attributes=said)
        payload = decode_base64(message.body)
        if payload is None:
            return self._messages.malformed(message.body.encode(), known, device, id, "its body is no base64")
        return self._messages.uplinks(payload, known, device, id, attributes=said)
