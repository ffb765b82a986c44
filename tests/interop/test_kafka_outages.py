"""Kafka → gateway → Kafka, while two gateways share the work, and come and go: nothing that the broker had is lost, and each keeps the order of a
partition. And brokers that are silent, partitions that are added, messages that are deleted unread, and some that nobody can read. For those that are
frozen or killed, see test_queue_outages.py.
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
from iotgw.testing import MemoryCheckpoints, Verdicts, telemetry
from tests.peers.gateway import Gateway
from tests.peers.kafka import Kafka
from tests.peers.process import wait_until

from .delivering import until
from .kafka_field import (
    Source,
    Steady,
    add_partitions,
    committed,
    consume,
    forget_before,
    make_topic,
    produce,
    produce_unreadable,
    readings,
    run,
    target,
)

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Kafka(tmp_path_factory.mktemp("kafka")) as made:
        yield made


@pytest.fixture
def topic(request):
    return "".join(char if char.isalnum() else "-" for char in request.node.name)[-80:].strip("-")


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


@ensureDeferred
async def test_a_group_that_began_with_the_next_message_misses_none_after_that(broker, topic):
    """Nothing had come to the second partition when it stopped, and the third one was added while it was away."""
    await run(make_topic(broker, topic, partitions=2))
    await run(produce(broker, topic, [("a", b"before"), ("a", b"before")], partition=0))
    latest = {"topics": [topic], "group": topic, "from": "latest", "checkpoints": MemoryCheckpoints()}
    async with Source(broker, **latest) as first:
        await until(lambda: first.source.status()["state"] == "connected")
        await until(lambda: latest["checkpoints"].positions)
        await run(produce(broker, topic, [("a", b"0")], partition=0))
        await until(lambda: first.payloads)
    assert await run(committed(broker, topic, topic)) == {0: 3, 1: 0}
    await run(add_partitions(broker, topic, 3))
    for partition in (1, 2):
        await run(produce(broker, topic, [("a", b"%d" % partition)], partition=partition))
    async with Source(broker, **latest) as second:
        await until(lambda: len(second.payloads) == 2)
    assert (first.payloads, sorted(second.payloads)) == ([b"0"], [b"1", b"2"])


@pytest.mark.parametrize("start", ["earliest", "latest"])
@ensureDeferred
async def test_of_what_the_brokers_deleted_unread_people_are_told_and_the_rest_is_read(broker, topic, start):
    await run(make_topic(broker, topic, partitions=1))
    settings = {"topics": [topic], "group": topic, "from": start, "checkpoints": MemoryCheckpoints()}
    await run(produce(broker, topic, readings(1)))
    async with Source(broker, **settings) as it:
        await until(lambda: it.payloads or settings["checkpoints"].positions)
    await run(produce(broker, topic, readings(9, 1)))
    await run(forget_before(broker, topic, 0, 5))
    async with Source(broker, **settings) as it:
        await until(lambda: len(it.payloads) == 5)
        await until(lambda: [words for kind, words in it.intake.events if kind == "missed"])
    assert [json.loads(payload)["n"] for payload in it.payloads] == [5, 6, 7, 8, 9]


@ensureDeferred
async def test_a_message_that_nobody_can_read_stops_none_of_the_others(broker, topic):
    """Each of the others comes once, in its partition's order, and people are told which one doesn't."""
    await run(make_topic(broker, topic, partitions=2))
    for first in (0, 20, 40):
        for partition in (0, 1):
            await run(produce(broker, topic, readings(20, 100 * partition + first), partition=partition))
        if first < 40:
            await run(produce_unreadable(broker, topic, 1))
    async with Source(broker, topics=[topic], group=topic) as it:
        await until(lambda: len(it.payloads) >= 120, 60)
        found = {0: [], 1: []}
        for payload, facts in it.intake.received:
            found[facts["partition"]].append(json.loads(payload)["n"])
        told = [words for kind, words in it.intake.events if kind == "missed"]
    assert found == {partition: list(range(100 * partition, 100 * partition + 60)) for partition in (0, 1)}
    assert [words.partition(" can't")[0] for words in told] == [
        f"{topic}, partition 1: the message at offset {offset}" for offset in (20, 41)
    ]
    assert await run(committed(broker, topic, topic)) == {0: 60, 1: 62}
