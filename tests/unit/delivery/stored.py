"""A delivery service over a real journal of a small size, whose targets a test controls."""

from iotgw import testing
from iotgw.core.model import Outcome, Output, State, Uplink
from iotgw.core.specs import IntegrationSpec, QueueSpec, RetrySpec
from iotgw.core.types import Types
from iotgw.core.verdict import Unavailable
from iotgw.delivery.service import DeliveryService
from iotgw.store.space import JournalLimits
from iotgw.store.sqlite.journal import Journal
from iotgw.testing.contracts.journal_world import HeardJournal

AWAY = Unavailable("no route to host")


class StoredWorld:
    """``max_bytes`` is the size of the journal. ``says`` is what each target answers."""

    def __init__(self, path, max_bytes, says=lambda records: AWAY, clock=None, **integrations):
        self.path, self.max_bytes, self.says = path, max_bytes, says
        self.clock = clock or testing.ThreadClock()
        self.integrations = {}
        self.open()
        for name, how in integrations.items():
            self.add(name, **how)

    def open(self):
        self.journal = Journal(
            self.clock, self.path / "journal.db", JournalLimits(7 * 86_400_000, self.max_bytes)
        )
        self.listener = HeardJournal()
        self.clock.wait(self.journal.start(self.listener))
        self.events = testing.MemoryEvents()
        self.types = Types("iotgw.none", self.clock, [lambda reactor: testing.FakeIntegrationType()])
        self.service = DeliveryService(
            self.journal, self.types, self.clock, self.events, str, store_bytes=self.max_bytes
        )
        self.listener.at_records = self.service.feed
        self.service.start()
        for name, spec in self.integrations.items():
            self.apply(name, spec)

    def add(self, name, queue=None, **how):
        how.setdefault("retry", RetrySpec(initial=3600.0, multiplier=1.0, cap=3600.0, max_attempts=3))
        self.integrations[name] = spec = IntegrationSpec(
            name=name, type="fake", queue=QueueSpec(**(queue or {})), **how
        )
        self.apply(name, spec)

    def apply(self, name, spec):
        self.clock.wait(self.service.apply(name, name, "default", spec))
        self.target(name).says = self.says

    def target(self, name):
        return next(
            target for target in reversed(self.types.get("fake").targets) if target.context.id == name
        )

    def close(self):
        self.clock.wait(self.service.stop())
        self.clock.wait(self.journal.stop())

    def restart(self):
        self.close()
        self.open()

    # --- traffic

    def store(self, count, device="d", size=1000):
        """Have so many messages received and converted, one commit; False, and none, where there is no room."""
        if not (self.journal.room and self.service.room()):
            return False
        uplinks = self.receive(count)
        body = b'{"deviceName":"%s","pad":"%s"}' % (device.encode(), b"x" * size)
        outputs = (Output(device, "", body),)
        self.journal.settle(
            "ds", uplinks[-1], [Outcome(seq, State.CONVERTED, "c/1", outputs) for seq in uplinks]
        )
        self.clock.wait(self.journal.durable())
        return True

    def receive(self, count, datasource="ds", size=100):
        """Have so many messages received; their positions."""
        now_ms = int(self.clock.seconds() * 1000)
        waiter = (lambda answer: None, None)
        uplinks = [
            self.journal.append(Uplink("default", datasource, now_ms, b"u" * size, b"{}"), waiter)
            for _ in range(count)
        ]
        self.clock.wait(self.journal.durable())
        return uplinks

    def second(self):
        """Let a second go by, and the journal finish what it does in it."""
        self.clock.advance(1.0)
        for _ in range(2):
            self.journal.forget("nobody")
            self.clock.wait(self.journal.read_parked("nobody", None, 0, 1))

    def fill(self, most=400, **how):
        """Store until there is no room, or so many times; how often it went."""
        for times in range(most):
            if not self.store(5, **how):
                return times
            self.second()
        return most

    # --- what is there

    def stats(self, name):
        stats = self.service.stats(name)
        assert stats["balanced"], stats
        return stats

    def used(self):
        return self.clock.wait(self.journal.stats())["bytes"]

    def events_of(self, type):
        return [event for event in self.events.all if event.type == type]
