"""Against mosquitto: what ThingsBoard's gateway API is sent, by its topics and documents."""

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from iotgw.core.specs import RetrySpec
from tests.peers.mosquitto import Mosquitto

from .brokers import StrictBroker
from .delivering import Delivering, until


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture(params=["iotgw", "paho"])
def settings(request, broker):
    return {"host": "127.0.0.1", "port": broker.port, "token": "T", "engine": request.param}


def body(name, **telemetry):
    import json

    return json.dumps(
        {"deviceName": name, "deviceType": "t", "attributes": {"fw": 1},
         "telemetry": [{"ts": 1, "values": telemetry}]}
    ).encode()  # fmt: skip


@ensureDeferred
async def test_a_batch_is_one_publish_for_many_devices_where_the_user_says_so(broker, settings):
    subscriber = await deferToThread(broker.subscribe, "v1/gateway/#")
    configuration = {**settings, "downlinks": False, "mixed": True}
    async with Delivering("thingsboard", configuration=configuration) as world:
        await until(lambda: world.stats()["target"]["state"] == "connected")
        world.service.pause("i1")
        world.store("a", body=body("a", x=1))
        world.store("b", body=body("b", x=2))
        world.store("a", body=body("a", x=3))
        world.service.resume("i1")
        stats = await world.settled()
        assert stats["delivered"] == 3
        await until(lambda: len(subscriber.messages) >= 4)
        by_topic = {}
        for (topic, _), document in zip(subscriber.messages, subscriber.documents, strict=True):
            by_topic.setdefault(topic.removeprefix("v1/gateway/"), []).append(document)
        assert [d["device"] for d in by_topic["connect"]] == ["a", "b"]
        assert by_topic["telemetry"] == [
            {"a": [{"ts": 1, "values": {"x": 1}}, {"ts": 1, "values": {"x": 3}}],
             "b": [{"ts": 1, "values": {"x": 2}}]}
        ]  # fmt: skip
        assert by_topic["attributes"] == [{"a": {"fw": 1}, "b": {"fw": 1}}]
    subscriber.close()


@ensureDeferred
async def test_rpc_comes_back_as_a_downlink(broker, settings):
    subscriber = await deferToThread(broker.subscribe, "v1/gateway/rpc")
    async with Delivering("thingsboard", configuration=settings) as world:
        await until(lambda: world.stats()["target"]["state"] == "connected")
        request = '{"device":"a","data":{"id":7,"method":"setInterval","params":60}}'
        sender = {"host": "127.0.0.1", "port": broker.port, "topic": "v1/gateway/rpc"}
        async with Delivering("mqtt", configuration=sender, format="template", template=request) as server:
            server.store("x")
            await until(lambda: world.downlinks)
        ((_, device, item),) = world.downlinks
        assert (device, item.msg_type, item.msg["method"]) == ("a", "rpc", "setInterval")
        await until(lambda: len(subscriber.messages) >= 2)
        assert subscriber.documents[-1] == {"device": "a", "id": 7, "data": {"queued": True}}
    subscriber.close()


@pytest.mark.parametrize(
    "payload", ["[" * 30_000, '{"device":"a","data":' + "[" * 30_000, "\u00b2", "null", "[]"]
)
@ensureDeferred
async def test_what_is_no_rpc_request_keeps_the_connection_and_the_deliveries(broker, settings, payload):
    async with Delivering("thingsboard", configuration=settings) as world:
        await until(lambda: world.stats()["target"]["state"] == "connected")
        sender = {"host": "127.0.0.1", "port": broker.port, "topic": "v1/gateway/rpc"}
        async with Delivering("mqtt", configuration=sender, format="template", template=payload) as server:
            server.store("x")
            assert (await server.settled())["delivered"] == 1
        world.store("a", body=body("a", x=1))
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (1, 0)
        assert stats["target"]["lastError"] is None


@pytest.mark.parametrize(("code", "tries"), [(0x99, 1), (0x83, 3)])
@ensureDeferred
async def test_what_thingsboard_refuses_for_good_is_a_dead_letter_at_once_and_alone(code, tries):
    async with StrictBroker() as broker:
        broker.judge = lambda topic, payload: code if b'"bad"' in payload and "telemetry" in topic else 0
        configuration = {"host": "127.0.0.1", "port": broker.port, "token": "T", "version": "5"}
        retry = RetrySpec(initial=0.01, max_attempts=3)
        async with Delivering("thingsboard", configuration=configuration, retry=retry) as world:
            await until(lambda: world.stats()["target"]["state"] == "connected")
            world.service.pause("i1")
            for name in ("a", "bad", "b"):
                world.store(name, body=body(name, x=1))
            world.service.resume("i1")
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (2, 1)
            (letter,) = await world.service.dead_letters("i1")
            assert (letter.record.device_name, letter.attempts) == ("bad", tries)
