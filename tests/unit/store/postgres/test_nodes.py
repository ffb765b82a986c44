"""Several nodes on one database: their names, what a dead one leaves, and what runs once."""

import threading
import time
from functools import partial

import pytest
from twisted.internet.defer import succeed

from iotgw.core.errors import NotFound, SettingsError
from iotgw.store.postgres import names, schema
from iotgw.store.postgres.journal import PostgresJournal
from iotgw.store.postgres.keeper import LeaseKeeper
from iotgw.store.postgres.node import DatabaseNode
from iotgw.store.postgres.nodes import Backlogs, DatabaseNodes, Duties
from iotgw.store.postgres.partition import adopt, take
from iotgw.testing.contracts.base import ThreadClock
from iotgw.testing.contracts.journal_world import HeardJournal
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop
LEASE = 2.0


@pytest.fixture
def connection(address):
    with address.connect() as connection:
        schema.upgrade(connection)
        yield connection


def test_a_node_without_a_name_is_called_as_its_machine_or_is_the_only_one(connection):
    assert names.join(connection, "", "m1") == names.NodeName("m1", 1)
    assert names.join(connection, "", "m2") == names.NodeName("m1", 1)  # a machine that replaces a lost one
    assert names.join(connection, "b", "m2") == names.NodeName("b", 2)
    assert names.join(connection, "", "m3") == names.NodeName("m3", 3)
    assert names.join(connection, "", "m1") == names.NodeName("m1", 1)


def test_nodes_that_come_at_once_get_a_partition_each(address, connection):
    found = []

    def join(name):
        with address.connect() as own:
            found.append(names.join(own, name, "m"))

    threads = [threading.Thread(target=join, args=(f"n{n}",)) for n in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(each.part for each in found) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["", "-a", "a b", "ä", "a/b", "a" * 64])
def test_a_name_that_no_node_may_have_is_refused(name):
    with pytest.raises(SettingsError):
        names.check(name)


def test_a_partition_is_adopted_when_its_owner_is_dead_and_by_one_only(address, connection):
    with address.connect() as owner:
        mine = take(owner, 1, "a", lease=LEASE)
        assert adopt(connection, 1, "b", lease=LEASE) is None
    assert adopt(connection, 1, "b", lease=LEASE) is None  # its session ended; its lease has not
    connection.execute("UPDATE partition SET alive_at = now() - interval '1 hour'")
    with address.connect() as third:
        adopted = adopt(connection, 1, "b", lease=LEASE)
        assert adopted is not None and adopted.epoch == mine.epoch + 1
        assert adopt(third, 1, "c", lease=LEASE) is None


def heard(connection, part=1):
    """When the owner of a partition was heard of, in seconds."""
    return connection.execute("SELECT extract(epoch FROM alive_at)::float8 FROM partition WHERE id = %s", (part,)).fetchone()[0]  # fmt: skip


def test_a_start_keeps_its_lease_for_as_long_as_it_takes(address, connection, tmp_path):
    """Nothing but a thread of its own says it: the reactor has other things to do."""
    clock = ThreadClock()
    node = DatabaseNode(clock, address, tmp_path / "key", "a", lease=LEASE)
    clock.wait(node.start())
    taken = heard(connection)
    wait_until(lambda: heard(connection) > taken + LEASE)
    journal = PostgresJournal(clock, node)
    clock.wait(journal.start(HeardJournal()))
    opened = heard(connection)
    wait_until(
        lambda: heard(connection) > opened + LEASE
    )  # the clock stands still: no order comes from the reactor
    clock.wait(journal.stop())


def test_who_lost_a_partition_says_no_more_that_its_owner_lives(address, connection):
    with address.connect() as owner:
        keeper = LeaseKeeper(address, take(owner, 1, "a", lease=LEASE), LEASE)
    connection.execute("UPDATE partition SET owner_epoch = owner_epoch + 1")
    taken = heard(connection)
    keeper._thread.join()
    assert heard(connection) == taken


class Node:
    """A node of a database, which notes what it is told to do."""

    def __init__(self, clock, address, key, name):
        self.clock = clock
        self.node = DatabaseNode(clock, address, key, name, lease=LEASE)
        self.nodes = DatabaseNodes(clock, self.node)
        self.adopted, self.ended, self.drains, self.moves, self.others = [], [], [], [], []
        self.figures = Backlogs(1, 2)

    def start(self, *seeks):
        self.clock.wait(self.node.start())
        for what in seeks:
            self.nodes.seek(what, partial(self._moved, what))
        self.clock.wait(
            self.nodes.start(
                Duties(self._begin, self._end, lambda: self.figures, self.drains.append, self.others.append)
            )
        )
        return self

    def _moved(self, what):
        self.moves.append(self.nodes.holds(what))

    def _begin(self, held, home):
        self.adopted.append((held.part, home))
        self.connection, _ = held.hand_over()
        held.taken_up()
        return succeed(None)

    def _end(self, part):
        self.ended.append(part)
        self.connection.close()
        return succeed(None)

    def stop(self):
        self.clock.wait(self.nodes.stop())
        self.clock.wait(self.nodes.leave())
        self.clock.wait(self.node.stop())


