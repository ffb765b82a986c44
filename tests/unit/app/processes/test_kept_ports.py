"""Ports that several processes have together."""

import errno
import socket
from collections import Counter

import pytest

from iotgw.app.processes.kept_ports import TCP, UDP, KeptPorts, PortWanted
from tests.peers.process import free_port, free_udp_port


@pytest.fixture
def ports():
    kept = KeptPorts()
    yield kept
    kept.close()


@pytest.fixture
def udp():
    return PortWanted(UDP, "127.0.0.1", free_udp_port())


@pytest.fixture
def peers():
    """40 of them."""
    lines = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(40)]
    yield lines
    for each in lines:
        each.close()


def waiting(kept):
    """Who has sent what waits in a socket."""
    found = set()
    while True:
        try:
            found.add(kept.recvfrom(100)[1])
        except BlockingIOError:
            return found


def send(peers, wanted):
    for each in peers:
        each.sendto(b"x", (wanted.interface, wanted.port))


def test_each_peer_has_one_process_also_when_another_one_ends(ports, udp, peers):
    sockets = [ports.take(udp, process) for process in (1, 2, 3)]
    send(peers, udp)
    before = [waiting(each) for each in sockets]
    assert all(before)
    assert sum(map(len, before)) == len(peers)
    ports.ended(2)
    send(peers, udp)
    assert ports.take(udp, 2) is sockets[1]
    assert [waiting(each) for each in sockets] == before, "what came meanwhile has waited for it"


def test_the_peers_of_a_process_that_closes_a_port_get_another_one(ports, udp, peers):
    first, _ = (ports.take(udp, process) for process in (1, 2))
    ports.give_back(udp, 2)
    send(peers, udp)
    assert len(waiting(first)) == len(peers)


def test_a_process_that_does_not_come_back_has_no_peers(ports, udp, peers):
    first, _ = (ports.take(udp, process) for process in (1, 2))
    ports.ended(2)
    ports.given_up(2)
    send(peers, udp)
    assert len(waiting(first)) == len(peers)


def test_what_a_process_opens_no_more_after_its_start_is_closed(ports, udp, peers):
    first, _ = (ports.take(udp, process) for process in (1, 2))
    ports.ended(2)
    ports.settled(2)
    send(peers, udp)
    assert len(waiting(first)) == len(peers)


def test_what_it_opens_again_is_its_own(ports, udp):
    kept = ports.take(udp, 1)
    ports.ended(1)
    assert ports.take(udp, 1) is kept
    ports.settled(1)
    assert kept.fileno() >= 0


@pytest.mark.parametrize("kind", [UDP, TCP])
def test_a_port_that_somebody_else_has_is_refused(ports, kind):
    wanted = PortWanted(kind, "127.0.0.1", free_port() if kind == TCP else free_udp_port())
    other = KeptPorts()  # as another gateway's, which would share it
    theirs = other.take(wanted, 1)
    if kind == TCP:
        theirs.listen()
    with pytest.raises(OSError) as refused:
        ports.take(wanted, 1)
    assert refused.value.errno == errno.EADDRINUSE
    theirs.close()
    other.close()
    assert ports.take(wanted, 1).getsockname() == ("127.0.0.1", wanted.port)


def test_tcp_connections_are_divided_and_those_of_a_process_that_ended_go_to_others(ports):
    wanted = PortWanted(TCP, "127.0.0.1", free_port())
    taken = Counter()
    sockets = {}
    for process in (1, 2):
        made = ports.take(wanted, process)
        sockets[process] = made.dup()
        sockets[process].listen()
        ports.handed(wanted, made)

    def accept():
        for process, listening in sockets.items():
            try:
                while True:
                    listening.accept()[0].close()
                    taken[process] += 1
            except BlockingIOError:
                continue

    def connect(count):
        for _ in range(count):
            with socket.create_connection((wanted.interface, wanted.port)):
                accept()

    connect(40)
    assert taken[1] and taken[2]
    sockets.pop(2).close()
    ports.ended(2)
    before = taken[2]
    connect(20)
    assert (taken[1] + taken[2], taken[2]) == (60, before)
    sockets[1].close()
