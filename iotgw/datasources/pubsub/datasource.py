"""A subscription of Google Pub/Sub that is pulled: each message is acknowledged when it is durable.

What isn't acknowledged by its deadline comes again, and is known by its message id. Of an ordering key the messages are
acknowledged in order, since Pub/Sub sends those after the first unacknowledged one again.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from iotgw.connect.json_api import Told
from iotgw.connect.pubsub import PubsubApi, PubsubPulled, PubsubReceived
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IVouches
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.leased_source import SIDE_CONNECTIONS, LeasedSource
from iotgw.datasources.pubsub.reader import PubsubReader
from iotgw.datasources.pubsub.settings import PubsubSourceSettings
from iotgw.datasources.pubsub.telling import PubsubTelling

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


class PubsubDatasource(LeasedSource[PubsubSourceSettings]):
    """A subscription that is pulled."""

    def __init__(
        self, settings: PubsubSourceSettings, context: DatasourceContext, connector: IConnector
    ) -> None:
        def date() -> float:
            return context.date_ms() / 1000

        resource = f"subscriptions/{settings.subscription}"
        self._reading = PubsubApi(
            context.reactor, connector, settings, resource, date, connections=settings.requests, timeout=HOLDS
        )
        self._side = PubsubApi(
            context.reactor,
            connector,
            settings,
            resource,
            date,
            connections=SIDE_CONNECTIONS,
            timeout=TIMEOUT,
        )
        address = f"{settings.url}/v1/projects/{settings.project}/{resource}"
        super().__init__(settings, context, address, self._reading, self._side, DEADLINE, LONGER)
        self._reader = PubsubReader(settings, settings.device_attribute, self._messages, self._may_show)

    def telling(self) -> PubsubTelling:
        """See `LeasedSource.telling`."""
        return PubsubTelling(self._side, self._counts)

    def ask(self, told: Told) -> None:
        """See `LeasedSource.ask`."""
        self._reading.do("pull", {"maxMessages": self._settings.batch}, told, PubsubPulled)

    def take(self, answer: PubsubPulled, asked: float) -> int:
        """See `LeasedSource.take`. A deadline begins when Pub/Sub sends the message, not with the request."""
        for each in answer.received_messages:
            self._take(each)
        return len(answer.received_messages)

    def _take(self, received: PubsubReceived) -> None:
        if self._is_stopped:
            self._telling.lend([received.ack_id], 0)
            return
        lane = received.message.ordering_key
        uplinks = self._reader.uplinks(received.message, received.delivery_attempt)
        self._leases.take(received.ack_id, lane, self._clock.seconds(), uplinks)
