"""The target ``azure-iot-hub`` with a mosquitto in the hub's place: its topics, and its one connection for each device. No mosquitto checks
tokens or closes connections when they end; tests/unit/integrations/test_azure_iot_hub.py plays that part."""

from __future__ import annotations

import base64
from functools import cached_property
from urllib.parse import parse_qs

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.integrations import iot_hub_device
from iotgw.integrations.azure_iot_hub import IotHubType
from iotgw.testing.contracts import IntegrationContract
from tests.peers.mosquitto import Mosquitto
from tests.unit.greenlets import BesideTheReactor, beside_the_reactor

from .delivering import Delivering, numbers, per_device, until
from .reading import a_target, quick

KEY = base64.b64encode(b"secret").decode()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Mosquitto(tmp_path_factory.mktemp("hub")) as made:
        yield made


def connection(broker):
    place = f"HostName=127.0.0.1:{broker.port};SharedAccessKeyName=device;SharedAccessKey={KEY}"
    return f"{place};UseDevelopmentEmulator=true"


@beside_the_reactor(IntegrationContract)
class TestIotHubTarget(BesideTheReactor, IntegrationContract):
    @pytest.fixture(autouse=True)
    def _hub(self, broker):
        self.settings = {"connectionString": connection(broker)}
        yield
        self.teardown_method()

    @cached_property
    def context(self):
        return quick("azure-iot-hub")

    def open(self):
        made = a_target(IotHubType, self.settings)
        self.wait(made.start())
        return made


@ensureDeferred
async def test_all_arrives_in_order_while_tokens_end_again_and_again(broker, monkeypatch):
    monkeypatch.setattr(iot_hub_device, "EARLY", iot_hub_device.LIFE)  # each look finds them too old
    subscriber = await deferToThread(broker.subscribe, "devices/#")
    settings = {"connectionString": connection(broker)}
    async with Delivering("azure-iot-hub", types=(IotHubType,), configuration=settings) as world:
        target = world.service.entry("i1").target
        sent = 0
        for _ in range(20):
            world.store(*["a", "b", "c"] * 5)
            sent += 15
            target._look()
            await until(lambda wanted=sent - 10: world.stats()["delivered"] >= wanted)
        stats = await world.settled()
        assert stats["delivered"] == sent
        await until(lambda: len(subscriber.messages) >= sent)
        arrived = numbers(subscriber.documents)
        assert len(arrived) == sent  # none twice
        assert all(line == sorted(line) for line in per_device(arrived).values())
        topics = {topic.rpartition("/")[0] for topic, _ in subscriber.messages}
        assert topics == {f"devices/{name}/messages/events" for name in "abc"}
        names = [parse_qs(topic.rpartition("/")[2])["$.mid"] for topic, _ in subscriber.messages]
        assert len({name for (name,) in names}) == sent
    subscriber.close()


@ensureDeferred
async def test_a_hub_that_is_killed_and_comes_back_gets_everything(tmp_path):
    with Mosquitto(tmp_path / "hub") as broker:
        settings = {"connectionString": connection(broker)}
        async with Delivering("azure-iot-hub", types=(IotHubType,), configuration=settings) as world:
            world.store("a", "b")
            await world.settled()
            broker.kill()
            world.store(*["a", "b"] * 20)
            await until(lambda: world.stats()["state"] == "unavailable")
            broker.start()
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (42, 0)


@ensureDeferred
async def test_nothing_is_connected_to_where_the_operator_forbids_it(broker):
    it = a_target(IotHubType, {"connectionString": connection(broker)}, Connector(reactor, ["loopback"]))
    assert "forbidden" in (await it.check())["detail"]
    await it.stop()
