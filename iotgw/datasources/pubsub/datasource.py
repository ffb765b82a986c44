"""A subscription of Google Pub/Sub that is pulled: each message is acknowledged when it is durable.

What isn't acknowledged by its deadline comes again, and is known by its message id. Of an ordering key the messages are
acknowledged in order, since Pub/Sub sends those after the first unacknowledged one again.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.connect.json_api import CallProblem
from iotgw.connect.pubsub import PubsubApi, PubsubPulled, PubsubReceived
from iotgw.core.model import Metadata
from iotgw.core.names import unfit
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IVouches
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.leased import Leases
from iotgw.datasources.polling import Came, Polling
from iotgw.datasources.pubsub.settings import PubsubSourceSettings
from iotgw.datasources.pubsub.telling import PubsubTelling
from iotgw.datasources.pulled import Uplink
from iotgw.datasources.pulled_source import MOST_HEADERS, PATIENCE, PulledSource

DEADLINE = 10
"""Seconds in which any subscription waits for an acknowledgement, at least (``ackDeadlineSeconds``)."""
LONGER = 20
"""Seconds that the gateway asks for where it needs more."""
HOLDS = 100.0
"""Seconds after which a request without messages is given up; Pub/Sub answers before."""
TIMEOUT = 20.0
"""Seconds for other requests."""


@implementer(IVouches)
class PubsubSourceType:
    """The ``google-pubsub`` datasources of a gateway."""

    name = "google-pubsub"
    settings = PubsubSourceSettings

    def __init__(self, reactor: IReactor, connector: IConnector) -> None:
        self._connector = connector

    def build(self, settings: PubsubSourceSettings, context: DatasourceContext) -> PubsubDatasource:
        """See `IDatasourceType.build`. Raises SettingsError, also where the package google-auth is missing."""
        return PubsubDatasource(settings, context, self._connector)

    def vouches(self, settings: Any) -> bool:
        """See `IVouches.vouches`: a topic's policy says who may publish to it."""
        return True


@implementer(IDatasource)
class PubsubDatasource(PulledSource[PubsubSourceSettings]):
    """A subscription that is pulled."""

    def __init__(
        self, settings: PubsubSourceSettings, context: DatasourceContext, connector: IConnector
    ) -> None:
        super().__init__(settings, context)

        def date() -> float:
            return context.date_ms() / 1000

        resource = f"subscriptions/{settings.subscription}"
        self._address = f"{settings.url}/v1/projects/{settings.project}/{resource}"
        self._reading = PubsubApi(
            context.reactor, connector, settings, resource, date, connections=settings.requests, timeout=HOLDS
        )
        self._side = PubsubApi(
            context.reactor, connector, settings, resource, date, connections=4, timeout=TIMEOUT
        )
        self._telling = PubsubTelling(self._side, self._counts)
        self._polling = Polling(self._clock, self._ask, settings.requests, backoffPolicy(1.0, 60.0))
        self._leases = Leases(
            self._intake, self._clock, DEADLINE, settings.window, self._pause, self._polling.resume,
            self._telling.acknowledge, self._extend,
        )  # fmt: skip

    # --- IDatasource ---

    def start(self) -> Deferred[None]:
        """Ask in the background, with retries while the subscription doesn't answer."""
        return self._intake.recall().addCallback(self._begin)

    def _begin(self, _: None) -> None:
        if not self._is_stopped:
            self._polling.start()

    def stop(self) -> Deferred[None]:
        """Acknowledge what is durable, leave the other messages to others at once, and disconnect."""
        self._is_stopped = True
        self._contact.ends()
        self._polling.stop()
        closed = self._leases.close().addTimeout(PATIENCE, self._clock, lambda _, after: self._leases.end())
        return closed.addCallback(self._leave)

    def _leave(self, ids: list[str]) -> Deferred[None]:
        self._telling.lend(ids, 0)
        quiet = self._telling.quiet().addTimeout(PATIENCE, self._clock, lambda _, after: None)
        quiet.addCallback(lambda _: self._reading.close())
        return quiet.addCallback(lambda _: self._side.close()).addCallback(lambda _: None)

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`. ``unsettled`` are messages that the gateway has and hasn't
        acknowledged."""
        return {
            "state": self._contact.state,
            "address": self._address,
            "unsettled": len(self._leases),
            **({"waitsForRoom": True} if self._leases.is_paused else {}),
            **self._contact.shown(),
            **self._counts,
        }

    # --- messages ---

    def _pause(self) -> None:
        self._paused()
        self._polling.pause()

    def _extend(self, ids: list[str]) -> None:
        self._counts["extended"] += len(ids)
        self._telling.lend(ids, LONGER)

    def _ask(self, came: Came) -> None:
        def told(answer: Any, problem: CallProblem | None) -> None:
            if problem is not None:
                self._failed(problem)
                came(-1)
                return
            self._contact.works(f"reading {self._address}")
            received: list[PubsubReceived] = answer.received_messages
            for each in received:
                self._take(each)
            came(len(received))

        self._reading.call("pull", {"maxMessages": self._settings.batch}, told, PubsubPulled)

    def _failed(self, problem: CallProblem) -> None:
        self._contact.fails(problem.reason)
        if problem.after is not None:
            self._polling.not_before = self._clock.seconds() + problem.after

    def _take(self, received: PubsubReceived) -> None:
        if self._is_stopped:
            self._telling.lend([received.ack_id], 0)
            return
        lane = received.message.ordering_key
        self._leases.take(received.ack_id, lane, self._clock.seconds(), self._uplinks(received))

    def _uplinks(self, received: PubsubReceived) -> list[Uplink]:
        settings, message = self._settings, received.message
        known: Metadata = {
            "protocol": "google-pubsub", "subscription": settings.subscription, "messageId": message.message_id,
        }  # fmt: skip
        for name, value in (
            ("publishTime", message.publish_time), ("orderingKey", message.ordering_key),
            ("deliveryAttempt", received.delivery_attempt),
        ):  # fmt: skip
            if value:
                known[name] = value
        device = message.ordering_key if settings.key_is_device else ""
        for name, value in islice(message.attributes.items(), MOST_HEADERS):
            if name == settings.device_attribute and value:
                device = value
            if self._may_show(name):
                known[f"Header:{name}"] = value
        return self._messages.uplinks(
            message.data, known, "" if unfit(device) else device, message.message_id, message.ordering_key
        )
