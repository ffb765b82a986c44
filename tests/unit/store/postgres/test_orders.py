"""What an operator orders on one node, the deliveries of all partitions do: once, in order, and also those that come later."""

import pytest
from twisted.internet.defer import succeed

from iotgw.core.errors import NotFound, Unavailable
from iotgw.core.ports.orders import Given, Order
from iotgw.store.postgres import orders, schema
from iotgw.store.postgres.orders import PostgresOrders
from iotgw.testing.contracts.base import ThreadClock

pytestmark = pytest.mark.interop


class Deliveries:
    """One partition's, which notes what is done."""

    def __init__(self, *known):
        self.known, self.done, self.fails = set(known), [], None

    def stats(self, id):
        if id not in self.known:
            raise NotFound(id)
        return {}

    def pause(self, id):
        if self.fails is not None:
            raise self.fails
        self.done.append(("pause", id))
        return succeed(None)

    def resume(self, id):
        self.done.append(("resume", id))
        return succeed(None)

    def purge(self, id):
        self.done.append(("purge", id))
        return succeed(7)


class Nodes:
    def __init__(self, address):
        self.clock, self.address = ThreadClock(), address
        self.all = []
        with address.connect() as db:
            schema.upgrade(db)
        self.has("x")
        self.has("y")

    def asked(self, query, *values):
        with self.address.connect() as db:
            return db.execute(query, values)

    def has(self, integration):
        self.asked("INSERT INTO resource VALUES (%s, 'integration', 'default', %s, 1, 0, 0, '{}')", integration, integration)  # fmt: skip

    def node(self, part, *known):
        self.asked("INSERT INTO partition (id, owner_epoch) VALUES (%s, 1) ON CONFLICT DO NOTHING", part)
        node = PostgresOrders(self.clock, self.address, lambda: part)
        deliveries = Deliveries(*known)
        node.hold(part, deliveries)
        node.start()
        self.all.append(node)
        return node, deliveries

    def given(self, node, id, order):
        """What became of an order; the clock goes on meanwhile."""
        results = []
        node.give(id, order).addBoth(results.append)
        self.turn(lambda: results)
        return results[0]

    def turn(self, happened):
        def looked():
            self.clock.advance(0.1)
            self.clock.callFromThread(lambda: None)
            return happened()

        self.clock.until(looked)


@pytest.fixture
def nodes(address):
    nodes = Nodes(address)
    yield nodes
    for node in nodes.all:
        nodes.clock.wait(node.stop())


def test_all_other_partitions_do_it_once_and_whoever_orders_hears_how_many_that_concerned(nodes, monkeypatch):
    monkeypatch.setattr(orders, "PATIENCE", float("inf"))
    (a, own), (_, b), (_, c) = (nodes.node(part, "x", "y") for part in (1, 2, 3))
    assert nodes.given(a, "x", Order("pause")) == Given(0, 0)
    assert nodes.given(a, "x", Order("purge")) == Given(14, 0)
    assert b.done == c.done == [("pause", "x"), ("purge", "x")]
    assert own.done == []


def test_a_partition_that_comes_later_is_as_the_last_pause_says(nodes, monkeypatch):
    monkeypatch.setattr(orders, "PATIENCE", float("inf"))
    a, _ = nodes.node(1, "x", "y")
    for id, action in (("x", "resume"), ("x", "pause"), ("y", "pause"), ("y", "resume")):
        nodes.given(a, id, Order(action))
    nodes.asked("UPDATE delivery_order SET at = now() - interval '2 days'")
    nodes.given(a, "y", Order("purge"))
    left = nodes.asked("SELECT count(*) FROM delivery_order").fetchall()
    assert left == [(3,)]
    _, late = nodes.node(2, "x", "y")
    nodes.turn(lambda: ("purge", "y") in late.done)
    assert late.done == [("pause", "x"), ("resume", "y"), ("purge", "y")]


def test_what_cannot_be_done_now_is_done_later_and_holds_up_its_own_integration_alone(nodes):
    a, _ = nodes.node(1, "x", "y")
    _, b = nodes.node(2, "x")
    b.fails = Unavailable("not now")
    assert nodes.given(a, "x", Order("pause")).left == 1
    assert nodes.given(a, "x", Order("resume")).left == 1
    assert nodes.given(a, "y", Order("purge")).left == 1
    assert b.done == []
    b.known.add("y")
    nodes.turn(lambda: b.done)
    assert b.done == [("purge", "y")]
    b.fails = None
    nodes.turn(lambda: len(b.done) == 3)
    assert b.done[1:] == [("pause", "x"), ("resume", "x")]


def test_an_order_of_an_integration_that_is_gone_is_forgotten(nodes):
    a, _ = nodes.node(1, "x", "y")
    nodes.given(a, "x", Order("pause"))
    nodes.asked("DELETE FROM resource WHERE id = 'x'")
    nodes.given(a, "y", Order("pause"))
    assert nodes.asked("SELECT integration FROM delivery_order").fetchall() == [("y",)]
