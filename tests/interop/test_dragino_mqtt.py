"""Dragino nodes that publish to a real broker: hexadecimal text and JSON in, downlinks as hexadecimal text out."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.peers.patience import HANGS
from tests.peers.process import find, wait_until

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests" / "data" / "dragino.json").read_text())
SHIPPED = tomllib.loads((ROOT / "etc" / "resources.toml").read_text())["datasource"]
CONVERTERS = next(source["converters"] for source in SHIPPED if source["name"] == "dragino")
NDDS75 = next(vector for vector in VECTORS if vector["name"].startswith("D3"))
JSON = '{"IMEI":"866207058378443","Model":"DS03A-NB","battery":3.39,"1":{1,4,0,2023/11/15 07:54:30}}'


def publish(broker, topic, payload):
    command = [find("mosquitto_pub"), "-p", str(broker.port), "-q", "1", "-t", topic, "-m", payload]
    subprocess.run(command, check=True, timeout=HANGS)


@pytest.fixture
def nodes(gateway, mosquitto):
    broker = {"host": "127.0.0.1", "port": mosquitto.port}
    gateway.create(
        "datasources", name="nodes", type="dragino-mqtt", converter="dragino/generic", converters=CONVERTERS,
        configuration={**broker, "topics": ["+/up"], "downlinkTopic": "{identity}/down"},
    )  # fmt: skip
    wait_until(lambda: gateway.api("GET", "/datasources/nodes").json["status"]["state"] == "connected")
    return gateway


def test_every_frame_of_the_facts_is_read_from_a_broker(nodes, mosquitto):
    for vector in VECTORS:
        publish(mosquitto, "f9527/up", vector["hex"].upper())
    publish(mosquitto, "f9527/up", JSON)
    wait_until(lambda: len(nodes.messages(state="converted")) == len(VECTORS) + 1)
    seen = {item["output"][0]["deviceName"]: item for item in nodes.messages()}
    for vector in VECTORS:
        item = seen[vector.get("imei") or vector["deviceId"]]
        assert item["output"][0]["deviceType"] == vector["model"]
        assert item["metadata"]["topic"] == "f9527/up"
    assert seen["866207058378443"]["output"][0]["telemetry"][0]["values"]["batteryVolts"] == 3.39


def test_a_downlink_is_published_as_hexadecimal_text(nodes, mosquitto):
    nodes.api("POST", f"/devices/{NDDS75['imei']}/downlinks?allowUnknown=true", {"data": "AQADhA=="})
    with mosquitto.subscribe("+/down") as node:
        publish(mosquitto, "f9527/up", NDDS75["hex"])
        wait_until(lambda: node.messages, 20, "the downlink at the broker")
        assert node.messages == [(f"{NDDS75['imei']}/down", "01000384")]


def test_what_is_no_frame_is_kept_with_a_reason_and_the_next_one_read(nodes, mosquitto):
    publish(mosquitto, "f9527/up", "hello")
    publish(mosquitto, "f9527/up", NDDS75["hex"])
    nodes.message_when("converted")
    (failed,) = nodes.messages(state="failed")
    assert failed["error"]["message"] == "expected a Dragino frame of at least 11 bytes, got 5"
    assert nodes.api("GET", "/datasources/nodes").json["status"]["faults"] == 1
