"""The client role, against our own server over a network in its own time."""

from __future__ import annotations

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, encode, options, uri_options
from iotgw.wire.coap.site import Site
from iotgw.wire.coap.timing import Policy
from tests.unit.wire.coap.bench import PEER, Bench, Box
from tests.unit.wire.coap.network import Network

BODY = bytes(number % 251 for number in range(5000))
SMALL = Policy(block_size=64)


def ask(code, path, payload=b"", *pairs, type=n.CON):
    return Message(code, payload, options(*uri_options(path), *pairs), type)


class Calls:
    """What became of requests."""

    def __init__(self):
        self.answers = []
        self.failures = []
        self.notifications = []

    def __len__(self):
        return len(self.answers) + len(self.failures)

    @property
    def callbacks(self):
        return self.answers.append, self.failures.append


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def network():
    return Network()


def server(network, **resources):
    site = Site()
    for path, resource in resources.items():
        site.add((path,), resource)
    return network.endpoint("server", site)


def test_a_request_gets_its_piggybacked_response(network, calls):
    server(network, a=Box(Message(n.CONTENT, b"hello")))
    network.endpoint("client").request(ask(n.GET, "a"), "server", *calls.callbacks)
    network.run(lambda: len(calls))
    assert [answer.payload for answer in calls.answers] == [b"hello"]


def test_a_request_waits_for_its_separate_response_and_acknowledges_it(network, calls):
    box = Box(None)
    server(network, a=box)
    network.endpoint("client").request(ask(n.GET, "a"), "server", *calls.callbacks)
    network.run(lambda: bool(box.exchanges))
    outcome = []
    network.run(seconds=5)
    box.exchanges[0].reply(Message(n.CONTENT, b"late"), lambda: outcome.append("arrived"), outcome.append)
    network.run(lambda: bool(outcome))
    assert [answer.payload for answer in calls.answers] == [b"late"]
    assert outcome == ["arrived"]


def test_a_non_request_gets_its_non_response(network, calls):
    server(network, a=Box(Message(n.CONTENT, b"hello")))
    network.endpoint("client").request(ask(n.GET, "a", type=n.NON), "server", *calls.callbacks)
    assert network.run(lambda: len(calls.answers) == 1)


def test_nobody_there_is_known_after_the_last_retransmission(network, calls):
    network.endpoint("nobody").datagram = lambda *a: None
    network.endpoint("client").request(ask(n.GET, "a"), "nobody", *calls.callbacks)
    start = network.now
    network.run(lambda: len(calls))
    assert calls.failures == ["not acknowledged"]
    assert 62 <= network.now - start <= 93
    assert len(network.carried) == 5


def test_an_acknowledged_request_whose_response_never_comes_fails(network, calls):
    server(network, a=Box(None))
    network.endpoint("client").request(ask(n.GET, "a"), "server", *calls.callbacks)
    network.run(lambda: len(calls))
    assert calls.failures == ["acknowledged, but no response came"]


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_large_bodies_go_up_and_down_in_blocks(calls, loss):
    network = Network(seed=5, loss=loss, repeat=loss)
    box = Box(Message(n.CHANGED, BODY[::-1]), policy=Policy(block_size=256))
    server(network, a=box)
    client = network.endpoint("client")
    client.request(ask(n.POST, "a", BODY), "server", *calls.callbacks, policy=Policy(block_size=512))
    assert network.run(lambda: len(calls) == 1, 5000)
    assert not calls.failures
    assert [request.payload for request in box.requests] == [BODY]
    assert calls.answers[0].payload == BODY[::-1]


def test_requests_to_a_peer_go_one_at_a_time(network, calls):
    box = Box(None)
    server(network, a=box)
    client = network.endpoint("client")
    for number in range(3):
        client.request(ask(n.POST, "a", b"%d" % number), "server", *calls.callbacks)
    network.run(seconds=1)
    assert [request.payload for request in box.requests] == [b"0"]
    for number in range(3):
        network.run(lambda number=number: len(box.exchanges) == number + 1)
        box.exchanges[number].reply(Message(n.CHANGED))
    network.run(lambda: len(calls) == 3)
    assert [request.payload for request in box.requests] == [b"0", b"1", b"2"]


def test_a_request_that_is_cancelled_lets_the_next_one_go(network, calls):
    box = Box(None)
    server(network, a=box)
    client = network.endpoint("client")
    first = client.request(ask(n.POST, "a", b"0"), "server", *calls.callbacks)
    client.request(ask(n.POST, "a", b"1"), "server", *calls.callbacks)
    client.client.cancel(first)
    network.run(lambda: len(box.requests) == 2)  # the first one was in the air already
    assert calls.failures == ["cancelled"]
    assert box.requests[1].payload == b"1"


