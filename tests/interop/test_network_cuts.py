"""Every kind of queue that is pulled, with a gateway whose network is cut for 20 seconds under load: nothing that the brokers had is lost, what
comes again is recognised, each partition stays in order, the accounts balance, and people are told.

The gateway lives in a network namespace, the brokers outside. What either side sends is lost meanwhile, and no connection is closed.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.peers.gateway import Gateway
from tests.peers.network import Network
from tests.peers.process import wait_until

from .queue_relay import KafkaTopic, Kinesis, PubsubTopic, RabbitQueue, Relay, Sqs

pytestmark = [pytest.mark.interop, pytest.mark.root]
CUT = 20
"""Seconds: longer than a session at Kafka, RabbitMQ's heartbeats, and what SQS and Pub/Sub lend a message for."""
BOUND = 1000
"""Messages that may come twice: what a gateway has not acknowledged yet, at most."""


def started(queue):
    """A queue whose broker runs."""
    queue.service.start()
    return queue


@contextlib.contextmanager
def relaying(folder, kinds):
    """The network of a gateway that relays queues of these kinds, and the relays."""
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network())
        queues = [kind(folder / kind.__name__, network.far) for kind in kinds]
        with ThreadPoolExecutor() as pool:  # some take long to start
            for queue in pool.map(started, queues):
                stack.push(queue.service)
        for queue in queues:
            queue.prepare()
            stack.callback(queue.close)
        gateway = stack.enter_context(Gateway(folder / "gateway", network=network))
        yield network, [Relay(gateway, queue, type(queue).__name__) for queue in queues]


def trouble(relay):
    """What people are shown once the gateway has noticed."""
    return wait_until(lambda: relay.status.get("lastError") and relay.status, 60, "the trouble")


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param((KafkaTopic, RabbitQueue, Kinesis), id="kafka-rabbitmq-kinesis"),
        # a message that SQS or Pub/Sub has lent comes again only after a while
        pytest.param((Sqs, PubsubTopic), id="sqs-pubsub", marks=pytest.mark.soak),
    ],
)
def test_a_network_that_is_cut_for_20_seconds_costs_nothing(tmp_path, kinds):
    with relaying(tmp_path, kinds) as (network, relays):
        for relay in relays:
            relay.passed(30)
        network.cut()
        threading.Event().wait(CUT)
        for relay in relays:
            if relay.cloud.notices:
                assert trouble(relay)["state"] == "connecting"
        network.heal()
        for relay in relays:
            relay.passed(30)
        for relay in relays:
            # all that came again was recognised, so each is stored once
            assert relay.all_arrived() == relay.count, relay.cloud
            assert relay.status.get("repeats", 0) <= BOUND
            assert relay.status["state"] == "connected" and "lastError" not in relay.status
            relay.fails_one()
