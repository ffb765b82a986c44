"""Waits until what devices have sent has come through: until then, nobody can know a device that has sent for the first time."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import CancelledError, TimeoutError, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from iotgw.core.ports.journal import IUplinkStream
from iotgw.core.ports.pipeline import IArrivals
from iotgw.pipeline.sources import Source

PATIENCE = 5.0
"""Seconds: so long somebody waits where there is a backlog."""
PAUSE = 0.02
"""Seconds between two looks. Nobody looks while nobody waits, so messages cost nothing more."""


@implementer(IArrivals)
class PipelineArrivals:
    """An `IArrivals` over the datasources by id and the journal that they store in."""

    def __init__(self, sources: Mapping[str, Source], journal: IUplinkStream, clock: IReactorTime) -> None:
        self._sources = sources
        self._journal = journal
        self._clock = clock

    async def settled(self, tenant: str) -> None:
        """See `IArrivals.settled`."""
        try:
            await ensureDeferred(self._wait(tenant)).addTimeout(PATIENCE, self._clock)
        except (TimeoutError, CancelledError):
            return

    async def _wait(self, tenant: str) -> None:
        due = {
            id: source.counts["received"] for id, source in self._sources.items() if source.tenant == tenant
        }
        while any(self._ended(id) < received for id, received in due.items()):
            await deferLater(self._clock, PAUSE)
        await self._journal.durable()

    def _ended(self, id: str) -> float:
        """How many uplinks of a datasource have their outcome; all of one that is gone."""
        source = self._sources.get(id)
        return float("inf") if source is None else sum(source.figures[1:4])
