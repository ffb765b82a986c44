"""What is stored beside the journal, in either database, passes the suites of any store of it."""

from msgspec.structs import replace

from iotgw.core.device_entry import DeviceEntry, DeviceSpec
from iotgw.core.downlink_item import ItemState
from iotgw.core.ports.debug import DebugEntry
from iotgw.core.ports.platform_names import Claimed, NameClaim
from iotgw.store import downlinks
from iotgw.testing.contracts import (
    DebugStoreContract,
    DeviceEntriesContract,
    DevicesContract,
    DownlinkStoreContract,
    EventsContract,
    KeptContract,
    PlatformNamesContract,
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


class TestPlatformNames(Stored, PlatformNamesContract):
    kind = "registry"

    def open(self):
        self.registry = super().open()
        return self.backend.platform_names(self.registry)

    def close(self, names):
        self.wait(self.registry.stop())

    def test_whoever_deletes_a_device_sets_its_name_free(self):
        assert self.claim(("default", "boiler", "a"), ("acme", "boiler", "a"), ("default", "pump", "b"))
        entries = self.backend.entries(self.registry)
        self.wait(entries.write([DeviceEntry("default", DeviceSpec(name="boiler"), 1, 5, 6)]))
        self.wait(entries.write([], [("default", "boiler")]))
        claimed = self.claim(("default", "boiler", "c"), ("acme", "boiler", "c"), ("default", "pump", "c"))
        assert claimed == [Claimed("c", True), Claimed("a"), Claimed("b")]

    def test_beyond_what_a_tenant_may_have_no_name_is_given(self):
        assert self.part
        few = self.backend.platform_names(self.registry, most=2)
        claims = [NameClaim("default", name, "i") for name in "abc"]
        assert self.wait(few.claim(claims)) == [Claimed("i", True), Claimed("i", True), Claimed("")]
        assert self.wait(few.claim([*claims, NameClaim("acme", "a", "i")])) == [
            Claimed("i"),
            Claimed("i"),
            Claimed(""),
            Claimed("i", True),
        ]


class TestItems(Stored, DownlinkStoreContract):
    kind = "items"

    def test_what_is_over_is_forgotten_after_a_while_without_a_restart(self, monkeypatch):
        monkeypatch.setattr(downlinks, "STEP", 2)
        over = [self.item(seq, state) for seq, state in enumerate(ItemState, 1)]
        late = replace(self.item(20, ItemState.SENT), expires_ms=self.now_ms + 2 * downlinks.KEEP_MS)
        self.save(*over, late)
        self.clock.advance(downlinks.KEEP_MS / 1000 + downlinks.SWEEP)
        self.save(self.item(30, ItemState.FAILED))
        for _ in range(10):
            self.clock.advance(downlinks.PAUSE)
            self.wait(self.part.flushed())
            left = self.wait(self.part.of_device("default", "dev", 100))
        assert [(item.seq, item.state) for item in left] == [
            (30, ItemState.FAILED),
            (20, ItemState.SENT),
            *[(item.seq, item.state) for item in over if item.state is ItemState.QUEUED],
        ]


class TestDevices(Stored, DevicesContract):
    kind = "devices"


class TestKept(Stored, KeptContract):
    kind = "kept"


class TestEvents(Stored, EventsContract):
    kind = "events"


class TestUsage(Stored, UsageStoreContract):
    kind = "usage"


class TestDebug(Stored, DebugStoreContract):
    def open(self):
        part = self.backend.debug(self.clock, max_bytes=3_000_000)
        self.wait(part.start())
        return part

    def test_the_oldest_go_where_there_is_no_room(self):
        for number in range(1_100):
            self.part.add("default", f"e-{number}", DebugEntry(1, "conversion", {"text": "x" * 3_000}))
            if number % 200 == 0:
                self.wait(self.part.of("default", ""))
        assert self.wait(self.part.of("default", "e-0")) == []
        assert len(self.wait(self.part.of("default", "e-1099"))) == 1
