"""Two devices of one name on a platform stay two here: over restarts, at once, and whatever operators say."""

import pytest
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.device_entry import DeviceSpec
from iotgw.core.errors import Unavailable
from iotgw.core.ports.platform_names import NamedDevice
from iotgw.devices.fleet import Fleet
from iotgw.devices.platform_names import PlatformNames

A, B, C = "70b3d57ed0000001", "70b3d57ed0000002", "70b3d57ed0000003"


class World:
    def __init__(self, most=250_000, room=250_000):
        self.rows = testing.MemoryPlatformNames(room)
        self.clock = Clock()
        self.fleet = Fleet(
            testing.MemoryDeviceEntries(), testing.MemoryDevices(), testing.FakeSpeakers(), testing.MemoryRegistry(self.clock),
            self.clock, PlainCalendar(self.clock), lambda watch, what, is_wrong, value: None,
        )  # fmt: skip
        testing.fired(self.fleet.start())
        self.most = most
        self.restart()

    def restart(self):
        self.names = PlatformNames(self.rows, self.fleet, self.most)

    def ask(self, identity, name="boiler", tenant="default", **more):
        metadata = {"deviceName": name, "identity": identity, **more}
        return self.names.known(tenant, metadata) or testing.fired(self.names.learn(tenant, metadata))

    def called(self, identity, name="boiler", tenant="default", **more):
        return self.ask(identity, name, tenant, **more).name

    def save(self, name, **said):
        testing.fired(self.fleet.save("default", DeviceSpec(name=name, **said)))


@pytest.fixture
def world():
    return World()


def test_the_first_identity_has_a_name_and_another_one_its_own(world):
    assert world.ask(A) == NamedDevice("boiler")
    assert world.ask(B) == NamedDevice(f"boiler-{B}", A, True)
    assert (world.called(A), world.called(B)) == ("boiler", f"boiler-{B}")
    assert world.called(B, "pump") == "pump"


def test_that_a_name_is_taken_is_new_once_and_not_after_a_restart(world):
    world.ask(A)
    assert [world.ask(B).is_new for _ in range(3)] == [True, False, False]
    world.restart()
    assert world.ask(B) == NamedDevice(f"boiler-{B}", A)
    assert world.ask(A) == NamedDevice("boiler")


def test_who_is_known_is_not_asked_for_again(world):
    for _ in range(5):
        world.ask(A)
        world.ask(B)
    assert world.rows.claims == 3  # of A, of B, and of B's own name


def test_an_eui_is_the_same_in_any_spelling(world):
    assert world.called(A.upper()) == "boiler"
    assert world.called(A) == "boiler"
    assert world.called("-".join(A[at : at + 2] for at in range(0, 16, 2))) == "boiler"
    assert world.called(B.upper()) == f"boiler-{B}"


def test_devices_of_one_id_in_two_applications_are_told_apart_by_their_euis(world):
    assert world.called("sensor-1", "sensor-1", devEui=A) == "sensor-1"
    assert world.called("sensor-1", "sensor-1", devEui=B) == f"sensor-1-{B}"
    assert world.called("sensor-1", "sensor-1", devEui=A) == "sensor-1"


def test_tenants_have_names_of_their_own(world):
    assert world.called(A, tenant="acme") == world.called(B, tenant="bolt") == "boiler"


def test_the_name_of_its_own_may_be_taken_too(world):
    assert world.called(C, f"boiler-{B}") == f"boiler-{B}"
    world.called(A)
    assert world.called(B) == f"boiler-{B}-{B}"
    assert world.called(B) == f"boiler-{B}-{B}"


def test_names_stay_within_what_a_device_may_be_called(world):
    long = "ä" * 255
    assert world.called(A, long) == long
    own = world.called(B, long)
    assert len(own) == 255
    assert own.endswith(f"ä-{B}")
    assert world.called(B, "x" * 256) == "x" * 256  # whoever checks names says so
    assert world.called(B, "a\0b") == "a\0b"
    odd = world.called("i" * 300, long)
    assert len(odd) == 255
    assert odd != own


