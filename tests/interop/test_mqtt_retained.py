"""Retained values, properties and retained downlinks at a real mosquitto."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.model import Downlink
from tests.peers.mosquitto import Mosquitto

from .delivering import until
from .test_mqtt_source import Kept, publish

VERSIONS = ["3.1.1", "5"]


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Mosquitto(tmp_path_factory.mktemp("broker")) as made:
        yield made


@pytest.mark.parametrize("version", VERSIONS)
@ensureDeferred
async def test_a_retained_value_is_a_reading_once_over_restarts(broker, tmp_path, version):
    settings = {"version": version, "topics": [f"once{version}/+"], "clientId": f"once{version}"}
    await publish(broker, f"once{version}/a", "20", "-r", "-q", "1")
    async with Kept(broker, tmp_path, **settings) as first:
        await until(lambda: first.payloads == [b"20"])
        assert first.intake.received[0][1]["retain"] is True
    async with Kept(broker, tmp_path, **settings) as second:
        await publish(broker, f"once{version}/a", "21", "-r", "-q", "1")
        await until(lambda: second.payloads)
        assert second.payloads == [b"21"]
        assert second.source.counts["retainedKnown"] == 1
    async with Kept(broker, tmp_path, **settings) as third:
        await until(lambda: third.source.counts["retainedKnown"])
        assert third.payloads == []


@pytest.mark.parametrize("version", VERSIONS)
@ensureDeferred
async def test_what_changed_while_away_and_was_not_queued_is_a_reading(broker, tmp_path, version):
    settings = {"version": version, "topics": [f"away{version}/+"], "clientId": f"away{version}"}
    await publish(broker, f"away{version}/a", "20", "-r")
    async with Kept(broker, tmp_path, **settings) as first:
        await until(lambda: first.payloads)
    await publish(broker, f"away{version}/a", "21", "-r")  # QoS 0: the broker keeps it as retained only
    async with Kept(broker, tmp_path, **settings) as second:
        await until(lambda: second.payloads)
        assert second.payloads == [b"21"]


@ensureDeferred
async def test_an_mqtt_5_broker_sends_none_where_none_is_wanted(broker, tmp_path):
    await publish(broker, "none/a", "20", "-r", "-q", "1")
    async with Kept(broker, tmp_path, version="5", topics=["none/+"], clientId="none", retained="none") as it:
        await publish(broker, "none/a", "21", "-q", "1")
        await until(lambda: it.payloads)
        assert it.payloads == [b"21"] and it.source.counts["messages"] == 1


@ensureDeferred
async def test_the_properties_of_a_message_are_its_metadata(broker, tmp_path):
    async with Kept(broker, tmp_path, version="5", topics=["props/+"], clientId="props") as it:
        await publish(
            broker, "props/a", "x", "-V", "mqttv5",
            "-D", "publish", "user-property", "site", "north", "-D", "publish", "content-type", "text/plain",
            "-D", "publish", "response-topic", "to/me", "-D", "publish", "message-expiry-interval", "60",
        )  # fmt: skip
        await until(lambda: it.payloads)
        facts = it.intake.received[0][1]
        assert facts["userProperties"] == {"site": "north"}
        assert (facts["contentType"], facts["responseTopic"]) == ("text/plain", "to/me")
        assert 0 < facts["messageExpiry"] <= 60


@ensureDeferred
async def test_a_retained_downlink_waits_for_a_device_that_comes_later(broker, tmp_path):
    settings = {
        "topics": ["later/+"],
        "clientId": "later",
        "downlinkTopic": "down/{identity}",
        "downlinkRetain": True,
    }
    async with Kept(broker, tmp_path, **settings) as it:
        it.source.push({"identity": "d1", "topic": "later/d1"}, (Downlink("1", "d1", b"go"),))
        await until(lambda: ("1", "delivered") in it.intake.outcomes)
    async with Kept(broker, tmp_path, topics=["down/+"], clientId="device") as device:
        await until(lambda: device.payloads)
        assert device.payloads == [b"go"] and device.intake.received[0][1]["retain"] is True
