"""Downlinks on a database of several nodes: each hears of the others' items, and one of them sends an item."""

import pytest

from iotgw.core.device_entry import DeviceEntry, DeviceSpec
from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.errors import Conflict
from iotgw.core.specs import DownlinkSpec
from iotgw.store.postgres import schema
from iotgw.store.postgres.downlinks import PostgresItems, Unnamed
from iotgw.store.postgres.entries import PostgresEntries
from iotgw.store.postgres.registry import PostgresRegistry
from iotgw.testing.contracts.base import ThreadClock

pytestmark = pytest.mark.interop


class World:
    def __init__(self, address, key):
        self.clock, self.address, self.key = ThreadClock(), address, key
        with address.connect() as connection:
            schema.upgrade(connection)
            connection.execute(
                "INSERT INTO node (name, part, is_up, alive_at) VALUES ('a', 1, true, now()), ('b', 2, true, now())"
            )
        self.wait = self.clock.wait
        self.stores = {}
        for part, name in enumerate("ab", 1):
            self.stores[name] = PostgresItems(address, self.clock, None, Unnamed(name, part, 5.0))
            self.wait(self.stores[name].start())

    def item(self, id="dl1", state=ItemState.QUEUED):
        return Item(id, 1, "default", "dev", DownlinkSpec(msg={"n": 1}), state, 1, 1, 1 << 50)

    def stop(self):
        for store in self.stores.values():
            self.wait(store.stop())


@pytest.fixture
def world(address, tmp_path):
    world = World(address, tmp_path / "secret.key")
    yield world
    world.stop()


def test_an_item_is_claimed_by_one_node(world):
    a, b = world.stores.values()
    world.wait(a.save([world.item()]))
    assert world.wait(b.claim("dl1"))
    assert not world.wait(a.claim("dl1"))
    assert world.wait(b.claim("dl1"))
    assert not world.wait(a.claim("nobody"))


def test_what_a_dead_node_has_claimed_another_one_may_send(world):
    a, b = world.stores.values()
    world.wait(a.save([world.item()]))
    assert world.wait(b.claim("dl1"))
    with world.address.connect() as connection:
        connection.execute("UPDATE node SET alive_at = now() - interval '1 hour' WHERE name = 'b'")
    assert world.wait(a.claim("dl1"))


def test_what_was_sent_is_not_claimed_and_what_came_back_is(world):
    a, b = world.stores.values()
    world.wait(a.save([world.item()]))
    assert world.wait(a.claim("dl1"))
    world.wait(a.save([world.item(state=ItemState.SENT)]))
    assert not world.wait(b.claim("dl1"))
    world.wait(a.save([world.item()]))
    assert world.wait(b.claim("dl1"))


def test_a_node_hears_what_the_others_write_and_nothing_of_its_own(world):
    a, b = world.stores.values()
    heard = {"a": [], "b": []}
    for name, store in world.stores.items():
        store.watch(heard[name].extend)
    world.wait(a.save([world.item()]))
    for store in (a, b):
        store.follow()
    world.clock.until(lambda: heard["b"])
    world.wait(a.flushed())
    assert [each.id for each in heard["b"]] == ["dl1"] and not heard["a"]


def test_the_numbers_of_items_are_each_nodes_own(world):
    a, b = world.stores.values()
    assert [a.next_seq(0), a.next_seq(1), a.next_seq(1500), b.next_seq(1500)] == [1, 1001, 2001, 2002]


def test_an_entry_that_another_node_has_changed_is_no_ones_to_overwrite(world):
    def entries():
        registry = PostgresRegistry(world.clock, world.address, world.key)
        world.wait(registry.start())
        return registry, PostgresEntries(registry)

    (one, mine), (other, theirs) = entries(), entries()
    heard = []
    theirs.watch(lambda saved, gone: heard.append(([each.name for each in saved], gone)))
    saved = DeviceEntry("default", DeviceSpec(name="d", label="Boiler"), 1, 5, 5)
    world.wait(mine.write([saved]))
    world.wait(theirs.write([DeviceEntry("default", DeviceSpec(name="d"), 1, 6, 6)], is_made=True))
    assert world.wait(mine.load()) == [saved]
    with pytest.raises(Conflict):
        world.wait(theirs.write([DeviceEntry("default", DeviceSpec(name="d"), 3, 6, 6)]))
    theirs.follow()
    world.clock.until(lambda: heard == [(["d"], [])])
    world.wait(mine.write([], [("default", "d")]))
    theirs.follow()
    world.clock.until(lambda: heard[1:] == [([], [("default", "d")])])
    for registry in (one, other):
        world.wait(registry.stop())