def test_whoever_says_no_identity_or_a_strange_one_is_called_as_it_says(world):
    for strange in ([], {}, None, 7, ""):
        assert world.names.known("default", {"deviceName": "x", "identity": strange}) == NamedDevice("x")
    assert world.names.known("default", {"deviceName": "x"}) == NamedDevice("x")
    assert world.called("sensor", "x", devEui=["a"]) == "x"


def test_those_who_come_while_a_name_is_asked_for_are_told_in_order(world):
    world.rows.held = []
    told = []
    for number, identity in enumerate([A, B, A, B]):
        asked = world.names.learn("default", {"deviceName": "boiler", "identity": identity})
        asked.addCallback(lambda found, number=number: told.append((number, found.name)))
    assert told == []
    world.rows.let_go()
    assert sorted(told) == [(0, "boiler"), (1, f"boiler-{B}"), (2, "boiler"), (3, f"boiler-{B}")]
    assert [number for number, _ in told if number % 2] == [1, 3]
    assert [number for number, _ in told if not number % 2] == [0, 2]


def test_those_of_a_while_are_asked_for_together(world):
    world.rows.held = []
    asked = [world.names.learn("default", {"deviceName": f"d{n}", "identity": f"i{n}"}) for n in range(900)]
    world.rows.let_go()
    assert [testing.fired(each).name for each in asked] == [f"d{n}" for n in range(900)]
    assert world.rows.claims == 3


def test_while_the_database_is_away_nobody_is_told_anything(world):
    world.ask(A)
    world.rows.fault = Unavailable("away")
    asked = world.names.learn("default", {"deviceName": "boiler", "identity": B})
    with pytest.raises(Unavailable):
        testing.fired(asked)
    assert world.called(A) == "boiler"
    world.rows.fault = None
    assert world.called(B) == f"boiler-{B}"


def test_an_operator_moves_a_name_to_new_hardware(world):
    world.called(A)
    world.called(B)
    world.save("boiler", identity=B.upper())
    assert world.called(B) == "boiler"
    assert world.ask(A) == NamedDevice(f"boiler-{A}", B, True)
    assert testing.fired(world.names.owner("default", "boiler")) == B
    world.save("boiler", label="Boiler", identity=B)
    assert world.called(B) == "boiler"


def test_an_operator_may_say_whose_a_name_is_before_it_is_heard(world):
    world.save("boiler", identity=B)
    assert world.called(A) == f"boiler-{A}"
    assert world.called(B) == "boiler"


def test_an_operator_may_name_the_platforms_own_id(world):
    world.save("s1", identity="sensor-1")
    assert world.called("sensor-1", "s1", devEui=A) == "s1"


def test_an_entry_without_an_identity_says_nothing(world):
    world.called(A)
    world.save("boiler", label="Boiler")
    assert (world.called(A), world.called(B)) == ("boiler", f"boiler-{B}")


def test_deleting_a_device_sets_its_name_free(world):
    world.called(A)
    world.called(B)
    world.save("boiler")
    del world.rows.stored["default", "boiler"]  # as the stores do together with the entry
    testing.fired(world.fleet.delete("default", "boiler"))
    assert world.called(B) == "boiler"
    assert world.called(A) == f"boiler-{A}"


def test_where_a_tenant_has_too_many_names_everybody_goes_by_his_own():
    world = World(room=1)
    assert world.called(A) == "boiler"
    assert world.called(A, "pump") == f"pump-{A}"
    assert world.called(B, "pump") == f"pump-{B}"


def test_what_is_kept_in_memory_is_bounded():
    world = World(most=3)
    for number in range(20):
        assert world.called(f"i{number}", f"d{number}") == f"d{number}"
    assert len(world.names._known) <= 3
    assert world.called(A, "d0") == f"d0-{A}"


def test_whose_a_name_is_known_once_somebody_asked(world):
    assert not world.names.is_anothers("default", "boiler", B)
    world.called(A)
    world.called(B)
    assert world.names.is_anothers("default", "boiler", B)
    assert world.names.is_anothers("default", "boiler", "sensor-1")
    assert not world.names.is_anothers("default", "boiler", A.upper())
    assert not world.names.is_anothers("default", f"boiler-{B}", B)
