"""How long uplinks take until they are durable, and when they were.

The journal doesn't keep the latter: the times of the latest commits are kept here, by the last position of each.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from iotgw.core.histogram import Histogram
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import Entries
from iotgw.core.ports.meters import ILatency
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.times import SteadyMs

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets in seconds: a commit takes milliseconds on an SSD, and seconds on a disk that fails."""
COMMITS = 8192
"""Commits whose times are remembered at least: over a minute of them."""
MOST_TENANTS = 1000
"""Tenants that are counted one by one. What others send is counted for none."""


@implementer(ILatency)
class Latency(UplinkListener):
    """Counts waits by tenant, once for each batch."""

    def __init__(self, clock: IReactorTime, calendar: ICalendar, commits: int = COMMITS) -> None:
        self._clock = clock
        self._calendar = calendar
        self._commits = commits
        self._waits: dict[str, Histogram] = {}
        self._first = 0
        """The first position whose time is known."""
        self._ends: list[int] = []
        self._times: list[SteadyMs] = []

    def stored(self, datasource: str, entries: Entries) -> None:
        """These uplinks are durable."""
        now_ms = SteadyMs(int(self._clock.seconds() * 1000))
        received = Counter([stored.uplink.received_ms for stored, _ in entries])
        first = entries[0][0].uplink.received_ms
        # one look at the calendar a batch, as dates jump when a clock is set; within a batch they go on evenly
        base = now_ms - self._calendar.moment_ms(first) + first
        tenant = entries[0][0].uplink.tenant
        waits = self._waits.get(tenant)
        if waits is None:
            if len(self._waits) >= MOST_TENANTS:
                tenant = ""
            waits = self._waits.setdefault(tenant, Histogram(BOUNDS))
        waits.add({base - each: count for each, count in received.items()})
        last = entries[-1][0].seq
        if not self._ends:
            self._first = entries[0][0].seq
        if not self._ends or last > self._ends[-1]:
            self._ends.append(last)
            self._times.append(now_ms)
            if len(self._ends) > 2 * self._commits:
                self._first = self._ends[self._commits - 1] + 1
                del self._ends[: self._commits], self._times[: self._commits]

    def durable_at(self, position: int) -> SteadyMs | None:
        """See `iotgw.core.ports.meters.DurableAt`."""
        at = bisect_left(self._ends, position)
        if at == len(self._ends) or position < self._first:
            return None
        return self._times[at]

    def waits(self, tenant: str) -> Histogram | None:
        """See `ILatency.waits`."""
        return self._waits.get(tenant)
