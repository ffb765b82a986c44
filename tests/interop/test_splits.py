"""Messages are split on their way to a real broker and a real server, and parts arrive in order and once."""

import json

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.testing import telemetry
from tests.peers.http_sink import HttpSink
from tests.peers.mosquitto import Mosquitto

from .delivering import Delivering, until


def record(seq, device, *readings):
    body = {
        "deviceName": device, "deviceType": "t", "attributes": {},
        "telemetry": [{"ts": 1000 + n, "values": values} for n, values in enumerate(readings)],
    }  # fmt: skip
    return telemetry(seq, device, "t", int(reactor.seconds() * 1000), json.dumps(body).encode())


def records(count, devices=3):
    return [record(n, f"d{n % devices}", {"t": n, "h": n}, {"t": n + 0.5}) for n in range(1, count + 1)]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@ensureDeferred
async def test_each_value_has_a_topic(tmp_path, version):
    with Mosquitto(tmp_path / "mosquitto").start() as broker:
        subscriber = await deferToThread(broker.subscribe, "dev/#", 1)
        configuration = {"host": "127.0.0.1", "port": broker.port, "version": version,
                         "topic": "dev/{{ deviceName }}/{{ name }}"}  # fmt: skip
        async with Delivering(
            "mqtt", configuration=configuration, split="value", format="template", template="{{ value }}"
        ) as world:
            await until(lambda: world.stats()["target"]["state"] == "connected")
            new = records(30)
            world.journal.put(new)
            world.service.feed(new)
            assert (await world.settled())["delivered"] == 30
            await until(lambda: len(subscriber.messages) >= 90)
        subscriber.close()
    for device in range(3):
        mine = [n for n in range(1, 31) if n % 3 == device]
        values = [float(payload) for topic, payload in subscriber.messages if topic == f"dev/d{device}/t"]
        assert values == [value for n in mine for value in (n, n + 0.5)]
    assert len(subscriber.messages) == 90


@pytest.mark.parametrize("batch", ["none", "array"])
@ensureDeferred
async def test_faults_between_parts_lose_none_and_repeat_only_what_was_not_answered(tmp_path, batch):
    with HttpSink(tmp_path / "sink") as sink:
        await deferToThread(
            sink.script,
            {}, {"status": 500}, {"reset": True}, {}, {"status": 409}, {"drop": True}, {}, {"status": 503}, {"reset": True},
        )  # fmt: skip
        configuration = {"url": sink.url, "batch": batch, "batchSize": 7, "concurrency": 2}
        async with Delivering("http", configuration=configuration, split="value") as world:
            new = records(20)
            world.journal.put(new)
            world.service.feed(new)
            stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (20, 0)
        received = await deferToThread(lambda: sink.received)
        bodies = [json.loads(request["body"]) for request in received]
        documents = bodies if batch == "none" else [each for body in bodies for each in body]
        keys = [document["key"] for document in documents]
        assert {key.rpartition(".")[0] for key in keys} == {f"E-{n}.{n}" for n in range(1, 21)}
        assert set(keys) == {f"E-{n}.{n}.{part}" for n in range(1, 21) for part in (1, 2, 3)}
        failed = 6 if batch == "none" else 6 * 7 + 7
        assert len(keys) <= 60 + failed
