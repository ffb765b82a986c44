"""A queue of Amazon SQS: each message is deleted when it is durable, and hidden from others until then.

Requests wait at the queue for messages (long polling). What isn't deleted when its visibility timeout ends comes again, and is
known by its message id. Of a FIFO queue's group the messages are deleted in order, so that one that comes again comes before
those after it.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.connect.json_api import CallProblem
from iotgw.connect.sqs import MOST, SqsApi, SqsMessage, SqsReceived
from iotgw.core.expressions.functions import decode_base64
from iotgw.core.model import Metadata
from iotgw.core.names import unfit
from iotgw.core.numbers import whole
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IVouches
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.leased import Leases
from iotgw.datasources.polling import Came, Polling
from iotgw.datasources.pulled import Uplink
from iotgw.datasources.pulled_source import MOST_HEADERS, PATIENCE, PulledSource
from iotgw.datasources.sqs.settings import SqsSourceSettings
from iotgw.datasources.sqs.telling import SqsTelling

SLACK = 10.0
"""Seconds that an answer may take longer than a request waits at the queue."""
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


@implementer(IDatasource)
class SqsDatasource(PulledSource[SqsSourceSettings]):
    """A queue that is read."""

    def __init__(
        self, settings: SqsSourceSettings, context: DatasourceContext, connector: IConnector
    ) -> None:
        super().__init__(settings, context)

        def date() -> float:
            return context.date_ms() / 1000

        # reading waits at the queue, so what is durable is deleted on connections of its own
        timeout = settings.wait + SLACK
        self._reading = SqsApi(
            context.reactor, connector, settings, date, connections=settings.requests, timeout=timeout
        )
        self._side = SqsApi(context.reactor, connector, settings, date, connections=4, timeout=SLACK)
        self._telling = SqsTelling(self._side, self._counts)
        self._polling = Polling(self._clock, self._ask, settings.requests, backoffPolicy(1.0, 60.0))
        self._leases = Leases(
            self._intake, self._clock, settings.visibility, settings.window, self._pause, self._polling.resume,
            self._telling.delete, self._extend,
        )  # fmt: skip

    # --- IDatasource ---

    def start(self) -> Deferred[None]:
        """Ask in the background, with retries while the queue doesn't answer."""
        return self._intake.recall().addCallback(self._begin)

    def _begin(self, _: None) -> None:
        if not self._is_stopped:
            self._polling.start()

    def stop(self) -> Deferred[None]:
        """Delete what is durable, show the other messages to others at once, and disconnect."""
        self._is_stopped = True
        self._contact.ends()
        self._polling.stop()
        closed = self._leases.close().addTimeout(PATIENCE, self._clock, lambda _, after: self._leases.end())
        return closed.addCallback(self._leave)

    def _leave(self, handles: list[str]) -> Deferred[None]:
        self._telling.hide(handles, 0)
        quiet = self._telling.quiet().addTimeout(PATIENCE, self._clock, lambda _, after: None)
        quiet.addCallback(lambda _: self._reading.close())
        return quiet.addCallback(lambda _: self._side.close()).addCallback(lambda _: None)

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`. ``unsettled`` are messages that the gateway has and hasn't deleted."""
        return {
            "state": self._contact.state,
            "address": self._settings.queue_url,
            "unsettled": len(self._leases),
            **({"waitsForRoom": True} if self._leases.is_paused else {}),
            **self._contact.shown(),
            **self._counts,
        }

    # --- reading ---

    def _pause(self) -> None:
        self._paused()
        self._polling.pause()

    def _extend(self, handles: list[str]) -> None:
        self._counts["extended"] += len(handles)
        self._telling.hide(handles, self._settings.visibility)

    def _ask(self, came: Came) -> None:
        asked = self._clock.seconds()

        def told(answer: Any, problem: CallProblem | None) -> None:
            if problem is not None:
                self._failed(problem)
                came(-1)
                return
            self._contact.works(f"reading {self._settings.queue_url}")
            messages: list[SqsMessage] = answer.messages or []
            for message in messages:
                self._take(message, asked)
            came(len(messages))

        self._reading.call(
            "ReceiveMessage", told, SqsReceived, MaxNumberOfMessages=MOST, WaitTimeSeconds=self._settings.wait,
            VisibilityTimeout=self._settings.visibility, MessageSystemAttributeNames=["All"], AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )  # fmt: skip

    def _failed(self, problem: CallProblem) -> None:
        self._contact.fails(problem.reason)
        if problem.after is not None:
            self._polling.not_before = self._clock.seconds() + problem.after

    def _take(self, message: SqsMessage, asked: float) -> None:
        if self._is_stopped:
            self._telling.hide([message.receipt_handle], 0)
            return
        lane = message.attributes.get("MessageGroupId", "") if self._settings.is_fifo else ""
        self._leases.take(message.receipt_handle, lane, asked, self._uplinks(message))

    def _uplinks(self, message: SqsMessage) -> list[Uplink]:
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
        if settings.body == "text":
            return self._messages.uplinks(message.body.encode(), known, device, id)
        payload = decode_base64(message.body)
        if payload is None:
            return self._messages.malformed(message.body.encode(), known, device, id, "its body is no base64")
        return self._messages.uplinks(payload, known, device, id)
