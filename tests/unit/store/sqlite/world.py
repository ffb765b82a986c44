"""A journal as the tests of this room use one; `iotgw.testing.contracts.journal_world` does the work."""

from msgspec.structs import replace

from iotgw.testing.contracts import Threaded
from iotgw.testing.contracts.journal_world import JournalWorld, event, output, parked


class World(Threaded, JournalWorld):
    """``make(clock)`` gives a journal over the same storage each time. Who waits for an uplink is its payload."""

    def __init__(self, clock, make):
        self.clock, self.make = clock, make
        self.reopen()

    def open(self):
        journal = self.make(self.clock)
        self.wait(journal.start(self.listener))
        return journal

    def close(self, journal):
        self.wait(journal.stop())

    @property
    def journal(self):
        return self.part

    def append(self, *payloads, **more):
        return [self.journal.append(self.uplink(payload, **more), payload) for payload in payloads]


__all__ = ["World", "event", "output", "parked", "replace"]
