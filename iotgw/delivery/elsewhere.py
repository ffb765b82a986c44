"""TellsDeliveries what became of other nodes' messages, as their last commits say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from iotgw.core.model import Counters, Delivery, Message, ParkedState, TelemetryRecord
from iotgw.core.places import part_of
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import IElsewhere
from iotgw.delivery.losses import Losses
from iotgw.delivery.route import RecordRoute
from iotgw.delivery.standing import Named, Routed, Standings, TellsDeliveries, settled


class StandingsElsewhere:
    """As `iotgw.delivery.standing.Standings`, for messages that have a place."""

    def __init__(self, elsewhere: IElsewhere, clock: IReactorTime, calendar: ICalendar) -> None:
        self._elsewhere = elsewhere
        self._clock = clock
        self._calendar = calendar

    async def of(
        self, messages: Sequence[Message], integrations: Mapping[str, Routed]
    ) -> list[list[Delivery]]:
        """The deliveries of each message, sorted by name."""
        found: dict[int, list[Delivery]] = {}
        for part in {part_of(message.seq) for message in messages}:
            some = [message for message in messages if part_of(message.seq) == part]
            of_these = await self.of_part(part, some, integrations)
            found |= zip((message.seq for message in some), of_these, strict=True)
        return [found[message.seq] for message in messages]

    async def of_part(
        self, part: int, messages: Sequence[Message], integrations: Mapping[str, Routed]
    ) -> list[list[Delivery]]:
        """The same of messages of one partition."""
        progress = await self._elsewhere.progress(part)
        there: dict[str, Named] = {}
        for id, each in integrations.items():
            standing = StandingElsewhere(each.route, *progress.get(id, (0, Counters())), self._calendar)
            there[id] = _There(each.name, each.route, standing)
        return await Standings(_RowsThere(self._elsewhere, part), self._clock).of(messages, there)


class StandingElsewhere:
    """As `iotgw.delivery.standing.Standing`, by what a partition keeps of an integration: its cursor and its accounts."""

    parks = True

    def __init__(self, route: RecordRoute, cursor: int, counters: Counters, calendar: ICalendar) -> None:
        self._route = route
        self._cursor = cursor
        self._counters = counters
        self._losses = Losses(counters.lost, cursor)
        self._calendar = calendar

    def gets(self, record: TelemetryRecord) -> bool:
        """See `TellsDeliveries.gets`."""
        return record.seq > self._counters.since and self._route.match(record)

    def waiting(self, record: TelemetryRecord) -> str:
        """See `TellsDeliveries.waiting`. What is in flight there can't be told from what is queued."""
        seq, counters = record.seq, self._counters
        return "queued" if seq > self._cursor and (seq > counters.done or seq in counters.open) else ""

    def settled(self, seq: int, name: str, row: ParkedState | None) -> Delivery:
        """See `TellsDeliveries.settled`."""
        outcome = self._losses.outcome(seq) if row is None else None
        return settled(name, row, outcome, self._calendar)


class _RowsThere(Struct, frozen=True):
    """`ParkedRows` of a partition."""

    elsewhere: IElsewhere
    part: int

    def parked_among(
        self, wanted: Mapping[str, Sequence[int]]
    ) -> Deferred[dict[tuple[str, int], ParkedState]]:
        """See `ParkedRows.parked_among`."""
        return self.elsewhere.parked_among(self.part, wanted)


class _There(Struct, frozen=True):
    """A `Named`."""

    name: str
    route: RecordRoute
    standing: TellsDeliveries
