"""Tells the state of a message's delivery to each integration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredList, succeed

from iotgw.core.message_query import KeptApart, MessageQuery
from iotgw.core.model import Delivery, DeliveryState, Parked, TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.times import SteadyMs
from iotgw.delivery.accounts import EXPIRED, Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.flight import Flight
from iotgw.delivery.losses import UNSURE, Range
from iotgw.delivery.parking import Parking
from iotgw.delivery.tries import shown

FAR = ("dead", "dropped", "expired", "retrying", "queued", "inflight", "unknown", "delivered")
"""Delivery states. If a message has several outputs, the state that comes first here is shown."""
UNKNOWN = "it is no longer known whether the message was delivered"


class Standing:
    """Looks up the delivery of single records to one integration."""

    def __init__(
        self,
        integration: str,
        journal: ITelemetryStream,
        flight: Flight,
        backlog: Backlog,
        parking: Parking,
        accounts: Accounts,
        calendar: ICalendar,
    ) -> None:
        self._integration = integration
        self._journal = journal
        self._flight = flight
        self._backlog = backlog
        self._parking = parking
        self._accounts = accounts
        self._calendar = calendar

    def of(self, record: TelemetryRecord, name: str) -> Deferred[Delivery] | None:
        """Fires with the state of a record's delivery. ``name`` is the integration's current name. None if the
        integration doesn't get the record."""
        seq = record.seq
        if seq <= self._accounts.since or not self._backlog.lets_through(record):
            return None
        if seq in self._flight.in_flight or seq in self._parking.in_flight:
            return succeed(Delivery(name, "inflight", 0, None))
        if self._flight.holds(seq) or seq > self._backlog.taken:
            return succeed(Delivery(name, "queued", 0, None))

        def read(rows: list[Parked]) -> Delivery:
            if rows and rows[0].record.seq == seq:
                row = rows[0]
                state = DeliveryState(row.state).name.lower()
                tries = shown(row.tries, self._calendar)
                return Delivery(name, state, row.attempts, row.error or None, self._next_try(row), tries)
            outcome = self._accounts.losses.outcome(seq)
            if outcome == UNSURE:
                return Delivery(name, "unknown", 0, UNKNOWN)
            if outcome is not None:
                return Delivery(name, "expired" if outcome == EXPIRED else "dropped", 0, outcome)
            return Delivery(name, "delivered", 1, None)

        return self._journal.read_parked(self._integration, None, seq - 1, 1).addCallback(read)

    def _next_try(self, row: Parked) -> int | None:
        """The date when a delivery is tried again; None for a dead one, or one that waits behind another."""
        if row.state is not DeliveryState.RETRYING or not row.next_try_ms:
            return None
        return self._calendar.date_ms(SteadyMs(row.next_try_ms))


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


def least_far(found: Iterable[Deferred[Delivery]]) -> Deferred[list[Delivery]]:
    """Fires with one delivery per integration, sorted by name. Of several, the one that has got least far is chosen.

    Look-ups that failed are left out."""

    def choose(results: list[tuple[bool, Delivery]]) -> list[Delivery]:
        chosen: dict[str, Delivery] = {}
        for good, delivery in results:
            if good:
                other = chosen.get(delivery.integration)
                if other is None or FAR.index(delivery.state) < FAR.index(other.state):
                    chosen[delivery.integration] = delivery
        return [chosen[name] for name in sorted(chosen)]

    return DeferredList(list(found), consumeErrors=True).addCallback(choose)
