"""Handshakes over links whose round trip is longer than the timer of the client."""

import time

from iotgw.wire.dtls.record import sequence_number
from tests.dtls_peer import Client, Link

HERE = ("10.0.0.1", 40000)


def test_a_client_that_repeated_its_hello_takes_the_first_flight():
    link = Link()
    # Of two HelloVerifyRequests the second has number 1, which OpenSSL gives to its ServerHello.
    client = link.clients[HERE] = Client(psk=(b"dev", b"secret"))
    first = client.begin()
    time.sleep(1.05)  # OpenSSL's timer
    link.put(HERE, first + client.repeat())
    link.run()
    assert client.done
    numbers = [sequence_number(datagram) for datagram, _ in link.sent]
    assert numbers == sorted(set(numbers))


def test_a_hello_may_have_the_last_number_that_there_is():
    link = Link()
    client = link.clients[HERE] = Client(psk=(b"dev", b"secret"))
    link.put(HERE, client.begin())
    link.layer.datagram_in(link.queue.popleft()[2], HERE, link.now)
    [hello] = client.feed(link.queue.popleft()[2])
    link.put(HERE, [hello[:5] + b"\xff" * 6 + hello[11:]])
    link.run()
    assert (link.layer.half_open, link.events) == (1, [])
