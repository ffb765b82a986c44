"""What any store of devices' entries does."""

from __future__ import annotations

from iotgw.core.device_entry import DeviceEntry, DeviceSpec
from iotgw.core.ports.devices import IDeviceEntries
from iotgw.testing.contracts.base import Contract

FULL = DeviceSpec(
    name="ä/1", label="Boiler", type="meter", groups=("cellar", "north"), latitude=47.5, longitude=-8.25, place="1st floor",
    serial="SN 1", identity="urn:imei:1", notes="two\nlines", tags={"owner": "Ada", "empty": ""}, report_every=0.0,
    battery_below=20.0, battery_key="batt", signal_below=-110.0, signal_key="rsrp",
)  # fmt: skip


class DeviceEntriesContract(Contract[IDeviceEntries]):
    """For `IDeviceEntries`."""

    def entry(self, name: str = "a", tenant: str = "default", revision: int = 1) -> DeviceEntry:
        """An entry."""
        return DeviceEntry(tenant, DeviceSpec(name=name, type="t"), revision, 5, 6)

    def stored(self) -> list[DeviceEntry]:
        """All that is stored, after a restart."""
        found: list[DeviceEntry] = self.wait(self.reopen().load())
        return sorted(found, key=lambda each: (each.tenant, each.name))

    def test_all_that_is_said_of_a_device_outlasts_a_restart(self) -> None:
        entry = DeviceEntry("acme", FULL, 3, 1000, 2000)
        self.wait(self.part.write([entry]))
        assert self.stored() == [entry]

    def test_tenants_may_have_devices_of_one_name(self) -> None:
        entries = [self.entry("a", "acme"), self.entry("a", "bolt")]
        self.wait(self.part.write(entries))
        self.wait(self.part.write([], [("acme", "a")]))
        assert self.stored() == entries[1:]

    def test_a_later_entry_takes_the_place_of_an_earlier_one(self) -> None:
        self.wait(self.part.write([self.entry()]))
        self.wait(self.part.write([self.entry(revision=2)]))
        assert self.stored() == [self.entry(revision=2)]

    def test_many_are_written_and_deleted_at_once(self) -> None:
        names = [f"d{number:05}" for number in range(2500)]
        self.wait(self.part.write([self.entry(name) for name in names]))
        self.wait(self.part.write([self.entry("z")], [("default", name) for name in names[1:]]))
        assert [each.name for each in self.stored()] == ["d00000", "z"]

    def test_deleting_what_is_not_there_is_no_error(self) -> None:
        self.wait(self.part.write([], [("default", "nobody")]))
        assert self.stored() == []
