"""Sends the dead letters of a filter again, a hundred at a time."""

from __future__ import annotations

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from iotgw.core.errors import NotFound
from iotgw.core.failures import group_id, pattern
from iotgw.core.model import DeliveryState, Parked
from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.jobs import IJobKind, IJobRun

PAGE = 100
LOOK = 1.0
"""Seconds between two looks at what became of the letters."""
LOOKS = 60
"""Looks after which letters that nothing became of are counted as waiting: the target may be away."""


class RetryFilter(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Which dead letters: of an integration (id), and of those the ones of a device, received before a time, whose error contains a
    text, and of a group of failures."""

    integration: str
    device: str = ""
    received_before: int = 0
    error: str = ""
    group: str = ""

    def matches(self, row: Parked) -> bool:
        """Whether it is one of them."""
        record = row.record
        return (
            row.state is DeliveryState.DEAD
            and self.device in ("", record.device_name)
            and (not self.received_before or record.received_ms < self.received_before)
            and self.error in row.error
            and self.group in ("", group_id("delivery", self.integration, pattern(row.error)))
        )


@implementer(IJobKind)
class RetryJobs:
    """The kind ``retry``. Its figures are how many dead letters the integration has, before and after."""

    name = "retry"
    at_a_time = 2
    is_of_partition = True

    def __init__(self, delivery: IDeliveries, clock: IReactorTime) -> None:
        self._delivery = delivery
        self._clock = clock

    def run(self, job: IJobRun) -> Deferred[None]:
        """See `IJobKind.run`. The cursor is the position of the last letter that was sent again."""
        return Deferred.fromCoroutine(self._run(job))

    def forget(self, id: str) -> None:
        """See `IJobKind.forget`: nothing is kept."""

    async def _run(self, job: IJobRun) -> None:
        wanted = msgspec.convert(job.what, RetryFilter)
        positions = await self._matching(wanted, job)
        job.expect(len(positions), {"dead": self._dead(wanted)})
        for first in range(0, len(positions), PAGE):
            await self._send(wanted, job, positions[first : first + PAGE])
        job.ended({"dead": self._dead(wanted)})

    def _dead(self, wanted: RetryFilter) -> int:
        return int(self._delivery.stats(wanted.integration).get("dead", 0))

    async def _matching(self, wanted: RetryFilter, job: IJobRun) -> list[int]:
        """The positions of the letters that are not done, in order."""
        found: list[int] = []
        after = job.cursor
        while rows := await self._delivery.dead_letters(wanted.integration, after, PAGE):
            found += [row.record.seq for row in rows if wanted.matches(row)]
            after = rows[-1].record.seq
            await job.went(job.cursor)
        return found

    async def _send(self, wanted: RetryFilter, job: IJobRun, positions: list[int]) -> None:
        """Send some, and wait for what becomes of them."""
        before = await self._attempts(wanted, positions)
        for position in before:
            try:
                await self._delivery.retry(wanted.integration, position)
            except NotFound:  # somebody else was quicker
                continue
        left = before
        for look in range(LOOKS):
            now = await self._attempts(wanted, list(left))
            left = {seq: attempts for seq, attempts in left.items() if now.get(seq) == attempts}
            if not left:
                break
            if look < LOOKS - 1:
                await deferLater(self._clock, LOOK, lambda: None)
                await job.went(job.cursor)
        again = await self._attempts(wanted, list(before))
        failed = sum(again.get(seq, 0) > attempts for seq, attempts in before.items())
        gone = sum(seq not in again for seq in before)
        outcomes = {"delivered": gone, "failed": failed, "waiting": len(before) - gone - failed}
        outcomes["missing"] = len(positions) - len(before)
        await job.went(positions[-1], **{name: count for name, count in outcomes.items() if count})

    async def _attempts(self, wanted: RetryFilter, positions: list[int]) -> dict[int, int]:
        """How often those of the letters were tried that are still there."""
        found: dict[int, int] = {}
        chosen, after = frozenset(positions), min(positions, default=1) - 1
        while rows := await self._delivery.dead_letters(wanted.integration, after, PAGE):
            found |= {row.record.seq: row.attempts for row in rows if row.record.seq in chosen}
            after = rows[-1].record.seq
            if after >= max(positions, default=0):
                break
        return found
