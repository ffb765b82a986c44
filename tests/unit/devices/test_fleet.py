"""Devices as operators know them: how they come, are found, change, are watched and go, over restarts."""

import msgspec
import pytest
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.device_entry import GROUP, TYPE, DeviceSpec
from iotgw.core.errors import Conflict, NoSpace, NotFound
from iotgw.core.model import Kind
from iotgw.core.ports.devices import DeviceFilter
from iotgw.devices.fleet import Fleet


class World:
    def __init__(self, most=250_000):
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.entries, self.devices = testing.MemoryDeviceEntries(), testing.MemoryDevices()
        self.owners, self.registry = testing.FakeSpeakers(), testing.MemoryRegistry(self.clock)
        self.most = most
        self.told = []
        self.start()

    def start(self):
        self.fleet = Fleet(
            self.entries, self.devices, self.owners, self.registry, self.clock, PlainCalendar(self.clock),
            lambda watch, what, is_wrong, value: self.told.append((watch.name, what, is_wrong)), self.most,
        )  # fmt: skip
        testing.fired(self.fleet.start())

    def restart(self, after=0):
        self.fleet.rest()
        testing.fired(self.fleet.stop())
        self.clock.advance(after)
        self.start()

    def hear(self, name, tenant="default", device_type="t", kind=Kind.TELEMETRY, **values):
        record = testing.telemetry(1, name, received_ms=int(self.clock.seconds() * 1000))
        record = msgspec.structs.replace(record, tenant=tenant, device_type=device_type, kind=kind)
        self.devices.saw([record])
        self.fleet.settled([], [record])

    def save(self, name, revision=None, **said):
        return testing.fired(self.fleet.save("default", DeviceSpec(name=name, **said), revision))

    def names(self, tenant="default", after="", limit=100, **wanted):
        return self.fleet.names(tenant, DeviceFilter(**wanted), after, limit)

    def settings(self, kind, name, tenant="default", **body):
        return testing.fired(self.registry.create(kind, tenant, name, body))

    def wait(self, seconds):
        self.clock.pump([1.0] * int(seconds))


@pytest.fixture
def world():
    return World()


def test_a_device_that_sends_is_there_and_stays_over_a_restart(world):
    world.hear("a", device_type="meter")
    assert world.names() == ["a"]
    assert world.fleet.type_of("default", "a") == "meter"
    world.restart()
    assert world.names(type="meter") == ["a"]
    assert world.fleet.get("default", "a").revision == 1


def test_new_devices_are_written_together_and_not_with_their_message(world):
    for number in range(100):
        world.hear(f"d{number}")
    writes = world.entries.writes
    world.wait(1)
    assert (world.entries.writes, len(world.entries.stored)) == (writes + 1, 100)
    world.wait(10)
    assert world.entries.writes == writes + 1


def test_new_devices_that_cannot_be_written_are_written_when_they_can(world):
    world.entries.fault = NoSpace("full")
    world.hear("a")
    world.wait(3)
    assert world.names() == ["a"]
    world.entries.fault = None
    world.wait(2)
    assert ("default", "a") in world.entries.stored


def test_what_an_operator_says_in_the_meantime_is_not_overwritten(world):
    world.hear("a")
    world.save("a", label="Boiler")
    world.wait(2)
    world.restart()
    assert world.fleet.get("default", "a").spec.label == "Boiler"


def test_devices_that_were_known_before_there_were_entries_get_theirs_once(world):
    fresh = World()
    fresh.registry = testing.MemoryRegistry(fresh.clock)  # of an earlier version: nobody has learned yet
    fresh.devices.saw([testing.telemetry(1, "old")])
    fresh.start()
    assert fresh.names() == ["old"]
    testing.fired(fresh.fleet.delete("default", "old"))
    fresh.devices.saw([testing.telemetry(1, "old")])  # its state is learned again from a journal
    fresh.restart()
    assert fresh.names() == []


def test_no_more_devices_come_by_messages_than_may():
    world = World(most=3)
    for number in range(5):
        world.hear(f"d{number}")
    world.hear("x", tenant="acme")
    assert world.names() == ["d0", "d1", "d2"]
    assert world.names("acme") == ["x"]
    world.save("by hand")
    assert world.fleet.count("default") == 4


def test_an_event_makes_no_device(world):
    world.hear("a", kind=Kind.EVENT)
    assert world.names() == []


def test_a_save_is_durable_before_it_is_told_and_nothing_changes_where_it_fails(world):
    world.save("a", label="one")
    world.entries.fault = NoSpace("full")
    with pytest.raises(NoSpace):
        world.save("a", label="two")
    with pytest.raises(NoSpace):
        world.save("b")
    assert world.fleet.get("default", "a").spec.label == "one"
    assert world.names() == ["a"]


