"""Who may speak for a device: the table of the rule, and who owns what over time."""

import pytest
from twisted.internet.defer import Deferred

from iotgw import testing
from iotgw.core.model import Kind, Output, TelemetryRecord, Uplink
from iotgw.devices.speakers import ASSET, Speakers

MUST = "device 'meter-7' has a credential, and must prove what it is"
THEIRS = "device 'd' belongs to another datasource"
PROVED = "device 'd' has proved what it is before, and must prove it again"


def record(device, datasource, body=b'{"deviceName"', kind=Kind.TELEMETRY):
    return TelemetryRecord(1, 1, "default", datasource, 0, device, "t", body, kind)


class World:
    """Datasources a, b, c of a tenant. meter-7 has a credential, meter-8 one that lets it speak without."""

    def __init__(self):
        self.clock = testing.clock()
        self.registry = testing.MemoryRegistry(self.clock)
        self.ids = {name: self.create(name) for name in "abc"}
        self.credentials = testing.MemoryCredentials()
        self.credentials.add_psk("sim-7", b"key", "meter-7")
        self.credentials.add_psk("sim-8", b"key", "meter-8", allow_insecure=True)
        self.devices = testing.MemoryDevices()
        self.sources = testing.FakeSources()
        self.start()

    def create(self, name):
        return testing.fired(self.registry.create("datasource", "default", name, {"type": "http"})).id

    def start(self, **more):
        self.speakers = Speakers(self.devices, self.credentials, self.sources, self.registry, **more)
        testing.fired(self.speakers.start())

    def trust(self, name, speaks_for):
        self.sources.trust[self.ids[name]] = speaks_for

    def object_to(self, name, device, proved="", tenant="default"):
        return self.speakers.objection(tenant, self.ids[name], device, proved)

    def hear(self, name, device, proved="", body=b'{"deviceName"'):
        self.speakers.heard("default", self.ids[name], [Output(device, "t", body)], proved)

    def owner(self, device="d"):
        id = self.speakers.owner("default", device)
        return next((name for name, known in self.ids.items() if known == id), id)

    def delete(self, name):
        testing.fired(self.registry.delete("datasource", self.ids[name]))


@pytest.fixture
def world():
    return World()


class TestADeviceWithCredentials:
    @pytest.mark.parametrize(
        ("trust", "proved", "objection"),
        [
            ("own", "", MUST),
            ("own", "meter-8", MUST),
            ("unproved", "", MUST),
            ("all", "", ""),
            ("own", "meter-7", ""),
        ],
    )
    def test_is_spoken_for_by_itself_and_by_who_is_trusted(self, world, trust, proved, objection):
        world.trust("a", trust)
        assert world.object_to("a", "meter-7", proved) == objection

    def test_is_it_even_where_it_was_introduced_before_it_had_them(self, world):
        world.hear("a", "d")
        assert world.object_to("a", "d") == ""
        world.credentials.add_psk("sim-d", b"key", "d")
        assert "has a credential" in world.object_to("a", "d")

    def test_is_of_its_tenant_only(self, world):
        assert world.object_to("a", "meter-7", tenant="acme") == ""

    def test_may_speak_without_them_where_they_say_so_and_still_belongs_to_its_datasource(self, world):
        world.hear("a", "meter-8", "meter-8")
        assert world.object_to("a", "meter-8") == ""
        assert "another datasource" in world.object_to("b", "meter-8")
        assert world.object_to("b", "meter-8", "meter-8") == ""

    def test_is_whom_an_identity_may_not_name_either(self, world):
        object_to = world.speakers.identity_objection
        assert object_to("default", world.ids["a"], "meter-7") == MUST
        assert object_to("default", world.ids["a"], "meter-7", "meter-7") == ""
        world.hear("a", "d")
        assert object_to("default", world.ids["b"], "d") == "", "a number that is a name by chance"


