"""Converts the messages of a filter again, oldest first, so that a device's values come in their order."""

from __future__ import annotations

from array import array
from collections import Counter

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core.errors import Conflict, NotFound
from iotgw.core.message_query import Instant, MessageQuery
from iotgw.core.model import State
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.jobs import IJobKind, IJobRun
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.times import DateMs

MOST = 1_000_000
"""Messages of one job."""
PAGE = 500
AT_ONCE = 20
"""Messages between two looks whether the job goes on."""


class ReprocessFilter(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Which messages: as `MessageQuery`, dates in milliseconds since 1970. ``before`` is the position after the newest."""

    state: str = "failed"
    datasource: str | None = None
    device: str | None = None
    text: str | None = None
    group: str | None = None
    since: int = 0
    until: int = 0
    before: int = 0

    def query(self, tenant: str, calendar: ICalendar) -> MessageQuery:
        """What it asks of the journal."""
        since, until = (
            Instant(DateMs(each), calendar.moment_ms(DateMs(each))) if each else None
            for each in (self.since, self.until)
        )
        return MessageQuery(
            tenant=tenant, datasource=self.datasource, state=State[self.state.upper()], device=self.device,
            or_named=True, text=self.text, group=self.group, since=since, until=until,
        )  # fmt: skip


@implementer(IJobKind)
class ReprocessJobs:
    """The kind ``reprocess``. Its figures are how many messages the filter leaves, before and after."""

    name = "reprocess"
    at_a_time = 2
    is_of_partition = True

    def __init__(self, journal: IMessages, pipeline: IPipeline, calendar: ICalendar) -> None:
        self._journal = journal
        self._pipeline = pipeline
        self._calendar = calendar

    def run(self, job: IJobRun) -> Deferred[None]:
        """See `IJobKind.run`. The cursor is the position of the last message that was done."""
        return Deferred.fromCoroutine(self._run(job))

    def forget(self, id: str) -> None:
        """See `IJobKind.forget`: nothing is kept."""

    async def _run(self, job: IJobRun) -> None:
        wanted = msgspec.convert(job.what, ReprocessFilter)
        query = wanted.query(job.tenant, self._calendar)
        positions = await self._positions(job, query, wanted.before)
        job.expect(len(positions), {"messages": len(positions)})
        counts: Counter[str] = Counter()
        for number, seq in enumerate(reversed(positions), 1):
            counts[await self._again(seq, query)] += 1
            if number % AT_ONCE == 0 or number == len(positions):
                await job.went(seq, **counts)
                counts.clear()
        job.ended({"messages": len(await self._positions(job, query, wanted.before, all=True))})

    async def _positions(
        self, job: IJobRun, query: MessageQuery, before: int, all: bool = False
    ) -> array[int]:
        """Of the messages that the filter leaves, newest first: those that are not done, or ``all``."""
        found, cursor = array("q"), 0 if all else job.cursor
        while len(found) < MOST:
            page = await self._journal.search(query, before, PAGE)
            found.extend(message.seq for message in page.messages if message.seq > cursor)
            before = page.next
            if before <= cursor:
                break
            await job.went(job.cursor)
        return found

    async def _again(self, seq: int, query: MessageQuery) -> str:
        """What becomes of one; it may have changed since it was found."""
        try:
            message = await self._journal.message(seq)
            if message is None:
                return "missing"
            if not query.matches(message):
                return "changed"
            state = await self._pipeline.reprocess(message)
        except NotFound:
            return "missing"
        except Conflict:
            return "waiting"
        return state.name.lower()
