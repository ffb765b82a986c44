"""A tenant that is deleted is forgotten in all partitions, also by nodes that come later."""

import pytest
from twisted.internet.defer import fail, succeed

from iotgw.core.errors import Unavailable
from iotgw.store.postgres import schema
from iotgw.store.postgres.erasures import EVERY, Erasures
from iotgw.testing import ThreadClock

pytestmark = pytest.mark.interop


class Store:
    """Notes whom it was to forget; the first ``refusals`` times it can't."""

    def __init__(self, refusals=0):
        self.forgotten, self._refusals = [], refusals

    def forget_tenant(self, tenant):
        if self._refusals:
            self._refusals -= 1
            return fail(Unavailable("not now"))
        self.forgotten.append(tenant)
        return succeed(1)


@pytest.fixture
def clock():
    return ThreadClock()


@pytest.fixture
def connection(address):
    with address.connect() as connection:
        schema.upgrade(connection)
        connection.execute("INSERT INTO partition (id, owner_epoch) VALUES (1, 1), (2, 1), (3, 0)")
        yield connection


@pytest.fixture
def join(clock, address, connection):
    """Starts what a node has of it."""
    nodes = []

    def start(part, store):
        erasures = Erasures(clock, address)
        erasures.start()
        erasures.hold(part, [store])
        nodes.append(erasures)
        return erasures

    yield start
    for each in nodes:
        clock.wait(each.stop())


def passes(clock, happened):
    """Let time pass until something has happened."""

    def looked():
        clock.advance(EVERY)
        return happened()

    clock.until(looked)


def test_whoever_deletes_a_tenant_waits_until_each_partition_has_forgotten_it(clock, join):
    mine, others = Store(), Store(refusals=2)
    a = join(1, mine)
    done = []
    a.forget_tenant("north").addCallback(done.append)
    passes(clock, lambda: mine.forgotten)
    assert not done, "the other node has not come yet"
    join(2, others)
    passes(clock, lambda: done)
    assert (mine.forgotten, others.forgotten) == (["north"], ["north"])
    again = []
    a.forget_tenant("north").addCallback(again.append)
    passes(clock, lambda: again)
    assert (mine.forgotten, others.forgotten) == (["north"] * 2, ["north"] * 2)


def test_a_partition_that_is_adopted_is_forgotten_in_by_whoever_has_it(clock, join):
    mine, adopted = Store(), Store()
    a = join(1, mine)
    a.hold(2, [adopted])
    done = []
    a.forget_tenant("north").addCallback(done.append)
    passes(clock, lambda: done)
    assert adopted.forgotten == ["north"]
    a.let_go(2)
    after = []
    a.forget_tenant("south").addCallback(after.append)
    passes(clock, lambda: "south" in mine.forgotten)
    assert not after
    join(2, adopted)
    passes(clock, lambda: after)


def test_a_node_that_was_away_hears_of_all_but_those_that_have_something_again(clock, join, connection):
    a = join(1, Store())
    a.hold(2, [Store()])
    for tenant in ("north", "south"):
        done = []
        a.forget_tenant(tenant).addCallback(done.append)
        passes(clock, lambda done=done: done)
    connection.execute("INSERT INTO resource VALUES ('d', 'datasource', 'south', 'd', 1, 0, 0, '')")
    assert clock.wait(a.erased()) == ["north"]
