"""A journal in memory, targets that do as told, and a delivery service on a clock."""

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.model import DeliveryState, Kind, TelemetryRecord
from iotgw.core.ports.integrations import IIntegration
from iotgw.core.specs import IntegrationSpec, QueueSpec, RetrySpec
from iotgw.core.types import Types
from iotgw.core.verdict import DELIVERED
from iotgw.delivery.service import DeliveryService


def record(seq, device="d1", type_="default", tenant="default", received_ms=0, kind=Kind.TELEMETRY, **values):
    body = (
        f'{{"deviceName":"{device}","deviceType":"{type_}","attributes":{{}},'
        f'"telemetry":[{{"ts":{received_ms},"values":{{"n":{seq}}}}}]}}'
    )
    return TelemetryRecord(
        seq, seq, tenant, "ds1", received_ms, device, type_, values.pop("body", body.encode()), kind
    )


class MemoryJournal:
    """What `iotgw.core.ports.journal.IJournal` says of deliveries. With ``lag`` progress is written when told, with
    ``lazy`` when told or before the next look at parked records."""

    epoch = "E"

    def __init__(self):
        self.records = []
        self.cursors = {}
        self.parked = {}
        self.lag = self.lazy = False
        self.queue = []
        self.reads = 0
        self.held = {}
        self.slow = None

    @property
    def head(self):
        return self.records[-1].seq if self.records else 0

    def read_telemetry(self, after, limit):
        self.reads += 1
        return succeed([r for r in self.records if r.seq > after][:limit])

    def integrations(self):
        return dict(self.cursors)

    def hold(self, integration, max_age):
        self.held[integration] = max_age

    def forget(self, integration):
        self.cursors.pop(integration, None)
        self.parked = {key: row for key, row in self.parked.items() if key[0] != integration}

    def progress(self, progress):
        self.queue.append(progress)
        if not self.lag and not self.lazy:
            self.commit()

    def committed(self):
        if self.lazy:
            self.commit()
        return succeed(None)

    def durable(self):
        """What a crash leaves: another journal."""
        left = MemoryJournal()
        left.records, left.cursors, left.parked = list(self.records), dict(self.cursors), dict(self.parked)
        return left

    def commit(self):
        for progress in self.queue:
            id_ = progress.integration
            self.cursors[id_] = (progress.cursor, progress.counters)
            for row in progress.parked:
                self.parked[id_, row.record.seq] = row
            for seq in progress.released:
                self.parked.pop((id_, seq), None)
        self.queue = []

    def _rows(self, integration):
        if self.lazy:
            self.commit()
        return [self.parked[key] for key in sorted(self.parked) if key[0] == integration]

    def read_parked(self, integration, state, after, limit):
        rows = [
            row
            for row in self._rows(integration)
            if row.record.seq > after and (state is None or row.state == state)
        ][:limit]
        if self.slow is None:
            return succeed(rows)
        self.slow.append((Deferred(), rows))
        return self.slow[-1][0]

    def parked_behind(self, integration, device, after, limit):
        return succeed(
            [
                row
                for row in self._rows(integration)
                if row.record.seq > after
                and row.record.device_name == device
                and row.state != DeliveryState.DEAD
            ][:limit]
        )

    def time_to_seq(self, ts_ms):
        later = [r.seq for r in self.records if r.received_ms >= ts_ms]
        return succeed(later[0] if later else self.head + 1)


class Settings(Struct):
    batch: int = 1
    window: int = 4


@implementer(IIntegration)
class FakeTarget:
    """Keeps what it is sent; answers at once with what `says` says, or when told."""

    def __init__(self, settings, context):
        self.settings = settings
        self.context = context
        self.max_batch = settings.batch
        self.whole = settings.batch > 1
        self.capacity = settings.window
        self.sent = []
        self.open = []
        self.got = []
        self.says = None
        self.stopped = False

    def start(self):
        return succeed(None)

    def stop(self):
        self.stopped = True
        return succeed(None)

    def send(self, records, settle):
        assert len(records) <= self.max_batch
        seqs = [r.seq for r in records]
        self.sent.append(seqs)
        verdict = self.says(records) if self.says else None
        if verdict is None:
            self.open.append((records, settle))
        else:
            self._settle(records, settle, verdict)

    def _settle(self, records, settle, verdict):
        if verdict is DELIVERED:
            self.got += [r.seq for r in records]
        settle([r.seq for r in records], verdict)

    def answer(self, verdict=DELIVERED, which=0):
        self._settle(*self.open.pop(which), verdict)

    def answer_all(self, verdict=DELIVERED):
        while self.open:
            self.answer(verdict)

    def check(self):
        return succeed({"ok": True, "detail": "fine"})

    def status(self):
        return {"state": "connected"}


class FakeType:
    name = "fake"
    settings = Settings

    def __init__(self, reactor):
        self.targets = []

    def build(self, settings, context):
        target = FakeTarget(settings, context)
        if context.id:
            self.targets.append(target)
        return target


class Events:
    def __init__(self):
        self.all = []

    def emit(self, event):
        self.all.append(event)

    @property
    def types(self):
        return [event.type for event in self.all]


class World:
    """One integration ``i1`` of type fake, on a clock that begins at a million seconds."""

    def __init__(self, journal=None, clock=None, batch=1, window=4, says=None, apply=True, **spec):
        self.journal = journal or MemoryJournal()
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(1_000_000)
        self.events = Events()
        self.types = Types("iotgw.none", self.clock, [FakeType])
        self.service = DeliveryService(
            self.journal, self.types, self.clock, self.events, lambda id_: f"name-of-{id_}"
        )
        self.service.start()
        spec.setdefault("retry", RetrySpec(initial=1.0, multiplier=2.0, cap=60.0, max_attempts=3))
        self.spec = IntegrationSpec(
            name="one", type="fake", configuration={"batch": batch, "window": window}, **spec
        )
        if apply:
            self.service.apply("i1", "one", "default", self.spec)
            self.target.says = says

    @property
    def now_ms(self):
        return int(self.clock.seconds() * 1000)

    @property
    def target(self):
        return self.types.get("fake").targets[-1]

    @property
    def outbox(self):
        return self.service.entry("i1").outbox

    def store(self, *devices, feed=True, **how):
        """Store a record per device name, and tell the service."""
        how.setdefault("received_ms", self.now_ms)
        new = [record(self.journal.head + 1 + n, device, **how) for n, device in enumerate(devices)]
        self.journal.records += new
        if feed:
            self.service.feed(new)
        return [r.seq for r in new]

    def stats(self):
        stats = self.service.stats("i1")
        assert stats["balanced"], stats
        return stats

    def accounts(self):
        stats = self.stats()
        return {key: stats[key] for key in ("queued", "delivered", "inflight", "waiting", "dead", "expired")}

    def crash(self, **how):
        """A new service on what the journal has."""
        world = World(self.journal.durable(), self.clock, apply=False)
        world.spec = self.spec
        world.service.apply("i1", "one", "default", self.spec)
        return world


def queue(**how):
    return QueueSpec(**how)


def fired(deferred: Deferred):
    """The result of a Deferred that must have fired."""
    results = []
    deferred.addBoth(results.append)
    assert results, "the Deferred did not fire"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]
