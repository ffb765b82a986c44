"""What goes to an address that may be forged: no more than came from there, until somebody answers."""

from __future__ import annotations

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, decode
from iotgw.wire.coap.peers import MOST_ROOM
from iotgw.wire.coap.timing import Policy
from tests.unit.wire.coap.bench import Box
from tests.unit.wire.coap.network import Network
from tests.unit.wire.coap.test_client import Calls, ask, server

CAREFUL = Policy(proves=True)
GIVE_UP = "nobody answered a ping at the peer's address"
SIZE = 10
"""Bytes of the request that is asked here."""


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def network():
    return Network()


class Asking:
    """A client that asks a peer which has left it some room."""

    def __init__(self, network, calls, room, peer="server"):
        self.network, self.calls, self.name = network, calls, peer
        self.client = network.endpoint("client")
        self.peer = self.client.peers.get(peer, network.now)
        self.peer.room = room

    def ask(self, policy=CAREFUL, **more):
        self.client.request(ask(n.GET, "a"), self.name, *self.calls.callbacks, policy, **more)

    def sent(self):
        """The codes of what went out."""
        return [decode(data).code for source, _, data in self.network.carried if source == "client"]


def nobody(network, name="server"):
    """An address where nobody answers."""
    network.endpoint(name).datagram = lambda *a: None


def no_pings(endpoint):
    """A stack that leaves pings unanswered, and answers all else."""
    take = endpoint.datagram
    endpoint.datagram = lambda data, remote, now: decode(data).code and take(data, remote, now)


@pytest.mark.parametrize(
    ("room", "first"), [(3 * SIZE - 1, n.EMPTY), (3 * SIZE, n.GET)], ids=["too little", "enough"]
)
def test_a_request_for_which_there_is_room_needs_no_ping(network, calls, room, first):
    server(network, a=Box(Message(n.CONTENT, b"hello")))
    asking = Asking(network, calls, room)
    for _ in range(2):
        asking.ask()
    assert network.run(lambda: len(calls.answers) == 2)
    assert asking.sent() == [n.EMPTY] * (first == n.EMPTY) + [n.GET] * 2


@pytest.mark.parametrize("room", [0, 3, 4, 11, 29, 30, 45, 60, 1000])
def test_no_more_goes_to_where_nobody_is_than_there_is_room_for(network, calls, room):
    nobody(network)
    asking = Asking(network, calls, room)
    for _ in range(5):
        asking.ask()
        network.run(seconds=200)
    sizes = [len(data) for source, _, data in network.carried if source == "client"]
    assert room - SIZE < sum(sizes) <= room or len(sizes) == 25  # each five times
    assert len(calls.failures) == 5


def test_who_answers_no_ping_is_asked_with_the_room_that_is_left(network, calls):
    no_pings(server(network, a=Box(Message(n.CONTENT, b"hello"))))
    asking = Asking(network, calls, 5 * 4 + SIZE - 1)
    asking.ask()
    assert network.run(lambda: len(calls) == 1)
    assert calls.failures == [GIVE_UP]
    asking.peer.left(1)
    asking.ask()
    assert network.run(lambda: len(calls) == 2)
    assert (len(calls.answers), asking.sent()) == (1, [n.EMPTY] * 5 + [n.GET])
    assert (asking.peer.verified > network.now, asking.peer.room) == (True, MOST_ROOM)


def test_a_ping_that_the_request_s_time_did_not_wait_for_is_the_last_one(network, calls):
    nobody(network)
    asking = Asking(network, calls, 5 * 4)
    asking.ask(within=10.0)
    assert network.run(lambda: len(calls) == 1)
    asking.peer.left(SIZE)
    asking.ask()
    assert network.run(lambda: len(calls) == 2)
    assert asking.sent() == [n.EMPTY] * 3 + [n.GET]


def test_one_ping_that_is_lost_is_no_reason_to_ping_no_more(network, calls):
    nobody(network)
    asking = Asking(network, calls, 4)
    asking.ask()
    assert network.run(lambda: len(calls) == 1)
    asking.peer.left(20)
    asking.ask()
    assert network.run(lambda: len(calls) == 2)
    assert asking.sent() == [n.EMPTY] * 6


def test_a_request_that_fails_for_its_ping_was_never_sent(network):
    nobody(network)
    failed, begun = [], []
    network.endpoint("client").request(
        ask(n.GET, "a"), "server", begun.append, failed.append, CAREFUL, lambda: begun.append(1)
    )
    assert network.run(lambda: bool(failed))
    assert (failed[0].was_sent, begun) == (False, [])


def test_a_peer_of_an_earlier_process_is_pinged_once(network, calls):
    nobody(network)
    network.endpoint("client").request(ask(n.GET, "a"), "server", *calls.callbacks, CAREFUL)
    assert network.run(lambda: len(calls) == 1)
    assert [data[1] for _, _, data in network.carried] == [n.EMPTY]


def test_what_waits_for_a_ping_goes_out_when_the_peer_has_proved_itself_otherwise(network, calls):
    no_pings(server(network, a=Box(Message(n.CONTENT, b"hello"))))
    asking = Asking(network, calls, 4)
    asking.ask()
    asking.client.proved("server")
    assert network.run(lambda: len(calls) == 1)
    assert (len(calls.answers), asking.sent()) == (1, [n.EMPTY, n.GET])


def test_much_that_came_leaves_no_more_room_than_there_may_be(network, calls):
    asking = Asking(network, calls, 0)
    for _ in range(1000):
        asking.peer.left(1000)
    asking.peer.left(-5)
    assert asking.peer.room == MOST_ROOM
