"""A journal in memory whose disk is slow when told, and a delivery service on a clock."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.specs import IntegrationSpec, QueueSpec, RetrySpec
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.testing import fired
from iotgw.testing import telemetry as record

__all__ = ["SlowJournal", "World", "fired", "queue", "record"]


class SlowJournal(testing.MemoryJournal):
    """With ``lag`` progress is durable when a test calls `commit`; with ``lazy`` then, or before the next look at parked
    records. While ``slow`` is a list, reads of parked records wait in it, each with what it found."""

    lag = lazy = False
    slow = None

    @property
    def queue(self):
        return self.__dict__.setdefault("_queue", [])

    @property
    def records(self):
        return list(self.storage.records.values())

    @property
    def cursors(self):
        return self.storage.integrations

    @property
    def parked(self):
        return self.storage.parked

    def progress(self, progress):
        if self.lag or self.lazy:
            self.queue.append(progress)
        else:
            super().progress(progress)

    def commit(self):
        for progress in self.queue:
            super().progress(progress)
        self.queue.clear()

    def committed(self):
        if self.lazy:
            self.commit()
        return succeed(None)

    def read_parked(self, integration, state, after, limit):
        if self.lazy:
            self.commit()
        found = super().read_parked(integration, state, after, limit)
        if self.slow is None:
            return found
        self.slow.append((Deferred(), fired(found)))
        return self.slow[-1][0]

    def parked_behind(self, integration, device, after, limit):
        if self.lazy:
            self.commit()
        return super().parked_behind(integration, device, after, limit)


class World:
    """One integration ``i1`` of type fake, on a clock that begins at a million seconds."""

    def __init__(
        self,
        journal=None,
        clock=None,
        batch=1,
        window=4,
        says=None,
        apply=True,
        calendar=None,
        downlink=None,
        **spec,
    ):
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(1_000_000)
        self.journal = journal or SlowJournal(self.clock, epoch="E")
        self.events = testing.MemoryEvents()
        self.types = Types("iotgw.none", self.clock, [lambda reactor: testing.FakeIntegrationType()])
        self.service = DeliveryService(
            self.journal,
            self.types,
            self.clock,
            self.events,
            lambda id_: f"name-of-{id_}",
            downlink,
            calendar=calendar,
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
        self.journal.put(new)
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

    def crash(self, hold=False):
        """A new service on what the journal has."""
        world = World(self.journal.crashed(), self.clock, apply=False)
        if hold:
            world.service.hold()
        world.spec = self.spec
        world.service.apply("i1", "one", "default", self.spec)
        return world


def queue(**how):
    return QueueSpec(**how)
