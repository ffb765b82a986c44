"""`/devices/{name}/telemetry`: what a device measured, over time."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.described import Before, LookedBackTo
from iotgw.api.message_search import Window
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.api.stored import LONGEST_PLACE, PLACES, place
from iotgw.core.numbers import MOST
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import IMessages
from iotgw.core.series import Bucket, SeriesQuery, SeriesValue
from iotgw.core.times import DateMs

LONGEST = 366 * 86_400
SERIES = (
    Query("keys", str, None, "these alone, with commas between them", longest=1000),
    Query("since", int, 0, "measured at this time or later, in milliseconds since 1970", range=(0, MOST)),
    Query("until", int, 0, "measured before this time, in milliseconds since 1970; 0 for no end", range=(0, MOST)),
    Query("every", int, 0, "the width of a bucket in seconds; 0 for each reading by itself", range=(0, LONGEST)),
    Query("limit", int, 1000, "of so many messages at most", range=(1, 10_000)),
    Query("before", str, None, "`next` of the page before; the series go on with older messages", longest=LONGEST_PLACE, pattern=PLACES),
)  # fmt: skip
POINTS = 1000
"""Messages whose single readings go into one answer."""


class SeriesPage(Struct, frozen=True, rename="camel"):
    """A device's readings by key, by time."""

    device: Annotated[str, Meta(description="The device's name.")]
    every: Annotated[int, Meta(description="Seconds that a bucket is wide; 0 where each reading is listed.")]
    buckets: Annotated[
        dict[str, list[Bucket]],
        Meta(
            description="By key, what was read in each bucket of time; a bucket at the border of two pages has a part on each."
        ),
    ]
    readings: Annotated[
        dict[str, list[SeriesValue]], Meta(description="By key, each value, where no bucket was asked for.")
    ]
    next: Before
    looked_back_to: LookedBackTo = 0


class SeriesRoutes:
    """The route of series."""

    def __init__(self, journal: IMessages, calendar: ICalendar) -> None:
        self._journal = journal
        self._calendar = calendar

    def routes(self) -> list[Route]:
        """One."""
        path, summary = "/devices/<name>/telemetry", "What a device measured, over time"
        return [Route("GET", path, Permission.READ, self.read, summary, answer=SeriesPage, query=SERIES)]

    async def read(self, call: Call, name: str) -> SeriesPage:
        """A device's readings, or their buckets."""
        window = Window(call.query("since"), call.query("until"))
        window.check()
        since, _ = window.of(self._calendar)
        keys = tuple(key for key in (call.query("keys") or "").split(",") if key)
        every = call.query("every")
        query = SeriesQuery(
            tenant=call.tenant, device=name, keys=keys, since=since,
            until_ms=DateMs(window.until) if window.until else None, every_ms=every * 1000,
        )  # fmt: skip
        limit = call.query("limit") if every else min(call.query("limit"), POINTS)
        found = await self._journal.series(query, await place(self._journal, call.query("before")), limit)
        next = self._journal.epochs.message_id(found.next) if found.next else None
        return SeriesPage(name, every, found.buckets, found.readings, next, found.looked_back_to)
