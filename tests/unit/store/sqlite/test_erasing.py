"""A tenant's messages are taken out of the journal."""

import pytest

from iotgw.store.forgotten import ForgottenMessages
from iotgw.store.sqlite import erasing
from iotgw.store.sqlite.journal import Journal
from iotgw.testing import ThreadClock
from tests.unit.store.sqlite.world import World


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(erasing, "PIECE", 3)
    made = World(ThreadClock(), lambda clock: Journal(clock, tmp_path / "journal.db"))
    made.clock.callLater = lambda seconds, function, *args: made.clock.callFromThread(function, *args)
    yield made
    made.teardown_method()


def fill(world, *tenants):
    """A converted message of each tenant, in this order; returns their positions."""
    seqs = []
    for tenant in tenants:
        seqs += world.store(b"secret of %s" % tenant.encode(), datasource=f"of {tenant}", tenant=tenant)
        world.convert(seqs[-1], device=f"{tenant}-device", datasource=f"of {tenant}")
    return seqs


def of(world, tenant):
    return [each.seq for each in world.clock.wait(world.journal.messages(tenant, 0, 100))]


def forget(world, tenant):
    return world.clock.wait(ForgottenMessages(world.journal.erase, world.clock).forget_tenant(tenant))


def test_all_of_a_tenant_goes_and_nothing_of_others(world):
    seqs = fill(world, *["north", "south"] * 7)
    assert forget(world, "north") == 14
    assert of(world, "north") == []
    assert of(world, "south") == seqs[1::2][::-1]
    assert forget(world, "north") == 0
    fill(world, "south")
    assert len(of(world, "south")) == 8


def test_the_newest_row_stays_empty_so_that_no_position_comes_again(world):
    seqs = fill(world, "south", "north")
    assert forget(world, "north") == 2
    assert of(world, "north") == []
    left = world.clock.wait(world.journal.message(seqs[1]))
    assert (left.uplink.tenant, left.uplink.payload, left.uplink.metadata) == ("", b"", b"{}")
    world.reopen()
    assert world.journal.last_uplink == seqs[1]
    fill(world, "south")
    assert len(of(world, "south")) == 2


def test_a_tenant_that_has_nothing_costs_nothing(world):
    fill(world, "south")
    assert forget(world, "nobody") == 0
