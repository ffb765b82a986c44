"""A journal with a listener that keeps what it hears."""

from msgspec.structs import replace

from iotgw.core.model import Counters, Outcome, Output, Parked, Progress, State, TelemetryRecord, Uplink

NOW_MS = 1_700_000_000_000


class Listener:
    def __init__(self):
        self.entries, self.lost, self.outcomes, self.records = [], [], [], []
        self.reasons, self.rooms, self.commits = [], 0, 0

    def storing(self, entries):
        pass

    def stored(self, entries):
        self.commits += 1
        self.entries += entries

    def refused(self, entries, reason):
        self.lost += entries
        self.reasons.append(reason)

    def settled(self, outcomes, records):
        self.outcomes += outcomes
        self.records += records

    def room_again(self):
        self.rooms += 1


class World:
    """``make(clock)`` gives a journal over the same storage each time: what every backend's suite runs on."""

    def __init__(self, clock, make):
        self.clock, self.make = clock, make
        self.open()

    def open(self):
        self.listener = Listener()
        self.journal = self.make(self.clock)
        self.clock.wait(self.journal.start(self.listener))

    def reopen(self):
        self.clock.wait(self.journal.stop())
        self.open()

    @property
    def now_ms(self):
        return int(self.clock.seconds() * 1000)

    def uplink(self, payload=b"x", datasource="ds1", tenant="default", metadata=b'{"peer":"::1"}'):
        return Uplink(tenant, datasource, self.now_ms, payload, metadata)

    def append(self, *payloads, **kwargs):
        return [self.journal.append(self.uplink(payload, **kwargs), payload) for payload in payloads]

    def store(self, *payloads, **kwargs):
        """Append uplinks and wait until they are durable."""
        positions = self.append(*payloads, **kwargs)
        self.clock.until(lambda: any(s.seq == positions[-1] for s, _ in self.listener.entries))
        return positions

    def settle(self, outcomes, datasource="ds1", cursor=None):
        """Settle outcomes and wait until they are durable; returns the records that came of them."""
        heard, before = len(self.listener.outcomes), len(self.listener.records)
        self.journal.settle(datasource, max(o.seq for o in outcomes) if cursor is None else cursor, outcomes)
        self.clock.until(lambda: len(self.listener.outcomes) >= heard + len(outcomes))
        return self.listener.records[before:]

    def convert(self, *positions, device="dev", datasource="ds1", received_ms=0):
        return self.settle(
            [
                Outcome(seq, State.CONVERTED, "conv/1", (output(device),), received_ms=received_ms)
                for seq in positions
            ],
            datasource,
        )

    def progress(self, integration, cursor, parked=(), released=(), **counters):
        self.journal.progress(
            Progress(integration, cursor, Counters(**counters), tuple(parked), tuple(released))
        )
        self.clock.advance(1.0)

    def wait(self, deferred):
        return self.clock.wait(deferred)


def output(device="dev", type_="default", body=b'{"telemetry":[{"ts":1,"values":{"t":1}}]}'):
    return Output(device, type_, body)


def event(body=b'{"event":"started"}'):
    from iotgw.core.model import Kind

    return TelemetryRecord(0, 0, "default", "ds1", NOW_MS, "dev", "default", body, Kind.EVENT)


def parked(record, state, attempts=1, next_try_ms=0, error="400"):
    return Parked("int1", record, state, attempts, next_try_ms, error)


__all__ = ["NOW_MS", "Listener", "World", "event", "output", "parked", "replace"]
