"""An `IPipeline` that a test controls, and a listener that records its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.errors import NotFound
from iotgw.core.model import STORED, Answer, Message, Metadata, Outcome, State, StoredUplink, TelemetryRecord
from iotgw.core.ports.datasources import IDatasource
from iotgw.core.ports.journal import Entries
from iotgw.core.ports.pipeline import IArrivals, IPipeline, Room, UplinkListener


@implementer(IArrivals)
class FakeArrivals:
    """Nothing is under way; whoever waits lets ``settles`` happen, called with the tenant."""

    def __init__(self) -> None:
        self.settles: Callable[[str], None] = lambda tenant: None

    async def settled(self, tenant: str) -> None:
        """See `IArrivals.settled`."""
        self.settles(tenant)


@implementer(IPipeline)
class FakePipeline:
    """The running datasources as a test plays them: ``statuses`` and ``names`` are by id."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.statuses: dict[str, dict[str, Any]] = {}
        self.running: dict[str, IDatasource] = {}
        self.has_room = Room()
        """What `room` says."""
        self.awaited: list[str] = []
        """The ids that `applied` was asked about."""
        self.reprocessed: list[Message] = []
        self.released: list[tuple[int, str, bool]] = []
        """What `release` was called with, of messages their positions."""
        self.injected: list[tuple[str, bytes, Metadata]] = []
        self.answers: Callable[[bytes], Answer] = lambda payload: STORED
        """What `inject` is answered."""
        self.converts: Callable[[Message], State] = lambda message: State.CONVERTED
        """What becomes of a message by `reprocess`."""
        self.missing: set[str] = set()
        """Datasources that are gone."""

    def room(self) -> Room:
        """See `IPipeline.room`."""
        return self.has_room

    def applied(self, id: str) -> Deferred[None]:
        """See `IPipeline.applied`."""
        self.awaited.append(id)
        return succeed(None)

    def status(self, id: str) -> dict[str, Any]:
        """See `IPipeline.status`."""
        return self.statuses.get(id, {"state": "stopped"})

    def datasource_name(self, id: str) -> str:
        """See `IPipeline.datasource_name`."""
        return self.names.get(id, id)

    def datasource(self, id: str) -> IDatasource | None:
        """See `IPipeline.datasource`."""
        return self.running.get(id)

    async def reprocess(self, message: Message) -> State:
        """See `IPipeline.reprocess`."""
        if message.uplink.datasource in self.missing:
            raise NotFound("the message's datasource is gone")
        self.reprocessed.append(message)
        return self.converts(message)

    async def release(self, message: Message, device: str, is_dropped: bool) -> State:
        """See `IPipeline.release`."""
        if message.uplink.datasource in self.missing:
            raise NotFound("the message's datasource is gone")
        self.released.append((message.seq, device, is_dropped))
        return State.FILTERED if is_dropped else State.CONVERTED

    async def inject(self, id: str, payload: bytes, metadata: Metadata) -> Answer:
        """See `IPipeline.inject`."""
        if id in self.missing:
            raise NotFound(f"there is no running datasource {id!r}")
        self.injected.append((id, payload, metadata))
        return self.answers(payload)


class HeardUplinks(UplinkListener):
    """A listener of the pipeline that records its calls; ``calls`` are their names in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.entries: Entries = []
        self.lost: Entries = []
        self.outcomes: list[Outcome] = []
        self.records: list[TelemetryRecord] = []

    def storing(self, datasource: str, uplinks: list[StoredUplink]) -> None:
        """See `UplinkListener.storing`."""
        self.calls.append("storing")

    def stored(self, datasource: str, entries: Entries) -> None:
        """See `UplinkListener.stored`."""
        self.calls.append("stored")
        self.entries += entries

    def refused(self, datasource: str, entries: Entries, reason: str) -> None:
        """See `UplinkListener.refused`."""
        self.calls.append("refused")
        self.lost += entries

    def converted(self, outcomes: list[Outcome]) -> None:
        """See `UplinkListener.converted`."""
        self.calls.append("converted")

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """See `UplinkListener.settled`."""
        self.calls.append("settled")
        self.outcomes += outcomes
        self.records += records
