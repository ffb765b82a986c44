"""Deleted datasources: their uplinks in the journal are converted or given up before the datasource is forgotten."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from iotgw.core.departures import Left
from iotgw.core.ports.devices import IQuarantine
from iotgw.core.ports.journal import IUplinkStream
from iotgw.pipeline.conversions import Conversions
from iotgw.pipeline.sources import Source

LOOK = 0.02
"""Seconds until the first check whether a backlog is empty. Each wait is longer than the last."""
LONGEST_LOOK = 1.0
UNREAD = 10.0
"""Seconds without a single uplink from the journal after which a backlog is given up unread."""
DELETED = "the datasource was deleted before this message was converted"


class BacklogEmptier:
    """Empties the backlogs of datasources that take no more uplinks.

    Once ``stopping()`` is true, the gateway stops; its next start carries on.
    """

    def __init__(
        self,
        journal: IUplinkStream,
        quarantine: IQuarantine,
        clock: IReactorTime,
        stopping: Callable[[], bool],
    ) -> None:
        self._journal = journal
        self._quarantine = quarantine
        self._clock = clock
        self._stopping = stopping

    async def empty(self, source: Source, conversions: Conversions) -> Left | None:
        """Wait until every uplink of a closed datasource has a durable outcome, none waits in quarantine (where it could be converted only as long
        as the datasource is there), and the journal keeps nothing for it.

        A backlog that was given up needs no reading: it is settled unread if nothing can be read.

        Returns how many uplinks were converted and how many were given up, or None if the gateway stops first.
        """
        before = _ended(source)
        await self._journal.durable()  # the uplinks that it took before it was closed
        look = LOOK
        position, since = conversions.position, self._clock.seconds()
        while not conversions.is_done:
            if self._stopping():
                return None
            now = self._clock.seconds()
            if conversions.position != position or conversions.is_converting:
                position, since = conversions.position, now
            elif conversions.is_given_up and now - since >= UNREAD:
                conversions.abandon()
                break
            await deferLater(self._clock, look, _nothing)
            look = min(LONGEST_LOOK, look * 1.5)
        while self._quarantine.came_by(source.tenant, source.id) and not conversions.is_given_up:
            if self._stopping():
                return None
            await deferLater(self._clock, LONGEST_LOOK, _nothing)
        self._journal.settle(source.id, self._journal.last_uplink, [])
        await self._journal.durable()
        dropped = conversions.dropped
        return Left(_ended(source) - before - dropped, dropped)


def _ended(source: Source) -> int:
    counts = source.counts
    return counts["converted"] + counts["filtered"] + counts["failed"]


def _nothing() -> None:
    """Does nothing: the call only lets time pass."""
