"""What is stored beside the journal, in either database, passes the suites of any store of it."""

from iotgw.testing.contracts import (
    DeviceEntriesContract,
    DevicesContract,
    DownlinkStoreContract,
    EventsContract,
    KeptContract,
    RegistryContract,
    UsageStoreContract,
)
from tests.contract.stores import Stored


class TestRegistry(Stored, RegistryContract):
    kind = "registry"


class TestEntries(Stored, DeviceEntriesContract):
    kind = "registry"

    def open(self):
        self.registry = super().open()
        return self.backend.entries(self.registry)

    def close(self, entries):
        self.wait(self.registry.stop())


class TestItems(Stored, DownlinkStoreContract):
    kind = "items"


class TestDevices(Stored, DevicesContract):
    kind = "devices"


class TestKept(Stored, KeptContract):
    kind = "kept"


class TestEvents(Stored, EventsContract):
    kind = "events"


class TestUsage(Stored, UsageStoreContract):
    kind = "usage"