def test_each_change_has_its_revision_and_a_stale_one_is_refused(world):
    made = world.save("a")
    world.clock.advance(5)
    changed = world.save("a", revision=1, label="x")
    assert (changed.revision, changed.created_ms, changed.updated_ms) == (
        2,
        made.created_ms,
        made.updated_ms + 5000,
    )
    with pytest.raises(Conflict, match="expected revision 2, got 1"):
        world.save("a", revision=1)
    with pytest.raises(NotFound):
        world.save("nobody", revision=1)
    with pytest.raises(Conflict, match="already a device 'a'"):
        testing.fired(world.fleet.save("default", DeviceSpec(name="a"), is_new=True))
    with pytest.raises(Conflict):
        testing.fired(world.fleet.delete("default", "a", 1))


def test_a_deleted_device_comes_again_with_its_next_message_and_without_its_past(world):
    world.save("a", label="Boiler", groups=("g",), identity="i", report_every=5)
    world.hear("a")
    world.wait(6)
    testing.fired(world.fleet.delete("default", "a"))
    assert (world.names(), world.fleet.groups("default"), world.fleet.is_known("default", "i")) == (
        [],
        {},
        False,
    )
    assert world.devices.known == {} == world.devices.troubled
    world.hear("a")
    assert world.fleet.get("default", "a").spec == DeviceSpec(name="a")


def test_devices_are_found_by_what_is_said_of_them(world):
    world.save("m-1", label="Boiler Room", groups=("cellar",), type="meter", tags={"floor": "0", "b": ""})
    world.save("m-2", serial="SN-77", groups=("cellar", "roof"), tags={"floor": "1"}, identity="urn:imei:1")
    world.save("x", place="On the ROOF", type="meter")
    world.owners.owners["default", "x"] = "ds1"
    testing.fired(world.fleet.save("acme", DeviceSpec(name="m-9", groups=("cellar",))))
    found = {
        name: world.names(**wanted)
        for name, wanted in {
            "text in a label": {"text": "boiler r"}, "in a serial": {"text": "sn-7"}, "in a place": {"text": "roof"},
            "in an identity": {"text": "IMEI"}, "group": {"group": "cellar"}, "type": {"type": "meter"}, "tag": {"tag": "floor"},
            "tag with a text": {"tag": "floor=1"}, "tag without one": {"tag": "b="}, "datasource": {"datasource": "ds1"},
            "both": {"type": "meter", "group": "cellar"}, "nobody": {"text": "nobody"},
        }.items()
    }  # fmt: skip
    assert found == {
        "text in a label": ["m-1"], "in a serial": ["m-2"], "in a place": ["x"], "in an identity": ["m-2"],
        "group": ["m-1", "m-2"], "type": ["m-1", "x"], "tag": ["m-1", "m-2"], "tag with a text": ["m-2"],
        "tag without one": ["m-1"], "datasource": ["x"], "both": ["m-1"], "nobody": [],
    }  # fmt: skip
    assert world.names(after="m-1", limit=1) == ["m-2"]
    world.save("m-1", label="Attic")
    assert world.names(text="boiler") == []


def test_groups_and_types_count_their_devices(world):
    world.save("a", groups=("g", "h"), type="t")
    world.save("b", groups=("g",))
    world.hear("b", device_type="t")
    world.hear("c", device_type="u")
    assert world.fleet.groups("default") == {"g": 2, "h": 1}
    assert (world.fleet.count("default", TYPE, "t"), world.fleet.count(None, GROUP, "g")) == (2, 2)
    world.save("a")
    assert world.fleet.groups("default") == {"g": 1}


def test_a_name_of_another_case_or_another_spelling_of_an_eui_is_found(world):
    world.save("70B3D57ED0001A2B")
    world.save("Kitchen")
    alike = world.fleet.alike
    assert alike("default", "70-b3-d5-7e-d0-00-1a-2b") == "70B3D57ED0001A2B"
    assert alike("default", "kitchen") == "Kitchen"
    assert alike("default", "Kitchen") == alike("default", "kitchens") == alike("acme", "kitchen") == ""


def test_many_are_saved_in_one_transaction_and_a_dry_run_changes_nothing(world):
    world.save("same", label="x")
    world.save("70B3D57ED0001A2B")
    specs = [
        DeviceSpec(name="new"), DeviceSpec(name="same", label="x"), DeviceSpec(name="70b3d57ed0001a2b"),
    ]  # fmt: skip
    for is_dry in (True, False):
        found = testing.fired(world.fleet.save_all("default", specs, is_dry))
        assert [each.outcome for each in found] == ["created", "unchanged", "refused"]
        assert ("new" in world.names()) is not is_dry
    assert "another spelling" in found[2].error