class Nodes:
    def __init__(self, address, key):
        self.clock, self.address, self.key = ThreadClock(), address, key
        self.all = []

    def node(self, name, *seeks):
        node = Node(self.clock, self.address, self.key, name).start(*seeks)
        self.all.append(node)
        return node

    def turn(self, happened):
        """Let the nodes look again and again until something has happened."""

        def looked():
            self.clock.advance(0.2)
            time.sleep(0.01)
            self.clock.callFromThread(lambda: None)  # also when no thread says anything
            return happened()

        self.clock.until(looked)

    def died(self, node):
        """A node ends without a word, some time ago."""
        self.all.remove(node)
        node.nodes._tick.stop()
        self.clock.wait(node.node.stop())
        with self.address.connect() as connection:
            connection.execute(
                "UPDATE node SET alive_at = now() - interval '1 hour' WHERE name = %s", (node.nodes.name,)
            )
            connection.execute(
                "UPDATE lease SET alive_at = now() - interval '1 hour' WHERE node = %s", (node.nodes.name,)
            )
            connection.execute(
                "UPDATE partition SET alive_at = now() - interval '1 hour' WHERE owner = %s",
                (node.nodes.name,),
            )


@pytest.fixture
def nodes(address, tmp_path):
    nodes = Nodes(address, tmp_path / "secret.key")
    yield nodes
    for node in nodes.all:
        node.stop()


def test_what_runs_once_runs_on_one_node_and_on_another_when_that_is_gone(nodes):
    a = nodes.node("a", "datasource/1")
    b = nodes.node("b", "datasource/1")
    nodes.turn(lambda: a.nodes.holds("datasource/1"))
    assert not (a.nodes.holds("datasource/1") and b.nodes.holds("datasource/1"))
    nodes.all.remove(a)
    a.stop()  # in order: nobody has to wait
    nodes.turn(lambda: b.nodes.holds("datasource/1"))
    assert (a.moves[0], b.moves[-1]) == (True, True)
    c = nodes.node("c", "datasource/1")
    nodes.died(b)
    nodes.turn(lambda: c.nodes.holds("datasource/1"))


def test_a_node_is_not_drained_before_it_has_heard_that_it_drains(nodes):
    a, b = nodes.node("a"), nodes.node("b")
    a.figures = Backlogs()
    nodes.turn(lambda: a.nodes.list()[0].waiting == 0)
    nodes.all.remove(a)
    a.nodes._tick.stop()  # it stands still
    nodes.clock.wait(b.nodes.drain("a", True))
    assert (b.nodes.list()[0].state, a.drains) == ("draining", [])
    nodes.clock.wait(a.nodes.leave())
    nodes.clock.wait(a.node.stop())


def test_what_stays_runs_on_a_node_that_drains_until_another_one_can_run_it(nodes):
    a = nodes.node("a")
    a.nodes.seek("integration/1", lambda: None, stays=True)
    nodes.turn(lambda: a.nodes.holds("integration/1"))
    nodes.clock.wait(a.nodes.drain("a", True))
    nodes.turn(lambda: a.drains == [True])
    looks = len(a.others)
    nodes.turn(lambda: len(a.others) > looks + 2)
    assert a.nodes.holds("integration/1")
    b = nodes.node("b", "integration/1")
    nodes.turn(lambda: b.nodes.holds("integration/1"))
    assert not a.nodes.holds("integration/1")
    assert a.others[-1] == {b.node.part}


def test_what_a_node_gives_up_another_one_runs(nodes):
    a, b = nodes.node("a", "x"), nodes.node("b", "x")
    nodes.turn(lambda: a.nodes.holds("x"))
    a.nodes.give_up("x")
    assert not a.nodes.holds("x")
    nodes.turn(lambda: b.nodes.holds("x"))


def test_who_has_not_renewed_its_lease_does_not_count_on_it(nodes):
    a = nodes.node("a", "x")
    nodes.turn(lambda: a.nodes.holds("x"))
    with nodes.address.connect() as other, other.transaction():
        other.execute("LOCK TABLE node IN ACCESS EXCLUSIVE MODE")  # the database doesn't answer
        nodes.turn(lambda: a.moves == [True, False])
        assert not a.nodes.holds("x")
    nodes.turn(lambda: a.nodes.holds("x"))


def test_a_dead_nodes_partition_is_adopted_and_handed_back_to_its_home(nodes):
    a, b = nodes.node("a"), nodes.node("b")
    nodes.died(a)
    nodes.turn(lambda: b.adopted == [(1, "a")])
    nodes.turn(
        lambda: (
            [(each.name, each.state, each.held_by) for each in b.nodes.list()]
            == [("a", "dead", "b"), ("b", "up", "b")]
        )
    )
    again = Node(ThreadClock(), nodes.address, nodes.key, "a")
    started = []
    again.node.start().addBoth(started.append)
    nodes.turn(lambda: b.ended == [1])
    again.clock.until(lambda: started == [None])
    again.clock.wait(again.node.stop())


def test_a_draining_node_adopts_nothing_runs_nothing_and_says_when_it_is_drained(nodes):
    a, b = nodes.node("a", "x"), nodes.node("b")
    nodes.turn(lambda: a.nodes.holds("x"))
    nodes.clock.wait(b.nodes.drain("a", True))
    nodes.turn(lambda: a.drains == [True] and not a.nodes.holds("x"))
    assert b.nodes.list()[0].state == "draining"
    a.figures = Backlogs()
    nodes.turn(lambda: b.nodes.list()[0].state == "drained")
    nodes.clock.wait(b.nodes.drain("a", False))
    nodes.turn(lambda: a.drains == [True, False] and a.nodes.holds("x"))
    with pytest.raises(NotFound):
        nodes.clock.wait(b.nodes.drain("z", True))
