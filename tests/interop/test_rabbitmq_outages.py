"""RabbitMQ → gateway → RabbitMQ, while the broker is frozen or killed, or the gateway is killed."""

from __future__ import annotations

import json
import threading
import time

import pika
import pytest

from tests.peers.gateway import Gateway
from tests.peers.process import wait_until
from tests.peers.rabbitmq import RabbitMq

pytestmark = pytest.mark.interop
FROZEN = 20
"""Seconds: longer than the heartbeat."""


class Relay:
    """A gateway that reads the queue ``in`` and writes the queue ``out``."""

    def __init__(self, folder, broker):
        broker.declare("in", "out")
        self.gateway = Gateway(folder).start()
        place = {"host": "127.0.0.1", "port": broker.port, "password": "guest", "heartbeat": 5}
        self._source = self.gateway.create(
            "datasources", name="source", type="rabbitmq", converter="json",
            configuration={**place, "queue": "in", "prefetch": 200},
        )["id"]  # fmt: skip
        self._target = self.gateway.create(
            "integrations", name="target", type="rabbitmq", retry={"cap": 2},
            configuration={**place, "routingKey": "out"},
        )["id"]  # fmt: skip
        wait_until(lambda: self.status["state"] == "connected", 60, "the source")

    @property
    def status(self):
        return self.gateway.api("GET", f"/datasources/{self._source}").json["status"]

    @property
    def is_balanced(self):
        stats = self.gateway.api("GET", f"/integrations/{self._target}/stats").json
        return stats["balanced"] and not stats["waiting"] and not stats["inflight"]


class Steady:
    """Numbered messages, confirmed one by one, a hundred a second at most, from now until `finish`."""

    def __init__(self, broker):
        self._broker = broker
        self._ends = threading.Event()
        self.count = 0
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def finish(self):
        self._ends.set()
        self._thread.join()
        return self.count

    def _send(self):
        while not self._ends.is_set():
            try:
                with self._broker.channel() as channel:
                    channel.confirm_delivery()
                    while not self._ends.wait(0.01):
                        body = {"deviceName": f"meter-{self.count % 10}", "n": self.count}
                        channel.basic_publish(
                            "", "in", json.dumps(body).encode(),
                            pika.BasicProperties(delivery_mode=2, message_id=str(self.count)), mandatory=True,
                        )  # fmt: skip
                        self.count += 1
            except (pika.exceptions.AMQPError, OSError):
                time.sleep(0.5)  # the broker is away; the last message is published again


def arrive(broker, count):
    """All numbers arrive, each device's in order; returns how many came twice."""
    found = {}
    total = 0
    while len({n for numbers in found.values() for n in numbers}) < count:
        for body, _ in broker.take("out", 1):
            document = json.loads(body)
            found.setdefault(document["deviceName"], []).append(document["telemetry"][0]["values"]["n"])
            total += 1
    for name, numbers in found.items():
        first = list(dict.fromkeys(numbers))
        assert first == sorted(first), name
    return total - count


@pytest.fixture
def broker(tmp_path):
    with RabbitMq(tmp_path / "rabbitmq") as made:
        yield made


@pytest.fixture
def relay(broker, tmp_path):
    made = Relay(tmp_path / "gateway", broker)
    with made.gateway:
        yield made


def pause(seconds):
    threading.Event().wait(seconds)


def test_a_broker_that_is_frozen_for_20_seconds_costs_nothing(broker, relay):
    steady = Steady(broker)
    pause(2)
    broker.freeze()
    pause(FROZEN)
    assert relay.status["state"] == "connecting"
    assert relay.status["lastError"]
    broker.thaw()
    wait_until(lambda: relay.status["state"] == "connected", 60, "the connection")
    pause(2)
    arrive(broker, steady.finish())
    wait_until(lambda: relay.is_balanced, 60, "the accounts")


def test_a_broker_that_is_killed_costs_nothing(broker, relay):
    steady = Steady(broker)
    pause(2)
    broker.kill()
    broker.start()
    wait_until(lambda: relay.status["state"] == "connected", 60, "the connection")
    pause(2)
    arrive(broker, steady.finish())
    wait_until(lambda: relay.is_balanced, 60, "the accounts")


def test_a_gateway_that_is_killed_reads_on_where_it_was(broker, relay):
    steady = Steady(broker)
    for _ in range(2):
        pause(2)
        relay.gateway.kill()
        relay.gateway.start()
    pause(1)
    count = steady.finish()
    arrive(broker, count)
    # what the broker handed out again was recognised
    assert len(relay.gateway.all_messages()) == count
