"""The accounts of datasources that subscribe, with the real gateway: what was received is converted, filtered or failed, and a kill
changes none of it. OPC UA is at most once: after a kill all values come once more."""

from __future__ import annotations

import subprocess

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.peers.gateway import Gateway
from tests.peers.mosquitto import Mosquitto
from tests.peers.opcua import OpcuaServer
from tests.peers.process import find, wait_until

pytestmark = pytest.mark.interop
SOURCES = ("aws", "watson", "plant")


def publish(broker, topic, *payloads):
    command = [find("mosquitto_pub"), "-p", str(broker.port), "-q", "1", "-t", topic, "-l"]
    subprocess.run(command, check=True, timeout=20, input="\n".join(payloads) + "\n", text=True)


def accounts(gateway):
    """What each datasource received, converted, filtered and failed."""
    listed = gateway.api("GET", "/datasources").json["items"]
    return {
        each["name"]: tuple(
            each["status"]["counts"].get(name, 0) for name in ("received", "converted", "filtered", "failed")
        )
        for each in listed
        if each["name"] in SOURCES
    }


@pytest.fixture
def plant():
    made = OpcuaServer()
    pytest_twisted.blockon(Deferred.fromCoroutine(made.start()))
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.stop()))


def play(folder, plant):
    with Mosquitto(folder / "broker", persistent=True) as broker, Gateway(folder / "gateway") as gateway:
        host = f"mqtt://127.0.0.1:{broker.port}"
        for name, type_, settings in (
            (
                "aws",
                "mqtt",
                {"host": host, "preset": "aws-iot", "topics": ["fleet/+/data"], "identityLevel": 2},
            ),
            ("watson", "mqtt", {"host": host, "preset": "ibm-watson", "clientId": "a:org:gw"}),
            (
                "plant",
                "opc-ua",
                {"url": plant.url, "browse": ["nsu=urn:plant;s=Line1"], "publishingInterval": 0.1},
            ),
        ):
            gateway.create("datasources", name=name, type=type_, converter="json", configuration=settings)
        for name in SOURCES:
            wait_until(
                lambda name=name: (
                    gateway.api("GET", f"/datasources/{name}").json["status"]["state"] == "connected"
                )
            )
        wait_until(lambda: accounts(gateway)["plant"] == (8, 8, 0, 0))
        publish(broker, "fleet/pump-1/data", *['{"rpm": 1}'] * 20, "rubbish")
        publish(broker, "iot-2/type/t/id/d/evt/e/fmt/json", *['{"t": 1}'] * 10, "rubbish")
        expected = {"aws": (21, 20, 0, 1), "watson": (11, 10, 0, 1), "plant": (8, 8, 0, 0)}
        wait_until(lambda: accounts(gateway) == expected)
        gateway.kill()
        publish(broker, "fleet/pump-1/data", *['{"rpm": 2}'] * 5)
        gateway.start()
        wait_until(lambda: accounts(gateway)["aws"][0] >= 26 and accounts(gateway)["plant"] == (16, 16, 0, 0))
        wait_until(lambda: all(got == sum(rest) for got, *rest in accounts(gateway).values()))
        assert accounts(gateway)["aws"][3] == 1


@pytest_twisted.ensureDeferred
async def test_what_was_received_is_converted_filtered_or_failed_also_over_a_kill(tmp_path, plant):
    await deferToThread(play, tmp_path, plant)
