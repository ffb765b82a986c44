"""MQTT 5's properties in the metadata, and retained downlinks."""

from __future__ import annotations

import pytest

from iotgw.core.model import Downlink
from iotgw.datasources.mqtt.properties import LARGEST
from iotgw.wire import mqtt
from tests.unit.datasources.mqtt.test_datasource import Field

CONNACK_5 = b"\x20\x03\x01\x00\x00"
SUBACK_5 = b"\x90\x04\x00\x01\x00\x01"


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def publish(properties: bytes) -> bytes:
    body = text("a") + mqtt.varint(len(properties)) + properties + b"x"
    return b"\x30" + mqtt.varint(len(body)) + body


def connected(**settings) -> Field:
    field = Field(version="5", **settings)
    field.wire.say(CONNACK_5)
    field.wire.say(SUBACK_5)
    assert field.source.is_connected
    field.wire.heard()
    return field


def facts(properties: bytes) -> dict:
    field = connected()
    field.wire.say(publish(properties))
    ((payload, found),) = field.intake.received
    assert payload == b"x"
    plain = {"integrationName", "protocol", "topic", "qos", "retain", "receivedTime"}
    return {name: value for name, value in found.items() if name not in plain}


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        (b"", {}),
        (b"\x01\x01", {}),
        (mqtt.content_type("application/json"), {"contentType": "application/json"}),
        (b"\x08" + text("to/me"), {"responseTopic": "to/me"}),
        (b"\x09\x00\x03\xff\x00\x01", {"correlationData": "ff0001"}),
        (b"\x02\x00\x00\x00\x3c", {"messageExpiry": 60}),
        (b"\x0b\x01", {}),
        (mqtt.user_property("site", "Köln"), {"userProperties": {"site": "Köln"}}),
        (
            mqtt.user_property("a", "1") + mqtt.user_property("a", "2") + mqtt.user_property("a", "3"),
            {"userProperties": {"a": ["1", "2", "3"]}},
        ),
        (mqtt.user_property("api-key", "s") + mqtt.user_property("Authorization", "s"), {}),
        (
            mqtt.user_property("a", "x" * LARGEST) + mqtt.user_property("b", "1"),
            {"propertiesLeftOut": 2},
        ),
        (
            mqtt.user_property("a", "1") + mqtt.user_property("b", "x" * LARGEST),
            {"userProperties": {"a": "1"}, "propertiesLeftOut": 1},
        ),
        (b"\x26\x00\x01\xff\x00\x00", {"userProperties": {"�": ""}}),
    ],
)
def test_properties_are_metadata(properties, found):
    assert facts(properties) == found


@pytest.mark.parametrize(
    "properties", [b"\x09\x00\x09x", b"\x26\x00\x01a", b"\x7f", b"\x26\x00\x01a\x00\x09b"]
)
def test_properties_that_are_malformed_end_the_connection(properties):
    field = connected()
    field.wire.say(publish(properties))
    assert field.wire.disconnected and field.intake.received == []


@pytest.mark.parametrize(("settings", "first"), [({}, 0x32), ({"downlink_retain": True}, 0x33)])
def test_downlinks_are_retained_where_the_settings_say_so(settings, first):
    field = connected(downlink_topic="down/{identity}", identity_level=1, **settings)
    field.source.push({"identity": "d1", "topic": "a"}, (Downlink("1", "d1", b"go"),))
    assert field.wire.heard()[0] == first


def test_no_downlink_is_retained_at_a_broker_that_keeps_none():
    field = Field(version="5", downlink_topic="down", downlink_retain=True)
    field.wire.say(b"\x20\x05\x01\x00\x02\x25\x00")
    field.wire.say(SUBACK_5)
    field.wire.heard()
    field.source.push({"identity": "d1", "topic": "a"}, (Downlink("1", "d1", b"go"),))
    assert field.wire.heard()[0] == 0x32