class TestADeviceWithoutCredentials:
    def test_belongs_to_the_datasource_that_introduced_it(self, world):
        assert [world.object_to(name, "d") for name in "ab"] == ["", ""]
        world.hear("a", "d")
        assert [world.object_to(name, "d") for name in "ab"] == ["", THEIRS]
        world.hear("b", "d")
        assert world.owner() == "a"

    @pytest.mark.parametrize("trust", ["unproved", "all"])
    def test_may_be_spoken_for_by_who_is_trusted_and_belongs_to_whom_it_did(self, world, trust):
        world.hear("a", "d")
        world.trust("b", trust)
        assert world.object_to("b", "d") == ""
        world.hear("b", "d")
        assert world.object_to("a", "d") == ""
        world.trust("b", "own")
        assert world.object_to("b", "d") == THEIRS

    def test_that_has_proved_what_it_is_must_do_so_again_and_wins_over_who_used_its_name(self, world):
        world.hear("a", "d")
        world.hear("b", "d", proved="d")
        assert world.owner() == "b"
        assert [world.object_to(name, "d") for name in "ab"] == [PROVED, PROVED]
        assert world.object_to("a", "d", proved="d") == ""

    def test_an_asset_belongs_to_nobody(self, world):
        world.hear("a", "d", body=ASSET + b':"d"}')
        assert world.object_to("b", "d") == ""

    def test_and_an_asset_may_not_have_the_name_of_a_device(self, world):
        world.hear("a", "d")
        assert world.object_to("b", "d") == THEIRS


class TestOverTime:
    def test_it_is_known_after_a_restart(self, world):
        world.hear("a", "d")
        world.hear("a", "p", proved="p")
        world.start()
        assert world.object_to("b", "d") == THEIRS
        assert "has proved" in world.object_to("a", "p")

    def test_what_belonged_to_a_deleted_datasource_is_taken_by_who_names_it_next(self, world):
        world.hear("a", "d")
        world.delete("a")
        assert [world.object_to(name, "d") for name in "bc"] == ["", ""]
        world.hear("b", "d")
        assert (world.owner(), world.object_to("c", "d")) == ("b", THEIRS)

    def test_and_after_a_restart_between(self, world):
        world.hear("a", "d")
        world.delete("a")
        world.start()
        assert world.owner() == ""
        world.hear("b", "d")
        world.start()
        assert world.object_to("c", "d") == THEIRS

    def test_a_device_is_handed_over(self, world):
        world.hear("a", "d", proved="d")
        world.speakers.hand_over("default", "d", world.ids["b"])
        assert world.object_to("b", "d") == ""
        world.start()
        assert (world.owner(), world.object_to("a", "d")) == ("b", THEIRS)

    def test_records_that_were_not_seen_before_a_crash_are_learned(self, world):
        world.hear("a", "d")
        a, b = world.ids["a"], world.ids["b"]
        world.speakers.learn(
            [
                record("d", b),
                record("e", b),
                record("gone", "deleted"),
                record("asset", b, ASSET),
                record("event", b, kind=Kind.EVENT),
            ]
        )
        assert [world.owner(name) for name in ("d", "e", "gone", "asset", "event")] == ["a", "b", "", "", ""]
        assert world.devices.owned["default", "e"] == (b, False)
        assert world.devices.owned["default", "d"] == (a, False)

    def test_the_devices_of_a_datasource_are_those_that_belong_to_it_now(self, world):
        def owned(name):
            found = world.speakers.owned("default", world.ids[name])
            assert len(found) == len([*found]) and all(device in found for device in found)
            return sorted(found)

        assert owned("a") == []
        world.hear("a", "d")
        world.hear("a", "e", proved="e")
        world.hear("b", "f")
        assert (owned("a"), owned("b")) == (["d", "e"], ["f"])
        assert "f" not in world.speakers.owned("default", world.ids["a"])
        world.speakers.hand_over("default", "d", world.ids["b"])
        world.speakers.disown("default", "e")
        assert (owned("a"), owned("b")) == ([], ["d", "f"])
        world.delete("b")
        assert owned("b") == []

    def test_names_that_a_stranger_makes_up_do_not_fill_the_memory(self, world):
        world.start(most=3)
        for number in range(9):
            world.hear("a", f"made-up-{number}")
        world.hear("b", "d")
        owned = [world.owner(f"made-up-{number}") for number in range(9)]
        assert owned == ["a"] * 3 + [""] * 6
        assert world.owner() == "b"


