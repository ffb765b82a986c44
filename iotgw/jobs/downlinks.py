"""Queues a downlink for each device of a group, a list or a filter, at a rate.

A job goes through its devices by name, and keeps the name that it has reached. What it queued since that was saved is known by its ids
(`iotgw.core.downlink_item.id_in_job`), so a device never gets a second item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core import rectangle
from iotgw.core.errors import SettingsError, Unavailable
from iotgw.core.ports.devices import DeviceFilter, IFleet, Trouble
from iotgw.core.ports.downlinks import IDownlinkQueue
from iotgw.core.ports.jobs import IJobKind, IJobRun
from iotgw.core.specs import DownlinkSpec

KIND = "downlinks"
PAGE = 500
"""Devices that are looked up at once."""
AT_ONCE = 100
"""Items that are written together at most."""
LOOK = 1.0
"""Seconds between two looks whether the job goes on, while it waits for its rate."""


class DownlinkBatch(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A downlink for these ``devices``, or for those that the filters leave as they are when their turn comes: as `DeviceFilter`.
    ``rate`` is devices per second."""

    downlink: DownlinkSpec
    rate: float
    devices: list[str] | None = None
    text: str = ""
    type: str = ""
    group: str = ""
    tag: str = ""
    datasource: str = ""
    trouble: Trouble | Literal[""] = ""
    box: str = ""

    @property
    def wanted(self) -> DeviceFilter:
        """Which devices."""
        box = rectangle.read(self.box) if self.box else None
        return DeviceFilter(self.text, self.type, self.group, self.tag, self.datasource, self.trouble, box)


@implementer(IJobKind)
class DownlinkJobs:
    """The kind ``downlinks``. It counts items that were ``queued``, and those that were ``refused`` because a queue is full; what becomes of the
    items says the queue."""

    name = KIND
    at_a_time = 2
    is_of_partition = False

    def __init__(self, fleet: IFleet, queue: IDownlinkQueue, clock: IReactorTime) -> None:
        self._fleet = fleet
        self._queue = queue
        self._clock = clock

    def run(self, job: IJobRun) -> Deferred[None]:
        """See `IJobKind.run`. Its place is the name of the last device that has its item."""
        return Deferred.fromCoroutine(self._run(job))

    def forget(self, id: str) -> None:
        """See `IJobKind.forget`: nothing is kept."""

    async def _run(self, job: IJobRun) -> None:
        wanted = msgspec.convert(job.what, DownlinkBatch)
        total = 0
        async for names in self._pages(job, wanted):
            total += len(names)
        job.expect(total, {})
        size, due = max(1, min(AT_ONCE, int(wanted.rate))), 0.0
        async for names in self._pages(job, wanted):
            for first in range(0, len(names), size):
                some = names[first : first + size]
                await self._wait(job, due)
                due = self._clock.seconds() + len(some) / wanted.rate
                counts = await self._queue_all(job, wanted, some)
                job.place = some[-1]
                await job.went(job.cursor + len(some), **counts)

    async def _pages(self, job: IJobRun, wanted: DownlinkBatch) -> AsyncIterator[list[str]]:
        """The names of the devices behind the job's place, in order."""
        after = job.place
        listed = sorted(set(wanted.devices or ()))
        while True:
            if wanted.devices is None:
                names = self._fleet.names(job.tenant, wanted.wanted, after, PAGE)
            else:
                names = [name for name in listed if name > after][:PAGE]
            if not names:
                return
            after = names[-1]
            yield names
            await job.went(job.cursor)

    async def _queue_all(self, job: IJobRun, wanted: DownlinkBatch, names: list[str]) -> Counter[str]:
        """Queue an item for each of some devices, together. Raises what is no refusal."""
        spec = wanted.downlink
        pushed = [Deferred.fromCoroutine(self._queue.push(job.tenant, name, spec, job.id)) for name in names]
        results: list[tuple[bool, Any]] = await DeferredList(pushed, consumeErrors=True)
        counts: Counter[str] = Counter()
        for is_queued, result in results:
            if not is_queued:
                assert isinstance(result, Failure)
                if not result.check(Unavailable, SettingsError):
                    result.raiseException()
            counts["queued" if is_queued else "refused"] += 1
        return counts

    async def _wait(self, job: IJobRun, due: float) -> None:
        while (left := due - self._clock.seconds()) > 0:
            await deferLater(self._clock, min(left, LOOK))
            await job.went(job.cursor)
