"""The databases of a gateway as the tests of this room use them."""

from iotgw import testing
from iotgw.core.recorder import Recorder
from iotgw.store.backups import Backups
from iotgw.store.sqlite.downlinks import DownlinkStore
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.registry import Registry
from tests.unit.jumps import Jumps
from tests.unit.store.sqlite.world import World


class Data:
    """The databases of a gateway, open, and what makes backups of them."""

    def __init__(self, clock, folder):
        self.clock, self.folder = clock, folder
        self.world = World(clock, lambda clock: Journal(clock, folder / "journal.db"))
        self.registry, self.downlinks = Registry(clock, folder), DownlinkStore(folder, clock)
        self.events = testing.MemoryEvents()
        self.jumps = Jumps(clock)
        clock.wait(self.registry.start())
        clock.wait(self.downlinks.start())
        self.backups = Backups(
            clock, folder, folder / "backups",
            [self.journal.between_commits, self.registry.between_commits, self.downlinks.between_commits],
            Recorder(self.events, clock), self.jumps.calendar,
        )  # fmt: skip
        clock.wait(self.backups.start())

    @property
    def journal(self):
        return self.world.journal

    def take(self, name="b1", with_key=False):
        return self.clock.wait(self.backups.take(name, with_key))

    def close(self):
        for part in (self.backups, self.downlinks, self.registry):
            self.clock.wait(part.stop())
        self.world.teardown_method()
