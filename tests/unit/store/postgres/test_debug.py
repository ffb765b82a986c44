"""What debugging keeps in PostgreSQL, as several nodes see it."""

import pytest

from iotgw.core.ports.debug import DebugEntry
from iotgw.store.postgres import schema
from iotgw.store.postgres.debug import PostgresDebug
from iotgw.testing import ThreadClock


@pytest.fixture
def clock():
    return ThreadClock()


@pytest.fixture
def nodes(address, clock):
    with address.connect() as connection:
        schema.upgrade(connection)
    made = [PostgresDebug(address, clock, 1 << 20, lambda name=name: name) for name in "ab"]
    for each in made:
        clock.wait(each.start())
    yield made
    for each in made:
        clock.wait(each.stop())


def entry(at):
    return DebugEntry(at, "conversion", {"text": f"at {at}"})


def test_what_one_keeps_of_a_message_the_other_shows_in_the_order_of_the_times(nodes, clock):
    a, b = nodes
    for each, at in ((a, 3), (b, 2), (a, 1)):
        each.add("default", "e-1", entry(at))
    a.add("acme", "e-1", entry(4))
    for each in nodes:
        clock.wait(each.of("default", ""))
    for each in nodes:
        assert clock.wait(each.of("default", "e-1")) == [entry(1), entry(2), entry(3)]


def test_each_makes_room_for_its_own_only(nodes, clock):
    a, b = nodes
    b.add("default", "of-b", entry(1))
    clock.wait(b.of("default", ""))
    for number in range(1_200):
        a.add("default", f"e-{number}", DebugEntry(1, "conversion", {"text": "x" * 1_000}))
    clock.wait(a.of("default", ""))
    assert clock.wait(a.of("default", "e-0")) == []
    assert clock.wait(a.of("default", "of-b")) == [entry(1)]


def test_a_tenant_is_forgotten_whoever_wrote(nodes, clock):
    a, b = nodes
    b.add("acme", "e-1", entry(1))
    clock.wait(b.of("acme", ""))
    assert clock.wait(a.forget_tenant("acme")) == 1
    assert clock.wait(b.of("acme", "e-1")) == []
