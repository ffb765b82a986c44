"""Where a consumer group begins that is to read what comes next, and not what is there.

The library's own ``latest`` goes for the end whenever a partition has no offset: also at the second start of a group to which nothing has come yet,
in a partition that was added while the group reads, and where the brokers deleted what the group was about to read. What they hold then would be passed over.
So the ends are committed once, before anything is read. From then on a partition without an offset is new, and read from its first message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

AGAIN = 1.0
"""Seconds between two tries."""


class KafkaBeginning:
    """Places a consumer, for which the library never resets an offset (``auto_offset_reset="none"``). ``is_new``: the group has not begun yet;
    ``begun()`` is called when it has."""

    def __init__(self, is_new: bool, begun: Callable[[], None]) -> None:
        self.is_new = is_new
        self._begun = begun
        self._placing = asyncio.Lock()

    async def keep_trying(self, consumer: Any) -> None:
        """Place it where the group is new, as soon as the brokers let it."""
        while self.is_new:
            try:
                await self.place(consumer)
            except Exception:  # they will be told by what reads
                await asyncio.sleep(AGAIN)

    async def place(self, consumer: Any) -> None:
        """Place it in each of its partitions of which the group has no offset. Raises the library's errors; nothing is lost by another try."""
        async with self._placing:
            without = [each for each in consumer.assignment() if await consumer.committed(each) is None]
            if without:
                await self._begin(consumer, without)
            if self.is_new and consumer.assignment():
                self.is_new = False
                self._begun()

    async def gone(self, consumer: Any, partitions: Iterable[Any]) -> None:
        """The brokers don't have any more what was to be read in these partitions: go on at the oldest message that they have."""
        ours = consumer.assignment()
        if found := [each for each in partitions if each in ours]:
            await consumer.seek_to_beginning(*found)

    async def _begin(self, consumer: Any, partitions: list[Any]) -> None:
        places = await (consumer.end_offsets if self.is_new else consumer.beginning_offsets)(partitions)
        await consumer.commit(places)
        for each, offset in places.items():
            consumer.seek(each, offset)