def test_silence_is_told_and_kept_over_a_restart(world):
    world.settings(TYPE, "meter", reportEvery=60)
    world.hear("a", device_type="meter")
    world.wait(61)
    assert world.told == [("a", "silent", True)]
    assert world.names(trouble="silent") == ["a"]
    assert world.fleet.in_trouble("default")["silent"] == 1
    world.restart(after=100)
    world.wait(200)
    assert world.told == [("a", "silent", True)], "it was told before"
    old = msgspec.structs.replace(testing.telemetry(1, "a", received_ms=5), device_type="meter")
    world.fleet.settled([], [old])
    assert world.told == [("a", "silent", True)], "what is converted again is no sign of life"
    assert world.fleet.health("default", "a").state == "troubled"
    world.hear("a", device_type="meter")
    assert world.told[1:] == [("a", "silent", False)]
    world.restart()
    assert world.fleet.health("default", "a").state == "well"


def test_who_became_due_while_the_gateway_was_down_has_a_period_from_the_start(world):
    world.save("a", report_every=60)
    world.hear("a")
    world.restart(after=600)
    world.wait(59)
    assert world.told == []
    world.wait(2)
    assert world.told == [("a", "silent", True)]


def test_the_time_before_a_restart_counts(world):
    world.save("a", report_every=600)
    world.hear("a")
    world.restart(after=500)
    world.wait(101)
    assert world.told == [("a", "silent", True)]


def test_settings_of_a_group_count_when_they_come_change_and_go(world):
    world.save("a", groups=("north",))
    world.wait(100)
    made = world.settings(GROUP, "north", reportEvery=60)
    world.wait(61)
    assert world.told == [("a", "silent", True)]
    testing.fired(world.registry.replace(GROUP, made.id, {"reportEvery": 6000}))
    assert world.told[1:] == [("a", "silent", False)]
    testing.fired(world.registry.delete(GROUP, made.id))
    assert world.fleet.health("default", "a").state == "unwatched"
    assert world.devices.troubled == {}


def test_settings_of_another_tenant_are_his(world):
    world.settings(GROUP, "north", tenant="acme", reportEvery=5)
    world.save("a", groups=("north",))
    assert world.fleet.health("default", "a").state == "unwatched"


def test_a_device_that_changes_its_type_is_watched_as_the_new_one(world):
    world.settings(TYPE, "meter", reportEvery=60)
    world.hear("a", device_type="t")
    assert world.fleet.health("default", "a").state == "unwatched"
    world.hear("a", device_type="meter")
    assert world.fleet.health("default", "a").report_every == 60


def test_who_comes_and_goes_is_told(world):
    heard = []
    world.fleet.watch(lambda *what: heard.append(what))
    world.hear("a")
    world.save("b")
    world.save("b", label="x")
    testing.fired(world.fleet.delete("default", "b"))
    assert heard == [("default", "a", True), ("default", "b", True), ("default", "b", False)]


def test_records_that_a_crash_kept_from_counting_make_their_devices(world):
    world.fleet.rest()
    world.save("a", label="kept")
    fleet = world.fleet = Fleet(
        world.entries, world.devices, world.owners, world.registry, world.clock, PlainCalendar(world.clock),
        lambda *what: None,
    )  # fmt: skip
    fleet.learn([testing.telemetry(1, "a"), testing.telemetry(2, "late")])
    testing.fired(fleet.start())
    assert world.names() == ["a", "late"]
    assert fleet.get("default", "a").spec.label == "kept"


def test_a_device_s_own_converter_is_found_by_any_of_its_names(world):
    told = []
    world.fleet.watch_own_converters(told.append)
    world.save("Cellar 2", identity="70B3D57ED0000017", converter="mine")
    world.save("plain")
    own = world.fleet.own_converter
    for name in ("Cellar 2", "70B3D57ED0000017", "70b3d57ed0000017", "70-B3-D5-7E-D0-00-00-17"):
        assert own("default", ["nobody", name]) == "mine"
    assert own("default", ["plain"]) == own("default", []) == own("other", ["Cellar 2"]) == ""
    assert set(world.fleet.own_converters("default")) == {"mine"} and not world.fleet.own_converters("other")
    world.restart()
    assert world.fleet.own_converter("default", ["Cellar 2"]) == "mine"
    assert told == ["default"]


def test_a_device_s_own_converter_changes_and_goes_with_it(world):
    told = []
    world.fleet.watch_own_converters(told.append)
    world.save("a", converter="one")
    world.save("a", converter="two", notes="x")
    world.save("a", converter="two")
    assert set(world.fleet.own_converters("default")) == {"two"}
    testing.fired(world.fleet.delete("default", "a"))
    assert not world.fleet.own_converters("default") and world.fleet.own_converter("default", ["a"]) == ""
    assert told == ["default"] * 3
