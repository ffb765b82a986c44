"""Reads all rows of an integration, a page at a time."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from twisted.internet.defer import Deferred

from iotgw.core.model import Parked
from iotgw.core.ports.journal import ITelemetryStream

PAGE = 500


def each_page(
    journal: ITelemetryStream,
    integration: str,
    after: int,
    look: Callable[[list[Parked]], None],
    until: float = inf,
) -> Deferred[None]:
    """Call ``look(rows)`` with each page of an integration's rows (parked records and dead letters) after a position.

    Fires when there are no more rows, or when a page went beyond position ``until``. Fails if a read fails."""
    done: Deferred[None] = Deferred()

    def page(after: int) -> None:
        journal.read_parked(integration, None, after, PAGE).addCallbacks(found, done.errback)

    def found(rows: list[Parked]) -> None:
        look(rows)
        if rows and rows[-1].record.seq <= until:
            page(rows[-1].record.seq)
        else:
            done.callback(None)

    page(after)
    return done
