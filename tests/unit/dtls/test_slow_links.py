"""Handshakes over links whose round trip is longer than the timer of the client."""

import time

import pytest

from iotgw.wire.dtls.record import sequence_number
from tests.dtls_peer import Client, Link, Secrets

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


@pytest.mark.parametrize("secrets", [b"secret", (b"new", b"secret")])
def test_what_follows_a_repeated_hello_in_its_datagram_is_taken(secrets):
    link = Link(credentials=Secrets({"dev": secrets}))
    client = link.clients[HERE] = Client(psk=(b"dev", b"secret"))
    link.put(HERE, client.begin())
    link.layer.datagram_in(link.queue.popleft()[2], HERE, link.now)
    [hello] = client.feed(link.queue.popleft()[2])
    link.layer.datagram_in(hello, HERE, link.now)
    flight = b"".join(client.feed(link.queue.popleft()[2]))
    again = hello[:5] + (9).to_bytes(6, "big") + hello[11:]
    link.put(HERE, [again + flight])
    link.run()
    assert client.done
    link.put(HERE, [again + b"".join(client.send(b"up"))])  # late, when the session stands
    link.run()
    assert [text for _, text in link.plaintexts] == [b"up"]


def test_the_second_secret_is_found_though_each_try_loses_the_finished():
    link = Link(credentials=Secrets({"dev": (b"new", b"old")}))
    client = link.clients[HERE] = Client(psk=(b"dev", b"old"), one_record_per_datagram=True)
    link.put(HERE, client.begin())
    while len(link.queue) == 1:  # until the client's last flight, in three datagrams
        inward, address, datagram = link.queue.popleft()
        if inward:
            link.layer.datagram_in(datagram, address, link.now)
        else:
            link.put(HERE, client.feed(datagram))
    exchange, change, finished = (datagram for _, _, datagram in link.queue)
    link.queue.clear()
    for number in range(10, 14):  # numbers of further tries, beyond all that were used
        again = [
            each[:5] + (2 * number + at).to_bytes(6, "big") + each[11:]
            for at, each in enumerate((exchange, change))
        ]
        link.put(HERE, again)
    link.put(HERE, [finished])
    link.run()
    assert client.done
    assert link.say(HERE, b"x") == [b"x"]
