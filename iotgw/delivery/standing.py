"""Where a message stands: what became of it, for each integration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed

from iotgw.core.model import Delivery, DeliveryState, Message, Parked, TelemetryRecord
from iotgw.delivery.accounts import EXPIRED
from iotgw.delivery.losses import UNSURE
from iotgw.delivery.outbox import Outbox

FAR = ("dead", "dropped", "expired", "retrying", "queued", "inflight", "unknown", "delivered")
"""Of several outputs of one message, the one whose state comes first here stands for it."""
UNKNOWN = "delivered or not: that is not known any more"


def deliveries(
    journal: Any, outboxes: Iterable[tuple[str, Outbox]], message: Message
) -> Deferred[list[Delivery]]:
    """A `model.Delivery` per integration that gets the message. ``outboxes`` are pairs of name and outbox."""
    found = [
        _delivery(journal, name, outbox, record)
        for name, outbox in outboxes
        for record in message.records
        if record.seq > outbox.accounts.since and outbox.backlog.match(record)
    ]
    return DeferredList(found, consumeErrors=True).addCallback(_least_far)


def _delivery(journal: Any, name: str, outbox: Outbox, record: TelemetryRecord) -> Deferred[Delivery]:
    seq = record.seq
    if outbox.has_in_flight(seq):
        return succeed(Delivery(name, "inflight", 0, None))
    if seq in outbox.open or seq > outbox.backlog.taken:
        return succeed(Delivery(name, "queued", 0, None))

    def read(rows: list[Parked]) -> Delivery:
        if rows and rows[0].record.seq == seq:
            row = rows[0]
            return Delivery(name, DeliveryState(row.state).name.lower(), row.attempts, row.error or None)
        outcome = outbox.accounts.losses.outcome(seq)
        if outcome == UNSURE:
            return Delivery(name, "unknown", 0, UNKNOWN)
        if outcome is not None:
            return Delivery(name, "expired" if outcome == EXPIRED else "dropped", 0, outcome)
        return Delivery(name, "delivered", 1, None)

    return journal.read_parked(outbox.id, None, seq - 1, 1).addCallback(read)


def _least_far(results: list[tuple[bool, Any]]) -> list[Delivery]:
    found: dict[str, Delivery] = {}
    for good, delivery in results:
        if good:
            other = found.get(delivery.integration)
            if other is None or FAR.index(delivery.state) < FAR.index(other.state):
                found[delivery.integration] = delivery
    return [found[name] for name in sorted(found)]
