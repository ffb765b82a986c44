"""Converts stored uplinks once more when a user asks for it, and keeps the accounts of their datasource right."""

from __future__ import annotations

from twisted.internet.defer import DeferredLock

from iotgw.core.errors import Conflict
from iotgw.core.model import Message, State, StoredUplink
from iotgw.core.ports.journal import IUplinkStream
from iotgw.pipeline.conversions import Conversions
from iotgw.pipeline.sources import Source
from iotgw.pipeline.strangers import dropped


class Reprocessing:
    """Converts uplinks of one datasource again, one after another.

    Each is counted as what it was before. A message that was read earlier may tell that wrong, so its state is read
    once more after everything counted so far is durable.
    """

    def __init__(self, source: Source, conversions: Conversions, journal: IUplinkStream) -> None:
        self._source = source
        self._conversions = conversions
        self._journal = journal
        self._lock = DeferredLock()

    async def run(self, message: Message, released: str = "", is_dropped: bool = False) -> State:
        """Convert a message again; or, where it was in quarantine for the device that is ``released``, take what it says of that device,
        or drop it. Returns its new state, once it is durable. Raises Conflict if it still waits for its first conversion:
        that one would be counted and delivered, too."""
        if message.seq > self._conversions.position:
            raise Conflict("the message still waits to be converted for the first time")
        await self._lock.acquire()
        try:
            return await self._convert(message, released, is_dropped)
        finally:
            self._lock.release()

    async def _convert(self, message: Message, released: str, is_dropped: bool) -> State:
        if is_dropped:
            outcome = dropped(message, released)
        else:
            outcome = await self._conversions.convert_again(
                StoredUplink(message.seq, message.uplink), released
            )
        await self._journal.durable()
        known = await self._journal.message(message.seq)
        self._source.recount(message.state if known is None else known.state, outcome.state)
        self._conversions.show([StoredUplink(message.seq, message.uplink)], [outcome])
        self._journal.settle(self._source.id, self._conversions.position, [outcome])
        await self._journal.durable()  # whoever asked reads the message next
        return outcome.state