class TestLearningAgain:
    """The devices' states were lost, and are being learned from the journal while messages come in."""

    @pytest.fixture
    def world(self, world):
        world.speakers.begin_learning()
        return world

    def test_a_name_that_is_not_known_yet_is_not_given_to_who_uses_it_first(self, world):
        world.hear("b", "d")
        assert world.object_to("b", "d") == ""  # its message is taken
        assert world.owner() == ""
        world.speakers.learn([record("d", world.ids["a"])])
        world.speakers.end_learning()
        assert (world.owner(), world.object_to("b", "d")) == ("a", THEIRS)

    def test_what_nobody_had_belongs_to_who_used_it_first_meanwhile(self, world):
        for name in "bc":
            world.hear(name, "d")
        world.speakers.end_learning()
        assert (world.owner(), world.object_to("c", "d")) == ("b", THEIRS)

    def test_downlinks_wait_until_it_is_known_whose_they_are(self, world):
        def take(name, device, proved=""):
            return world.speakers.taking_objection("default", world.ids[name], device, proved)

        assert "still being learned" in take("b", "d")
        assert take("b", "d", "d") == ""
        world.trust("c", "all")
        assert take("c", "d") == ""
        world.speakers.learn([record("d", world.ids["a"])])
        assert (take("a", "d"), take("b", "d")) == ("", THEIRS)
        world.speakers.end_learning()
        assert take("b", "new") == ""

    def test_a_device_that_proves_itself_need_not_wait(self, world):
        world.hear("b", "d", "d")
        assert world.owner() == "b"
        world.speakers.learn([record("d", world.ids["a"])])
        assert world.owner() == "b"

    def test_who_had_proved_himself_must_do_so_again(self, world):
        journal = testing.MemoryJournal(world.clock)
        metadata = b'{"identity":"d","identityType":"x509"}'
        uplink = Uplink("default", world.ids["a"], 0, b"", metadata)
        assert journal.append(uplink, (lambda answer: None, None)) == 1
        journal.flush()
        world.speakers.learn([record("d", world.ids["a"])])
        testing.fired(Deferred.fromCoroutine(world.speakers.learn_proofs(journal)))
        world.speakers.end_learning()
        assert world.object_to("a", "d") == PROVED
        assert world.object_to("a", "d", "d") == ""


class TestAtAGlance:
    """What `familiar` knows, `objection` and `heard` would find as well."""

    @pytest.fixture
    def world(self):
        world = World()
        world.credentials = testing.MemoryCredentials()
        world.start()
        world.hear("a", "d")
        return world

    def familiar(self, world, name="a"):
        return world.speakers.familiar("default", world.ids[name])

    def test_a_datasource_knows_the_devices_that_it_has_introduced(self, world):
        is_familiar = self.familiar(world)
        assert is_familiar("d") and not is_familiar("e")
        world.hear("a", "e")
        assert is_familiar("e")

    def test_one_that_has_introduced_none_knows_nobody(self, world):
        assert self.familiar(world, "b") is None

    def test_nobody_is_known_at_a_glance_where_devices_have_credentials(self, world):
        world.credentials.add_psk("sim-7", b"key", "meter-7")
        assert self.familiar(world) is None

    def test_nor_is_who_has_proved_what_it_is_or_was_handed_over_or_forgotten(self, world):
        for name in ("p", "q", "r"):
            world.hear("a", name)
        world.hear("a", "p", proved="p")
        world.speakers.hand_over("default", "q", world.ids["b"])
        world.speakers.disown("default", "r")
        is_familiar = self.familiar(world)
        assert [is_familiar(name) for name in "dpqr"] == [True, False, False, False]

    def test_nor_what_belonged_to_a_datasource_that_is_gone(self, world):
        world.delete("a")
        assert self.familiar(world) is None
