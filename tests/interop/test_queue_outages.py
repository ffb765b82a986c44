"""Every kind of queue that is pulled, under load, while its broker is frozen for 20 seconds, while it is killed and comes back, while the gateway is killed,
and while the gateway's network is cut for 20 seconds: nothing that the brokers had is lost, what comes again is recognised and isn't much, each
partition stays in order, the accounts balance, and people are told.

One gateway relays several kinds at a time. It lives in a network namespace, the brokers outside. What either side sends while the network is cut is lost, and no
connection is closed. A message that SQS or Pub/Sub has lent comes again only after a while, so these take long. `opc-ua` keeps nothing for
anybody: see test_opcua_faults.py.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.peers.gateway import Gateway
from tests.peers.network import Network
from tests.peers.process import wait_until

from .queue_relay import BOUND, Relay
from .queues import EventHub, KafkaTopic, Kinesis, MqttTopics, PubsubTopic, RabbitQueue, Sqs

pytestmark = [pytest.mark.interop, pytest.mark.root, pytest.mark.long]
AWAY = 20
"""Seconds: longer than a session at Kafka, the heartbeats of RabbitMQ and MQTT, and what SQS and Pub/Sub lend a message for."""


class House:
    """``relays`` of several kinds of queues through one gateway in its network."""

    def __init__(self, folder, kinds, stack):
        self.network = stack.enter_context(Network())
        queues = [kind(folder / kind.__name__, self.network.far) for kind in kinds]
        self.services = [queue.service for queue in queues]
        for service in self.services:
            stack.push(service)
        self.all("start")
        for queue in queues:
            queue.prepare()
            stack.callback(queue.close)
        self.gateway = stack.enter_context(Gateway(folder / "gateway", network=self.network))
        self.relays = [Relay(self.gateway, queue, type(queue).__name__) for queue in queues]
        for relay in self.relays:
            stack.callback(relay.hush)

    def all(self, method):
        """Do something to all brokers at a time, since some take long to start."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda service: getattr(service, method)(), self.services))

    def pass_some(self):
        for relay in self.relays:
            relay.passed(30)

    def is_told(self):
        """What people are shown, once the gateway has noticed."""
        for relay in self.relays:
            if relay.queue.notices:
                told = wait_until(
                    lambda relay=relay: relay.status.get("lastError") and relay.status, 60, "the trouble"
                )
                assert told["state"] == "connecting", str(relay.queue)


def frozen(house):
    house.all("freeze")
    try:
        threading.Event().wait(AWAY)
        house.is_told()
    finally:
        house.all("thaw")


def killed(house):
    house.all("kill")
    house.all("start")


def gateway_killed(house):
    house.gateway.kill()
    house.gateway.start()


def cut_off(house):
    house.network.cut()
    try:
        threading.Event().wait(AWAY)
        house.is_told()
    finally:
        house.network.heal()


def endure(house, fault):
    """Cause a fault under load, and look at everything afterwards."""
    is_new = fault is gateway_killed  # and has counted none yet
    before = {relay: 0 if is_new else relay.status.get("repeats", 0) for relay in house.relays}
    for relay in house.relays:
        relay.go()
    house.pass_some()
    fault(house)
    house.pass_some()
    for relay in house.relays:
        whose = f"{fault.__name__}, {relay.queue}"
        is_in_order = fault is not killed or relay.queue.keeps_order
        assert relay.all_arrived(is_in_order) - before[relay] <= BOUND, whose
        wait_until(relay.is_well, 60, f"{whose} to be well")
        relay.fails_one()


SLOW = (Sqs, PubsubTopic)


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param((KafkaTopic, RabbitQueue, Kinesis, MqttTopics), id="kafka-rabbitmq-kinesis-mqtt"),
        pytest.param((*SLOW, EventHub), id="sqs-pubsub-eventhub", marks=pytest.mark.soak),
    ],
)
def test_whatever_fails_nothing_is_lost_and_what_comes_again_is_recognised(tmp_path, kinds):
    with contextlib.ExitStack() as stack:
        house = House(tmp_path, kinds, stack)
        for relay in house.relays:  # each fault begins with silence
            relay.all_arrived()
        for fault in (frozen, killed, gateway_killed, cut_off):
            endure(house, fault)


def test_where_nothing_fails_what_was_received_is_converted_or_failed(tmp_path):
    with contextlib.ExitStack() as stack:
        for relay in House(tmp_path, SLOW, stack).relays:
            relay.passed(20)
            relay.all_arrived()
            relay.fails_one()
