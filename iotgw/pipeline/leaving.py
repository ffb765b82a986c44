"""Datasources that go: what the journal has of them is converted or given up before they are forgotten."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from iotgw.core.departures import Left
from iotgw.core.ports.journal import IUplinkStream
from iotgw.pipeline.conversions import Conversions
from iotgw.pipeline.sources import Source

LOOK = 0.02
"""Seconds until the first look whether a backlog is gone; each wait is longer than the one before."""
LONGEST_LOOK = 1.0
DELETED = "the datasource was deleted before this message was converted"


class BacklogEmptier:
    """Empties the backlogs of datasources that take nothing more. ``stopping()``: the gateway stops, and the next start
    goes on."""

    def __init__(self, journal: IUplinkStream, clock: IReactorTime, stopping: Callable[[], bool]) -> None:
        self._journal = journal
        self._clock = clock
        self._stopping = stopping

    async def empty(self, source: Source, conversions: Conversions) -> Left | None:
        """Wait until all that was stored for a closed datasource has its outcome, durably, and the journal keeps nothing
        for it. Returns what became of it, or None when the gateway stops before."""
        before = _ended(source)
        await self._journal.durable()  # what it took until it was closed
        look = LOOK
        while not conversions.is_done:
            if self._stopping():
                return None
            await deferLater(self._clock, look, _nothing)
            look = min(LONGEST_LOOK, look * 1.5)
        self._journal.settle(source.id, self._journal.last_uplink, [])
        await self._journal.durable()
        dropped = conversions.dropped
        return Left(_ended(source) - before - dropped, dropped)


def _ended(source: Source) -> int:
    counts = source.counts
    return counts["converted"] + counts["filtered"] + counts["failed"]


def _nothing() -> None:
    """Only time passes."""
