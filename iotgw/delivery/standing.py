"""TellsDeliveries the state of a message's delivery to each integration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from iotgw.core.message_query import KeptApart, MessageQuery
from iotgw.core.model import Delivery, DeliveryState, Message, ParkedState, TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.times import SteadyMs
from iotgw.delivery.accounts import EXPIRED, Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.flight import Flight
from iotgw.delivery.losses import UNSURE, Range
from iotgw.delivery.parking import Parking
from iotgw.delivery.route import RecordRoute
from iotgw.delivery.tries import shown

FAR = ("dead", "dropped", "expired", "retrying", "queued", "inflight", "unknown", "delivered")
"""Delivery states. If a message has several outputs, the state that comes first here is shown."""
PIECE = 2000
"""Pairs of a record and an integration that are looked at before the reactor does other work."""
UNKNOWN = "it is no longer known whether the message was delivered"


class TellsDeliveries(Protocol):
    """TellsDeliveries the delivery of single records to one integration."""

    @property
    def parks(self) -> bool:
        """Whether there are rows of parked records in the journal."""

    def gets(self, record: TelemetryRecord) -> bool:
        """Whether the integration gets a record."""

    def waiting(self, record: TelemetryRecord) -> str:
        """The state of a record that it gets, while that is not settled; empty for one that is settled or parked."""

    def settled(self, seq: int, name: str, row: ParkedState | None) -> Delivery:
        """The delivery of a record that doesn't wait. ``name`` is the integration's current name, ``row`` what the journal has of it."""


class Standing:
    """A `TellsDeliveries` of this process's own integration."""

    def __init__(
        self,
        flight: Flight,
        backlog: Backlog,
        parking: Parking,
        accounts: Accounts,
        calendar: ICalendar,
    ) -> None:
        self._flight = flight
        self._backlog = backlog
        self._parking = parking
        self._accounts = accounts
        self._calendar = calendar

    def gets(self, record: TelemetryRecord) -> bool:
        """See `TellsDeliveries.gets`."""
        return record.seq > self._accounts.since and self._backlog.lets_through(record)

    def waiting(self, record: TelemetryRecord) -> str:
        """See `TellsDeliveries.waiting`."""
        seq = record.seq
        if seq in self._flight.in_flight or seq in self._parking.in_flight:
            return "inflight"
        return "queued" if self._flight.holds(seq) or seq > self._backlog.taken else ""

    @property
    def parks(self) -> bool:
        """See `TellsDeliveries.parks`."""
        return self._accounts.parked > 0 or self._accounts.dead > 0 or self._parking.has_lost

    def settled(self, seq: int, name: str, row: ParkedState | None) -> Delivery:
        """See `TellsDeliveries.settled`."""
        outcome = self._accounts.losses.outcome(seq) if row is None else None
        return settled(name, row, outcome, self._calendar)


def settled(name: str, row: ParkedState | None, outcome: str | None, calendar: ICalendar) -> Delivery:
    """The delivery of a record that doesn't wait: ``row`` is what the journal has of one that is parked, ``outcome`` what the losses say of any other."""
    if row is not None:
        tries = shown(row.tries, calendar)
        next_try = _next_try(row, calendar)
        return Delivery(name, row.state.name.lower(), row.attempts, row.error or None, next_try, tries)
    if outcome is None:
        return Delivery(name, "delivered", 1, None)
    if outcome == UNSURE:
        return Delivery(name, "unknown", 0, UNKNOWN)
    return Delivery(name, "expired" if outcome == EXPIRED else "dropped", 0, outcome)


def _next_try(row: ParkedState, calendar: ICalendar) -> int | None:
    """The date when a delivery is tried again; None for a dead one, or one that waits behind another."""
    if row.state is not DeliveryState.RETRYING or not row.next_try_ms:
        return None
    return calendar.date_ms(SteadyMs(row.next_try_ms))


_ROWS = {
    "dead": (DeliveryState.DEAD,),
    "retrying": (DeliveryState.RETRYING,),
}
"""States in which a delivery has a row of its own in the journal."""


def narrowed(
    query: MessageQuery, state: str, ids: Sequence[str], losses: Callable[[str], Iterable[Range]]
) -> MessageQuery:
    """See `IDeliveries.narrowed`. ``losses`` gives the lost ranges of an integration."""
    if state in _ROWS:
        return replace(query, parked=KeptApart(tuple(ids), tuple(map(int, _ROWS[state]))))
    if state not in ("expired", "dropped", "unknown"):
        return replace(query, has_output=True)
    ranges = [
        (first, last)
        for id in ids
        for first, last, outcome in losses(id)
        if state == ("unknown" if outcome == UNSURE else "expired" if outcome == EXPIRED else "dropped")
    ]
    return replace(query, records=ranges)


class Routed(Protocol):
    """An integration with its current name."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def route(self) -> RecordRoute:
        """What it gets."""


class Named(Routed, Protocol):
    """An integration of which this process can tell."""

    @property
    def standing(self) -> TellsDeliveries:
        """What tells of its deliveries."""


class ParkedRows(Protocol):
    """Where rows of parked records are."""

    def parked_among(
        self, wanted: Mapping[str, Sequence[int]]
    ) -> Deferred[dict[tuple[str, int], ParkedState]]:
        """See `iotgw.core.ports.journal.ITelemetryStream.parked_among`."""


class Standings:
    """TellsDeliveries the deliveries of many messages at once: one look into the journal, however many they are."""

    def __init__(self, rows: ParkedRows, clock: IReactorTime) -> None:
        self._rows = rows
        self._clock = clock

    async def of(
        self, messages: Sequence[Message], integrations: Mapping[str, Named]
    ) -> list[list[Delivery]]:
        """The deliveries of each message, one for each of the integrations (by id) that get it, sorted by name."""
        chosen: list[dict[str, Delivery]] = []
        asked: list[tuple[dict[str, Delivery], TelemetryRecord, str]] = []
        wanted: dict[str, list[int]] = {}
        looked = 0
        by_origin: dict[tuple[str, str], list[tuple[str, Named]]] = {}
        for message in messages:
            found: dict[str, Delivery] = {}
            chosen.append(found)
            for record in message.records:
                origin = record.tenant, record.datasource
                some = by_origin.get(origin)
                if some is None:
                    some = by_origin[origin] = [
                        (id, each) for id, each in integrations.items() if each.route.leads_from(*origin)
                    ]
                    looked += len(integrations)
                for id, each in some:
                    standing = each.standing
                    if not standing.gets(record):
                        continue
                    if state := standing.waiting(record):
                        choose(found, Delivery(each.name, state, 0, None))
                    elif standing.parks:
                        asked.append((found, record, id))
                        wanted.setdefault(id, []).append(record.seq)
                    else:
                        choose(found, standing.settled(record.seq, each.name, None))
                looked += len(some)
                if looked >= PIECE:
                    looked = 0
                    await deferLater(self._clock, 0)
        if asked:
            rows = await self._rows.parked_among(wanted)
            for found, record, id in asked:
                each = integrations[id]
                choose(found, each.standing.settled(record.seq, each.name, rows.get((id, record.seq))))
        return [[found[name] for name in sorted(found)] for found in chosen]


def choose(found: dict[str, Delivery], delivery: Delivery) -> None:
    """Of several, the one that has got least far is chosen."""
    other = found.get(delivery.integration)
    if other is None or FAR.index(delivery.state) < FAR.index(other.state):
        found[delivery.integration] = delivery
