"""MQTT over WebSockets: as a datasource and as a target, through npm's ws to a real mosquitto."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from tests.certificates import Authority
from tests.peers.mosquitto import Mosquitto
from tests.peers.websocket_front import WebSocketFront

from .delivering import Delivering, until
from .test_mqtt_source import Source, publish


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A broker, a front without TLS and one with it, and the CA of the latter."""
    folder = tmp_path_factory.mktemp("ws")
    ca = Authority()
    pems = ca.issue("front", hosts=["127.0.0.1"]).write(folder, "front")
    with (
        Mosquitto(folder / "broker") as broker,
        WebSocketFront(folder / "plain", broker.port) as plain,
        WebSocketFront(folder / "tls", broker.port, *pems) as tls,
    ):
        yield broker, plain, tls, ca.pem().decode()


def settings(house, scheme, path="/mqtt"):
    _, plain, tls, ca = house
    if scheme.endswith("wss"):
        return {"host": f"{scheme}://127.0.0.1:{tls.port}{path}", "port": None, "tls": {"ca": ca}}
    return {"host": f"{scheme}://127.0.0.1:{plain.port}{path}", "port": None}


@pytest.mark.parametrize("scheme", ["ws", "mqtt+ws", "wss"])
@pytest.mark.parametrize("version", ["3.1.1", "5"])
@ensureDeferred
async def test_a_datasource_gets_what_the_broker_has(house, scheme, version):
    name = f"{scheme.replace('+', '-')}/{version}"
    async with Source(
        house[0],
        **{**settings(house, scheme), "version": version, "topics": [f"{name}/+"], "clientId": name},
    ) as it:
        assert it.source.status()["address"].startswith("wss://" if scheme == "wss" else "ws://")
        for number in range(5):
            await publish(house[0], f"{name}/d1", str(number) * 5000, "-q", "1")
        await until(lambda: len(it.payloads) == 5)
        assert it.payloads == [str(number).encode() * 5000 for number in range(5)]


@pytest.mark.parametrize("engine", ["iotgw", "paho"])
@ensureDeferred
async def test_a_target_delivers_through_it(house, engine):
    with await deferToThread(house[0].subscribe, f"out/{engine}/#") as reader:
        configuration = {
            **settings(house, "wss"),
            "topic": f"out/{engine}/{{{{ deviceName }}}}",
            "engine": engine,
        }
        async with Delivering("mqtt", configuration=configuration) as world:
            await until(lambda: world.stats()["target"]["state"] == "connected")
            world.store(*["a", "b"] * 100)
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (200, 0)
        await until(lambda: len(reader.messages) >= 200)


@ensureDeferred
async def test_a_path_that_is_none_is_told_of(house):
    wrong = Source(house[0], **settings(house, "ws", "/nowhere"))
    await wrong.source.start()
    try:
        await until(lambda: wrong.intake.events)
    finally:
        await wrong.source.stop()
    assert "the server refused the WebSocket: HTTP 400" in wrong.intake.events[0][1]


@ensureDeferred
async def test_a_front_that_loses_its_broker_is_left_and_found_again(tmp_path):
    with Mosquitto(tmp_path / "broker") as broker, WebSocketFront(tmp_path / "front", broker.port) as front:
        configuration = {"host": f"ws://127.0.0.1:{front.port}", "port": None}
        async with Source(broker, **configuration) as it:
            await deferToThread(broker.kill)
            await until(lambda: not it.source.is_connected)
            await until(lambda: "closed the WebSocket (code 1001)" in it.intake.events[-1][1])
            await deferToThread(broker.start)
            await until(lambda: it.source.is_connected)