def test_an_observation_brings_every_state_whole(network, calls):
    box = Box(Message(n.CONTENT, b"first"), is_observable=True, policy=SMALL)
    observed = server(network, a=box)
    client = network.endpoint("client")
    request = ask(n.GET, "a", b"", (n.OBSERVE, 0))
    call = client.request(request, "server", *calls.callbacks, notified=calls.notifications.append)
    network.run(lambda: len(calls))
    for state in (b"second", BODY[:300]):
        box.response = Message(n.CONTENT, state)
        observed.changed(box)
        network.run(lambda state=state: any(answer.payload == state for answer in calls.notifications))
    assert [answer.payload for answer in calls.notifications] == [b"second", BODY[:300]]
    client.client.cancel(call)
    observed.changed(box)
    network.run(seconds=300)
    assert len(observed.server.observers) == 0
    assert len(client.client) == 0
    assert len(calls.notifications) == 2


def test_a_large_first_state_comes_whole_as_well(network, calls):
    box = Box(Message(n.CONTENT, BODY[:300]), is_observable=True, policy=SMALL)
    server(network, a=box)
    client = network.endpoint("client")
    request = ask(n.GET, "a", b"", (n.OBSERVE, 0))
    client.request(request, "server", *calls.callbacks, notified=calls.notifications.append)
    network.run(lambda: len(calls))
    assert [answer.payload for answer in calls.answers] == [BODY[:300]]


def test_an_echo_is_sent_back_when_the_server_asks_for_it(network, calls):
    box = Box(Message(n.CONTENT, BODY[:200]), policy=Policy(amplification=3))
    server(network, a=box)
    network.endpoint("client").request(ask(n.GET, "a"), "server", *calls.callbacks)
    network.run(lambda: len(calls))
    assert calls.answers[0].payload == BODY[:200]


def test_server_and_client_on_one_endpoint_share_the_message_ids(calls):
    bench = Bench({"a": Box()})
    first = bench.one(n.POST, "a", type=n.NON)
    bench.endpoint.request(ask(n.GET, "x"), PEER, *calls.callbacks)
    (request,) = bench.take()
    assert (request.mid - first.mid) & 0xFFFF == 1
    bench.put_in(encode(n.ACK, n.CONTENT, request.mid, request.token, payload=b"y"))
    assert calls.answers[0].payload == b"y"


def test_a_separate_response_stands_for_the_lost_acknowledgement_and_its_copy_is_acknowledged(calls):
    bench = Bench()
    bench.endpoint.request(ask(n.GET, "x"), PEER, *calls.callbacks)
    (request,) = bench.take()
    response = encode(n.CON, n.CONTENT, 77, request.token, payload=b"y")
    acknowledgement = [Message(n.EMPTY, type=n.ACK, mid=77)]
    assert bench.put_in(response) == acknowledgement
    assert bench.put_in(response) == acknowledgement
    assert len(calls.answers) == 1
    assert bench.advance(100) == []


def test_a_response_from_another_address_is_not_taken(calls):
    bench = Bench({"a": Box()})
    bench.endpoint.request(ask(n.GET, "x"), PEER, *calls.callbacks)
    (request,) = bench.take()
    other = ("192.0.2.9", 1)
    bench.one(n.POST, "a", remote=other)
    bench.put_in(encode(n.ACK, n.CONTENT, request.mid, request.token, payload=b"forged"), other)
    bench.put_in(encode(n.NON, n.CONTENT, 5, request.token, payload=b"forged"), other)
    assert not len(calls)


def test_a_response_with_an_unknown_critical_option_is_rejected(calls):
    bench = Bench()
    bench.endpoint.request(ask(n.GET, "x"), PEER, *calls.callbacks)
    (request,) = bench.take()
    data = encode(n.CON, n.CONTENT, 78, request.token, options((9999, b"x")))
    assert bench.put_in(data) == [Message(n.EMPTY, type=n.RST, mid=78)]
    assert calls.failures == ["unknown critical option 9999"]


@pytest.mark.parametrize("seed", range(5))
def test_20_percent_loss_and_three_clients_lose_and_double_nothing(seed):
    network = Network(seed, loss=0.2, repeat=0.2)
    box = Box()
    server(network, a=box)
    acknowledged, failed = [], []
    for name in ("one", "two", "three"):
        client = network.endpoint(name)
        for number in range(40):
            body = f"{name} {number}".encode()
            client.request(
                ask(n.POST, "a", body),
                "server",
                lambda answer, body=body: acknowledged.append(body),
                failed.append,
            )
    assert network.run(lambda: len(acknowledged) + len(failed) == 120, 100_000)
    got = [request.payload for request in box.requests]
    assert len(got) == len(set(got)), "a duplicate reached the resource"
    assert set(acknowledged) <= set(got), "an acknowledged message is missing"
    assert len(acknowledged) >= 110
