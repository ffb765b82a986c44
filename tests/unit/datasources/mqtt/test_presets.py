"""What a preset asks of the connection to its broker."""

from __future__ import annotations

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.model import Downlink
from iotgw.core.validate import convert
from iotgw.datasources.mqtt.settings import MqttSourceSettings
from tests.unit.datasources.mqtt.test_datasource import Field


def settings(**given):
    return convert({"host": "h", **given}, MqttSourceSettings, "configuration")


@pytest.mark.parametrize(
    ("given", "address", "protocol"),
    [
        ({}, "mqtts://h:8883", ""),
        ({"port": 443}, "mqtts://h:443", "mqtt"),
        ({"port": 443, "tls": {"certificate": "c", "key": "k"}}, "mqtts://h:443", "x-amzn-mqtt-ca"),
        ({"port": 443, "alpn": "own"}, "mqtts://h:443", "own"),
        ({"host": "mqtts://h:443"}, "mqtts://h:443", "mqtt"),
        ({"host": "mqtt://h"}, "mqtt://h:1883", ""),
    ],
)
def test_aws_iot_is_reached_in_tls_and_on_port_443_with_alpn(given, address, protocol):
    made = settings(preset="aws-iot", **given)
    assert (made.broker.address, made.protocol) == (address, protocol)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"preset": "aws-iot", "qos": 2}, "qos: expected at most 1 with preset aws-iot"),
        ({"preset": "aws-iot", "downlinkQos": 2}, "downlinkQos: expected at most 1"),
        ({"preset": "ibm-watson"}, "clientId: expected a:organisation:application"),
        ({"preset": "ibm-watson", "clientId": "d:org:type:id"}, "clientId: expected"),
        ({"preset": "aws"}, "preset: expected one of"),
        ({"preset": "aws-iot", "custom": "x = 1"}, "custom: expected a preset"),
    ],
)
def test_what_a_platform_does_not_take_is_refused_when_it_is_saved(given, problem):
    with pytest.raises(SettingsError) as caught:
        settings(**given)
    assert problem in caught.value.problem


def test_watson_s_application_subscribes_to_all_events():
    made = settings(preset="ibm-watson", clientId="a:org:gw", username="a-org-1")
    assert made.filters == ["iot-2/type/+/id/+/evt/+/fmt/+", "iot-2/type/+/id/+/mon"]
    assert made.broker.port == 8883


def test_the_user_of_a_url_stands_in_a_preset_s_topics():
    made = settings(preset="the-things-stack", host="mqtts://app%40ttn:p@h")
    assert made.filters[0] == "v3/app@ttn/devices/+/up"


@pytest.mark.parametrize(("shadow", "outcomes"), [(None, ["sent", "delivered"]), (True, ["offered"])])
def test_a_shadow_waits_for_its_receipt_and_a_publish_for_the_broker(shadow, outcomes):
    field = Field(topics=["$aws/things/+/shadow/#"], preset="aws-iot", downlink_topic="fleet/{identity}/in")
    field.up()
    item = Downlink("dl" + "0" * 16, "pump-1", b"{}", metadata={} if shadow is None else {"shadow": shadow})
    field.source.push({"identity": "pump-1", "topic": "x"}, (item,))
    field.wire.say(b"\x40\x02\x00\x02")
    assert [state for _, state in field.intake.outcomes] == outcomes
