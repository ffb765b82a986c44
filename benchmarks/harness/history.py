"""Makes a journal with a long history: so many messages over so many days, of many devices, some of which failed."""

from __future__ import annotations

import os
import random
from pathlib import Path

from twisted.internet import defer, reactor
from twisted.internet.task import Clock

from harness.fleet import named
from iotgw.core.model import (
    ConversionError,
    Counters,
    DeliveryState,
    Outcome,
    Output,
    Parked,
    Progress,
    State,
    Uplink,
)
from iotgw.store.space import JournalLimits
from iotgw.store.sqlite.journal import Journal

BATCH = 500
DAYS = 7
FAILED, FILTERED = 0.02, 0.05
"""Parts of the messages that fail, or of which nothing comes."""
DEAD = 2000
"""Dead letters, at most."""


class _Dated:
    """The reactor, with a clock of its own."""

    def __init__(self, start):
        self.clock = Clock()
        self.clock.advance(start)

    def seconds(self):
        return self.clock.seconds()

    def __getattr__(self, name):
        return getattr(reactor, name)


class _Ends:
    """The journal's listener: settles each group as it is stored."""

    def __init__(self, history):
        self.history = history
        self.stored_count = 0

    def stored(self, entries):
        self.history.settle([stored for stored, _ in entries])
        self.stored_count += len(entries)
        self.history.more()

    def settled(self, outcomes, records):
        self.history.deliver(records)

    def refused(self, entries, reason):
        raise SystemExit(f"refused: {reason}")

    def storing(self, *_):
        pass

    room_again = damaged = storing


class History:
    """``count`` messages up to ``end``, in seconds since 1970. ``datasources`` and ``integration`` are ids."""

    def __init__(self, path: Path, count, devices, end, datasources, integration, seed=1):
        self.random = random.Random(seed)
        self.count, self.devices, self.end = count, devices, end
        self.datasources, self.integration = datasources, integration
        self.start = end - DAYS * 86_400
        self.clock = _Dated(self.start)
        limits = JournalLimits(max_age_ms=60 * 86_400_000, max_bytes=1 << 40)
        self.journal = Journal(self.clock, path, limits, max_pending=1 << 20, max_pending_bytes=1 << 30)
        self.sent = self.dead = self.queued = 0
        self.done = defer.Deferred()

    async def make(self):
        ends = _Ends(self)
        await self.journal.start(ends)
        self.more()
        await self.done
        await self.journal.durable()
        await self.journal.committed()
        await self.journal.stop()

    def more(self):
        if self.sent == self.count:
            if not self.done.called:
                self.done.callback(None)
            return
        step = (self.end - self.start) / self.count
        for _ in range(min(BATCH, self.count - self.sent)):
            self.sent += 1
            device = self.device(self.sent)
            now_ms = int((self.start + self.sent * step) * 1000)
            datasource = self.datasources[device % len(self.datasources)]
            metadata = b'{"peer":"10.%d.%d.3:56234","identity":"%d","receivedTime":%d}' % (
                device >> 8 & 255, device & 255, 86_542_106_000_000 + device, now_ms,
            )  # fmt: skip
            self.journal.append(Uplink("default", datasource, now_ms, os.urandom(40), metadata), None)
        self.clock.clock.advance(BATCH * step)

    def device(self, number):
        return number * 7919 % self.devices

    def settle(self, stored):
        """What became of them, by datasource."""
        outcomes = {}
        for each in stored:
            lot = self.random.random()
            device = self.device(each.seq)
            if lot < FAILED:
                error = ConversionError(
                    f"expected 40 bytes, got {each.seq % 39}", line=3 + device % 3, column=7
                )
                outcome = Outcome(each.seq, State.FAILED, "conv/1", (), error, each.uplink.received_ms)
            elif lot < FAILED + FILTERED:
                outcome = Outcome(each.seq, State.FILTERED, "conv/1", (), None, each.uplink.received_ms)
            else:
                output = Output(named(device), "default", body(each, device))
                outcome = Outcome(
                    each.seq, State.CONVERTED, "conv/1", (output,), None, each.uplink.received_ms
                )
            outcomes.setdefault(each.uplink.datasource, []).append(outcome)
        for datasource, some in outcomes.items():
            self.journal.settle(datasource, some[-1].seq, some)

    def deliver(self, records):
        """All are delivered but for a few."""
        dead = []
        for record in records:
            if self.dead + len(dead) < DEAD and record.seq % 97 == 0:
                error = f"400 Bad Request: value {record.seq} is out of range"
                dead.append(Parked(self.integration, record, DeliveryState.DEAD, 10, 0, error))
        self.dead += len(dead)
        self.queued += len(records)
        if records:
            last = records[-1].seq
            counters = Counters(
                queued=self.queued, delivered=self.queued - self.dead, dead=self.dead, counted=last, done=last
            )
            self.journal.progress(Progress(self.integration, last, counters, tuple(dead)))


def body(stored, device):
    """A device's reading."""
    return (
        b'{"deviceName":"%s","deviceType":"default","attributes":{"fw":"1.2.3"},"telemetry":[{"ts":%d,"values":'
        b'{"temperature":%.1f,"humidity":%d,"battery":3.61,"rssi":-%d}}]}'
    ) % (
        named(device).encode(),
        stored.uplink.received_ms,
        stored.seq % 400 / 10,
        stored.seq % 100,
        60 + stored.seq % 50,
    )
