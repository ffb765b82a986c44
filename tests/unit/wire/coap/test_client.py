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
        self.ends = []

    def __len__(self):
        return len(self.answers) + len(self.failures)

    @property
    def callbacks(self):
        return self.answers.append, lambda unanswered: self.failures.append(str(unanswered))

    # as a watcher

    def notified(self, arrival):
        self.notifications.append(arrival.response)
        arrival.stored()

    def ended(self, end):
        self.ends.append(end.kind)


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
    box = Box(None, policy=Policy(empty_ack_delay=20.0))
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


def test_a_peer_that_acknowledges_and_never_answers_holds_up_only_that_request(network, calls):
    server(network, silent=Box(None), a=Box(Message(n.CONTENT, b"hello")))
    client = network.endpoint("client")
    start = network.now
    client.request(ask(n.GET, "silent"), "server", *calls.callbacks, policy=Policy(response_timeout=20.0))
    client.request(ask(n.GET, "a"), "server", *calls.callbacks)
    network.run(lambda: len(calls.answers) == 1)
    assert network.now - start < 2
    network.run(lambda: len(calls) == 2)
    assert calls.failures == ["acknowledged, but no response came"]
    assert 20 <= network.now - start < 21


def test_an_upload_whose_block_is_acknowledged_but_not_answered_keeps_others_out(network, calls):
    bench = Bench()
    for number in range(2):
        bench.endpoint.request(
            ask(n.POST, "a", b"%d" % number * 100), PEER, *calls.callbacks, Policy(block_size=64)
        )
    (first,) = bench.take()
    assert bench.put_in(encode(n.ACK, n.EMPTY, first.mid)) == []
    answer = encode(n.CON, n.CONTINUE, 7, first.token, options((n.BLOCK1, 8 | 2)))
    acknowledgement, second = bench.put_in(answer)
    assert (acknowledgement.code, second.payload) == (n.EMPTY, b"0" * 36)
    assert [each.payload for each in bench.put_in(encode(n.ACK, n.EMPTY, second.mid))] == [b"1" * 64]


def test_what_waits_behind_a_request_that_nobody_acknowledges_fails_with_it_and_was_not_sent(network):
    network.endpoint("nobody").datagram = lambda *a: None
    client = network.endpoint("client")
    failures = []
    for _ in range(4):
        client.request(ask(n.GET, "a"), "nobody", failures.append, failures.append)
    start = network.now
    network.run(lambda: len(failures) == 4)
    assert network.now - start <= 93
    assert [(each.reason, each.was_sent) for each in failures] == [
        ("not acknowledged", True),
        *[("an earlier request was not acknowledged", False)] * 3,
    ]
    assert len(client.client) == 0


def test_a_request_ends_when_its_time_is_over_wherever_it_is(network):
    box = Box(None, policy=Policy(empty_ack_delay=20.0))
    server(network, a=box)
    client = network.endpoint("client")
    failures = []
    for number in range(3):
        client.request(ask(n.POST, "a", b"%d" % number), "server", print, failures.append, within=5.0)
    network.run(seconds=5.1)
    assert {each.reason for each in failures} == {"no response within the time of the request"}
    assert sorted(each.was_sent for each in failures) == [False, False, True]
    assert len(client.client) == 0 and len(client.transmissions) == 0
    assert len(box.requests) == 1


def test_a_peer_has_a_hundred_requests_without_an_answer_at_most(network, calls):
    box = Box(None)
    server(network, a=box)
    client = network.endpoint("client")
    for _ in range(100):
        client.request(ask(n.GET, "a"), "server", *calls.callbacks)
    network.run(seconds=80)
    assert len(box.requests) == 100
    client.request(ask(n.GET, "a"), "server", *calls.callbacks)
    assert calls.failures == ["too many messages are unacknowledged"]


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
    watch = client.observe(ask(n.GET, "a"), "server", *calls.callbacks, calls)
    network.run(lambda: len(calls))
    for state in (b"second", BODY[:300]):
        box.response = Message(n.CONTENT, state)
        observed.changed(box)
        network.run(lambda state=state: any(answer.payload == state for answer in calls.notifications))
    assert [answer.payload for answer in calls.notifications] == [b"second", BODY[:300]]
    client.client.cancel(watch)
    observed.changed(box)
    network.run(seconds=300)
    assert len(observed.server.observers) == 0
    assert len(client.client) == 0
    assert len(calls.notifications) == 2


def test_a_large_first_state_comes_whole_as_well(network, calls):
    box = Box(Message(n.CONTENT, BODY[:300]), is_observable=True, policy=SMALL)
    server(network, a=box)
    client = network.endpoint("client")
    client.observe(ask(n.GET, "a"), "server", *calls.callbacks, calls)
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

    def request(client, body):
        def not_answered(unanswered):
            if unanswered.was_sent:
                failed.append(body)
            else:  # it waited behind one that was given up
                request(client, body)

        client.request(ask(n.POST, "a", body), "server", lambda _: acknowledged.append(body), not_answered)

    for name in ("one", "two", "three"):
        client = network.endpoint(name)
        for number in range(40):
            body = f"{name} {number}".encode()
            request(client, body)
    assert network.run(lambda: len(acknowledged) + len(failed) == 120, 100_000)
    got = [request.payload for request in box.requests]
    assert len(got) == len(set(got)), "a duplicate reached the resource"
    assert set(acknowledged) <= set(got), "an acknowledged message is missing"
    assert len(acknowledged) >= 110
