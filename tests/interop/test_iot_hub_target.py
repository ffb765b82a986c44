"""The target ``azure-iot-hub`` with a mosquitto in the hub's place: its topics, and its one connection for each device. In front of it, over TLS, tokens
are checked, and connections closed when they end, as a hub does."""

from __future__ import annotations

import base64
import contextlib
from functools import cached_property
from urllib.parse import parse_qs

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.integrations import azure_iot_hub, iot_hub_device
from iotgw.integrations.azure_iot_hub import IotHubType
from iotgw.testing.contracts import IntegrationContract
from tests.certificates import Authority
from tests.peers.iot_hub_front import IotHubFront
from tests.peers.mosquitto import Mosquitto
from tests.peers.websocket_front import WebSocketFront
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


@contextlib.asynccontextmanager
async def guarded(broker, way, folder, devices="abc"):
    """A hub that looks at tokens, and the settings that lead there, over TLS or in a WebSocket on TLS."""
    ca = Authority()
    issued = ca.issue("hub", hosts=["127.0.0.1"])
    async with IotHubFront(
        broker.port, "device", b"secret", devices, issued=issued if way == "tls" else None
    ) as hub:
        with contextlib.ExitStack() as stack:
            port = hub.port
            if way == "websocket":
                pems = issued.write(folder, "front")
                front = WebSocketFront(folder, hub.port, *pems, path="/$iothub/websocket")
                port = (await deferToThread(stack.enter_context, front)).port
            place = f"HostName=127.0.0.1:{port};SharedAccessKeyName=device;SharedAccessKey={KEY}"
            tls = {"ca": ca.pem().decode()}
            yield hub, {"connectionString": place, "websocket": way == "websocket", "tls": tls}


async def deliver_for(seconds, world):
    """Records of three devices, for some seconds, and until all are settled; returns how many."""
    sent, end = 0, reactor.seconds() + seconds
    while reactor.seconds() < end:
        world.store(*"abc")
        sent += 3
        await deferLater(reactor, 0.05)
    stats = await world.settled()
    assert (stats["delivered"], stats["dead"]) == (sent, 0)
    return sent


def token_lives(monkeypatch, life, early):
    monkeypatch.setattr(iot_hub_device, "LIFE", life)
    monkeypatch.setattr(iot_hub_device, "EARLY", early)
    monkeypatch.setattr(azure_iot_hub, "LOOK", 0.1)


@pytest.mark.parametrize("way", ["tls", "websocket"])
@ensureDeferred
async def test_tokens_are_made_anew_in_time_and_nothing_is_lost_or_sent_twice(
    broker, monkeypatch, tmp_path, way
):
    token_lives(monkeypatch, life=20.0, early=19.0)
    subscriber = await deferToThread(broker.subscribe, "devices/#")
    async with (
        guarded(broker, way, tmp_path) as (hub, settings),
        Delivering("azure-iot-hub", types=(IotHubType,), configuration=settings) as world,
    ):
        sent = await deliver_for(4, world)
        await until(lambda: len(subscriber.messages) >= sent)
        assert all(sum(name == each for name, _ in hub.let_in) > 2 for each in "abc")
        assert (hub.refused, hub.ended) == ([], [])
        arrived = numbers(subscriber.documents)
        assert len(arrived) == sent  # none twice
        assert all(line == sorted(line) for line in per_device(arrived).values())
        topics = {topic.rpartition("/")[0] for topic, _ in subscriber.messages}
        assert topics == {f"devices/{name}/messages/events" for name in "abc"}
        names = [parse_qs(topic.rpartition("/")[2])["$.mid"] for topic, _ in subscriber.messages]
        assert len({name for (name,) in names}) == sent
    subscriber.close()


@ensureDeferred
async def test_a_hub_whose_clock_ends_tokens_too_early_for_us_loses_nothing(broker, monkeypatch, tmp_path):
    token_lives(monkeypatch, life=2.0, early=0.0)
    subscriber = await deferToThread(broker.subscribe, "devices/#")
    async with (
        guarded(broker, "tls", tmp_path) as (hub, settings),
        Delivering("azure-iot-hub", types=(IotHubType,), configuration=settings) as world,
    ):
        sent = await deliver_for(4, world)
        assert hub.ended
        await until(lambda: len(set(numbers(subscriber.documents))) == sent)
        assert all(line == sorted(line) for line in per_device(numbers(subscriber.documents)).values())
    subscriber.close()


@ensureDeferred
async def test_a_device_that_is_not_registered_holds_up_nobody_else_and_a_wrong_key_everybody(
    broker, tmp_path
):
    async with guarded(broker, "tls", tmp_path, devices="a") as (hub, settings):
        async with Delivering("azure-iot-hub", types=(IotHubType,), configuration=settings) as world:
            world.store("a")
            await until(lambda: world.stats()["delivered"] == 1)
            world.store("b", "a")
            await until(lambda: world.stats()["delivered"] == 2 and ("b", "no such device") in hub.refused)
            assert world.stats()["state"] != "unavailable"
        wrong = {**settings, "connectionString": settings["connectionString"].replace(KEY, "d3Jvbmc=")}
        async with Delivering("azure-iot-hub", types=(IotHubType,), configuration=wrong) as world:
            world.store("a")
            await until(lambda: world.stats()["state"] == "unavailable")
            assert hub.refused[-1] == ("a", "the token isn't this key's")
            assert "the key isn't the one" in world.stats()["lastError"]


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
