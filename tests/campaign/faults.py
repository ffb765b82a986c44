"""What befalls three nodes and their database. Each takes a `Cluster` whose nodes run, and leaves what it has broken to `Cluster.come_back`."""

import contextlib
import os
import time

from tests.peers.process import wait_until

from .cluster import LEASE, NAMES


def a_node_is_killed(cluster):
    """And another one adopts its partition."""
    name = cluster.dice.choice(NAMES)
    cluster.nodes[name].kill()
    cluster.until_adopted(name, time.monotonic())


def a_node_is_killed_and_starts_at_once(cluster):
    name = cluster.dice.choice(NAMES)
    cluster.nodes[name].kill()
    cluster.pause(0.0, LEASE)
    cluster.start(name)


def a_node_stands_still_beyond_its_lease(cluster):
    """It commits nothing after it, and ends."""
    name = cluster.dice.choice(NAMES)
    node = cluster.nodes[name]
    node.freeze()
    cluster.until_adopted(name, time.monotonic())
    cluster.pause(0.0, 2.0)
    node.thaw()
    wait_until(lambda: not node.alive, 120, f"{name}, which has lost its partition, to end")


def a_node_is_cut_off_from_the_database(cluster):
    """For less than its lease, or for longer."""
    cluster.cable.cut(lambda: cluster.pause(0.5, 3 * LEASE))
    _until_it_knows(cluster, "c")


def a_node_is_killed_while_it_is_cut_off(cluster):
    """What it has spilled comes with its next start."""
    node = cluster.nodes["c"]

    def cut():
        cluster.pause(4.0, 3 * LEASE)
        if node.alive:
            node.kill()

    cluster.cable.cut(cut)


def the_primary_is_killed_and_its_standby_promoted(cluster):
    cluster.databases.fail_over(lambda: cluster.pause(0.2, 6.0))
    for name in NAMES:
        _until_it_knows(cluster, name)


def a_node_is_killed_while_the_primary_is_away(cluster):
    name = cluster.dice.choice(NAMES)

    def away():
        cluster.pause(3.0, 6.0)
        cluster.nodes[name].kill()

    cluster.databases.fail_over(away)
    for each in NAMES:
        _until_it_knows(cluster, each)


def the_standby_stands_still(cluster):
    """Longer than anybody waits for a commit."""
    cluster.databases.freeze_standby(lambda: cluster.pause(1.0, 8.0))
    for name in NAMES:
        _until_it_knows(cluster, name)


def the_primarys_disk_is_full(cluster):
    """Nothing can be stored, and the server may end."""
    cluster.databases.fill_disk(lambda: cluster.pause(2.0, 10.0))
    for name in NAMES:
        _until_it_knows(cluster, name)


def a_node_drains_the_file_when_it_is_killed(cluster):
    """The database is back, and what was spilled is half in it."""
    name = cluster.dice.choice(NAMES)
    cluster.databases.freeze_standby(lambda: cluster.pause(4.0, 7.0))
    cluster.pause(0.0, 1.0)
    cluster.nodes[name].kill()


def _until_it_knows(cluster, name):
    """A node that lost its partition ends; any other one goes on."""
    node = cluster.nodes[name]

    def is_decided():
        return not node.alive or (node.ready() and cluster.owner(name) == name)

    with contextlib.suppress(AssertionError):  # `come_back` says what is wrong
        wait_until(is_decided, 60, f"{name} to go on or to end")


FAULTS = {
    a_node_is_killed: 3,
    a_node_is_killed_and_starts_at_once: 2,
    a_node_stands_still_beyond_its_lease: 2,
    a_node_is_cut_off_from_the_database: 2,
    a_node_is_killed_while_it_is_cut_off: 2,
    the_primary_is_killed_and_its_standby_promoted: 2,
    a_node_is_killed_while_the_primary_is_away: 2,
    the_standby_stands_still: 2,
    the_primarys_disk_is_full: 2,
    a_node_drains_the_file_when_it_is_killed: 2,
}
"""With their weights. Only root can mount a disk that can be filled."""


def chosen(dice, count):
    """So many, each kind before one comes a second time."""
    deck = []
    while len(deck) < count:
        some = [each for each in FAULTS if os.geteuid() == 0 or each is not the_primarys_disk_is_full]
        dice.shuffle(some)
        deck += (
            some
            if len(deck) < len(some)
            else dice.choices(some, [FAULTS[each] for each in some], k=len(some))
        )
    return deck[:count]
