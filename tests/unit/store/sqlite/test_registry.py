"""What is the SQLite registry's own; it passes the suite of any registry in tests/contract."""

import pytest

from iotgw.core.errors import Conflict, IotgwError, NotFound
from iotgw.store.sqlite.registry import Registry
from iotgw.testing.contracts import RegistryContract, Threaded


class World(Threaded, RegistryContract):
    def __init__(self, clock, data_dir):
        self.clock, self.data_dir = clock, data_dir

    def open(self):
        registry = Registry(self.clock, self.data_dir)
        self.wait(registry.start())
        return registry

    def close(self, registry):
        self.wait(registry.stop())

    @property
    def registry(self):
        return self.part


@pytest.fixture
def world(clock, tmp_path):
    world = World(clock, tmp_path)
    yield world
    world.teardown_method()


def test_an_error_names_what_was_asked_for(world):
    world.create("a")
    with pytest.raises(NotFound, match="no integration 'a'"):
        world.registry.get("integration", "a")
    with pytest.raises(Conflict, match="already a datasource 'a'"):
        world.create("a")
    made = world.registry.get("datasource", "a")
    world.replace(made, {"n": 1}, revision=1)
    with pytest.raises(Conflict, match="expected revision 2, got 1"):
        world.replace(made, {"n": 2}, revision=1)


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
    world.registry  # noqa: B018 (it makes the key)
    world.teardown_method()
    (world.data_dir / "secret.key").write_bytes(b"short")
    with pytest.raises(IotgwError, match="expected a key of 32 bytes, got 5"):
        clock.wait(Registry(clock, world.data_dir).start())
    (world.data_dir / "secret.key").unlink()
    world.reopen()
