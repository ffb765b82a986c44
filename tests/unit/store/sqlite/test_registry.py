import pytest
from zope.interface.verify import verifyObject

from iotgw.core.errors import Conflict, IotgwError, NotFound
from iotgw.core.ports.registry import IRegistry
from iotgw.store.sqlite.registry import Registry


class World:
    def __init__(self, clock, data_dir):
        self.clock, self.data_dir = clock, data_dir
        self.open()

    def open(self):
        self.registry = Registry(self.clock, self.data_dir)
        self.clock.wait(self.registry.start())

    def reopen(self):
        self.clock.wait(self.registry.stop())
        self.open()

    def create(self, name="a", body=None, kind="datasource", tenant="default"):
        return self.clock.wait(self.registry.create(kind, tenant, name, body or {"type": "coap"}))

    def replace(self, resource, body, **kwargs):
        return self.clock.wait(self.registry.replace(resource.kind, resource.id, body, **kwargs))

    def delete(self, resource, **kwargs):
        return self.clock.wait(self.registry.delete(resource.kind, resource.id, **kwargs))


@pytest.fixture
def world(clock, tmp_path):
    world = World(clock, tmp_path)
    yield world
    clock.wait(world.registry.stop())


def test_provides_the_interface(world):
    assert verifyObject(IRegistry, world.registry)


def test_a_resource_is_found_by_id_and_by_name(world):
    made = world.create("a", {"port": 5683})
    assert (made.revision, made.name, made.body) == (1, "a", {"port": 5683})
    assert world.registry.get("datasource", made.id) is world.registry.get("datasource", "a", "default")
    with pytest.raises(NotFound, match="no integration 'a'"):
        world.registry.get("integration", "a")


def test_resources_outlast_a_restart(world):
    made = world.create("a")
    world.clock.advance(5)
    changed = world.replace(made, {"type": "tcp"})
    gone = world.create("b")
    world.delete(gone)
    world.reopen()
    assert world.registry.list("datasource") == [changed]
    assert changed.updated_ms == made.updated_ms + 5000
    assert changed.created_ms == made.created_ms


def test_a_tenant_sees_its_own(world):
    a, b = world.create("x", tenant="acme"), world.create("x", tenant="bolt")
    assert world.registry.list("datasource", "acme") == [a]
    assert world.registry.get("datasource", "x", "bolt") is b
    with pytest.raises(NotFound):
        world.registry.get("datasource", a.id, "bolt")
    with pytest.raises(NotFound):
        world.registry.get("datasource", "x")  # whose?
    assert world.registry.list("datasource") == [a, b]


def test_a_name_is_taken_once_per_tenant_and_kind(world):
    world.create("a")
    world.create("a", tenant="acme")
    world.create("a", kind="integration")
    with pytest.raises(Conflict, match="already a datasource 'a'"):
        world.create("a")
    other = world.create("b")
    with pytest.raises(Conflict):
        world.replace(other, {}, name="a")


def test_a_name_is_free_again_after_a_change(world):
    made = world.create("a")
    renamed = world.replace(made, {}, name="b")
    assert world.registry.get("datasource", "b", "default") is renamed
    world.create("a")
    world.delete(renamed)
    world.create("b")


def test_two_creations_at_once_make_one(world):
    first = world.registry.create("datasource", "default", "a", {})
    second = world.registry.create("datasource", "default", "a", {})
    world.clock.wait(first)
    with pytest.raises(Conflict):
        world.clock.wait(second)


def test_a_stale_revision_is_refused(world):
    made = world.create("a")
    world.replace(made, {"n": 1}, revision=1)
    with pytest.raises(Conflict, match="expected revision 2, got 1"):
        world.replace(made, {"n": 2}, revision=1)
    with pytest.raises(Conflict):
        world.delete(made, revision=1)
    world.delete(made, revision=2)
    with pytest.raises(NotFound):
        world.delete(made)


def test_watchers_hear_of_changes_of_their_kind(world):
    heard = []
    world.registry.watch("datasource", lambda old, new: heard.append((old, new)))
    world.create("other", kind="integration")
    made = world.create("a")
    changed = world.replace(made, {"n": 1})
    world.delete(changed)
    assert heard == [(None, made), (made, changed), (changed, None)]


def test_a_watcher_that_fails_stops_nobody(world):
    heard = []
    world.registry.watch("datasource", lambda old, new: 1 / 0)
    world.registry.watch("datasource", lambda old, new: heard.append(new))
    made = world.create("a")
    assert heard == [made]


def test_what_is_saved_shares_nothing_with_the_caller(world):
    body = {"list": [1]}
    made = world.create("a", body)
    body["list"].append(2)
    assert made.body == world.registry.get("datasource", made.id).body == {"list": [1]}


def test_a_secret_is_not_in_the_file_and_opens_after_a_restart(world):
    sealed = world.registry.seal("hunter2-ü")
    assert sealed != world.registry.seal("hunter2-ü")
    world.create("a", {"password": sealed})
    world.reopen()
    assert (
        world.registry.unseal(world.registry.get("datasource", "a", "default").body["password"])
        == "hunter2-ü"
    )
    files = b"".join(path.read_bytes() for path in world.data_dir.glob("registry.db*"))
    assert b"hunter2" not in files
    assert (world.data_dir / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_secret_of_another_key_does_not_open(world):
    sealed = world.registry.seal("hunter2")
    (world.data_dir / "secret.key").write_bytes(bytes(32))
    world.reopen()
    with pytest.raises(IotgwError, match=r"secret\.key"):
        world.registry.unseal(sealed)
    with pytest.raises(IotgwError, match="expected a sealed secret"):
        world.registry.unseal("hunter2")


def test_a_key_file_cut_short_is_refused(world, clock):
    clock.wait(world.registry.stop())
    (world.data_dir / "secret.key").write_bytes(b"short")
    with pytest.raises(IotgwError, match="expected a key of 32 bytes, got 5"):
        clock.wait(Registry(clock, world.data_dir).start())
    (world.data_dir / "secret.key").unlink()
    world.open()
