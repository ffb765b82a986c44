"""A target that is away for a while costs nothing but the delay."""

import json
import threading
from collections import defaultdict

import pytest

from tests.peers.coap import Device
from tests.peers.mosquitto import Mosquitto
from tests.peers.process import wait_until

COUNT = 1000
AWAY = 20


def payload(number):
    return json.dumps({"deviceName": f"meter-{number % 10}", "deviceType": "meter", "n": number}).encode()


@pytest.mark.interop
def test_a_thousand_messages_sent_while_the_broker_is_away_all_arrive_in_order(gateway, tmp_path):
    mosquitto = Mosquitto(tmp_path / "mosquitto", persistent=True).start()
    gateway.create(
        "datasources", name="coap", type="coap", routingKey="key", converter="json",
        configuration={"port": gateway.coap_port},
    )  # fmt: skip
    gateway.create(
        "integrations", name="broker", type="mqtt",
        configuration={"host": "127.0.0.1", "port": mosquitto.port}, retry={"cap": 2},
    )  # fmt: skip
    # Its subscription outlives the broker, so that it is there before the first message is.
    subscriber = mosquitto.subscribe(client_id="reader")
    mosquitto.stop()
    left = threading.Timer(AWAY, lambda: None)
    left.start()
    device = Device(gateway.coap_port, "i/key", payload, count=COUNT).start().finish()
    assert len(device.answered) == COUNT
    left.join()
    mosquitto.start()
    with mosquitto, subscriber:
        wait_until(lambda: len(subscriber.messages) >= COUNT, 60, f"{COUNT} messages at the broker")
        order = defaultdict(list)
        for document in subscriber.documents:
            order[document["deviceName"]].append(document["telemetry"][0]["values"]["n"])
    assert len(order) == 10
    for name, numbers in order.items():
        first_arrivals = list(dict.fromkeys(numbers))
        assert first_arrivals == sorted(first_arrivals), name
    assert {n for numbers in order.values() for n in numbers} == set(range(COUNT))
