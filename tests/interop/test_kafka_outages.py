"""Kafka → gateway → Kafka, while two gateways share the work, and come and go: nothing that the broker had is lost, and each keeps the order of a
partition. And brokers that are silent. For those that are frozen or killed, see test_queue_outages.py.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import defaultdict

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from iotgw.core.verdict import Delivered, Unavailable
from iotgw.testing import Verdicts, telemetry
from tests.peers.gateway import Gateway
from tests.peers.kafka import Kafka
from tests.peers.process import wait_until

from .delivering import until
from .kafka_field import Steady, consume, make_topic, run, target

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Kafka(tmp_path_factory.mktemp("kafka")) as made:
        yield made


class Relay:
    """A gateway that reads ``name`` and writes ``name.out``."""

    def __init__(self, folder, broker, name, called="source"):
        self.gateway = Gateway(folder).start()
        brokers = [f"127.0.0.1:{broker.port}"]
        source = self.gateway.create(
            "datasources", name=called, type="kafka", converter="json",
            configuration={"brokers": brokers, "topics": [name], "group": name, "sessionTimeout": 6},
        )  # fmt: skip
        self._source = source["id"]
        self.gateway.create(
            "integrations", name="target", type="kafka", retry={"cap": 2},
            configuration={"brokers": brokers, "topic": f"{name}.out"},
        )  # fmt: skip
        wait_until(lambda: self.status["state"] == "connected", 60, "the source")

    @property
    def status(self):
        return self.gateway.api("GET", f"/datasources/{self._source}").json["status"]


def whole(count):
    """Whether all numbers are among records."""
    return lambda records: (
        len({json.loads(record.value)["telemetry"][0]["values"]["n"] for record in records}) >= count
    )


def judge(records, count):
    """All numbers are there, in order for each source and device."""
    order = defaultdict(list)
    for record in records:
        document = json.loads(record.value)
        order[document["datasource"], document["deviceName"]].append(document["telemetry"][0]["values"]["n"])
    for who, numbers in order.items():
        first = list(dict.fromkeys(numbers))
        assert first == sorted(first), who
    assert {number for numbers in order.values() for number in numbers} == set(range(count))


def pause(seconds):
    """In a thread: the reactor goes on."""
    return deferToThread(threading.Event().wait, seconds)


@ensureDeferred
async def test_two_gateways_share_the_partitions_and_take_each_other_s(broker, tmp_path):
    await run(make_topic(broker, "shared", "shared.out"))
    with contextlib.ExitStack() as stack:
        first = await deferToThread(Relay, tmp_path / "a", broker, "shared", "a")
        stack.enter_context(first.gateway)
        steady = Steady(broker, "shared")
        await pause(2)
        second = await deferToThread(Relay, tmp_path / "b", broker, "shared", "b")
        stack.enter_context(second.gateway)
        await deferToThread(
            wait_until,
            lambda: (first.status["partitions"], second.status["partitions"]) == (2, 2),
            60,
            "the division",
        )
        await pause(2)
        await deferToThread(first.gateway.stop)  # leaves the group, and hands over what is durable
        await deferToThread(
            wait_until, lambda: second.status["partitions"] == 4, 60, "the others' partitions"
        )
        await deferToThread(first.gateway.start)
        await pause(2)
        await deferToThread(second.gateway.kill)
        await deferToThread(
            wait_until, lambda: first.status["partitions"] == 4, 60, "a dead one's partitions"
        )
        count = await steady.finish()
        await deferToThread(second.gateway.start)  # what it had stored is delivered
        judge(await run(consume(broker, "shared.out", whole(count))), count)


@ensureDeferred
async def test_brokers_that_report_nothing_for_too_long_are_given_up_and_come_back(broker):
    it = target(broker, topic="silent", deliveryTimeout=1)
    await it.start()
    await until(lambda: it.status()["state"] == "connected")
    first, second = Verdicts(), Verdicts()
    it.send([telemetry(1, "a", received_ms=1)], first)
    await until(lambda: first.of)
    broker.freeze()
    try:
        it.send([telemetry(2, "a", received_ms=1)], second)
        await until(lambda: second.of)
        assert isinstance(second.of[2], Unavailable)
        assert it.status()["state"] == "connecting"
        assert "nothing for 1 s" in it.status()["lastError"]
        late = Verdicts()
        it.send([telemetry(3, "a", received_ms=1)], late)
        assert isinstance(late.of[3], Unavailable)
    finally:
        broker.thaw()
    await until(lambda: it.status()["state"] == "connected", 60)
    again = Verdicts()
    it.send([telemetry(2, "a", received_ms=1)], again)
    await until(lambda: again.of)
    assert again.of == {2: Delivered()}
    await it.stop()
