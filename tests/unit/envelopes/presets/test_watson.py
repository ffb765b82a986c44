"""IBM Watson IoT Platform's topics: events in, commands out."""

from __future__ import annotations

import json

import pytest

from iotgw.core.model import Downlink
from iotgw.envelopes.envelope import Happened, Ignored, Malformed, Reading
from iotgw.envelopes.presets.watson import LARGEST, WatsonTopics

DEVICE = "iot-2/type/thermo/id/t-7"


def read(topic, data=b"{}"):
    (event,) = WatsonTopics().read(data, {"topic": topic}, 0)
    return event


@pytest.mark.parametrize(("format_", "data"), [("json", b'{"t": 1}'), ("bin", b"\x00\xff")])
def test_an_event_is_a_reading_whatever_its_format(format_, data):
    facts = {"deviceName": "t-7", "deviceType": "thermo", "event": "status", "format": format_}
    assert read(f"{DEVICE}/evt/status/fmt/{format_}", data) == Reading(data, facts, "thermo:t-7")


@pytest.mark.parametrize(
    ("action", "kind"),
    [("Connect", "connected"), ("Disconnect", "disconnected"), ("Other", "other"), ([1], "other")],
)
def test_what_the_platform_says_of_a_device_is_an_event(action, kind):
    event = WatsonTopics().read(json.dumps({"Action": action}).encode(), {"topic": f"{DEVICE}/mon"}, 0)
    assert event == (Happened(kind, "thermo:t-7", {"Action": action}),)


@pytest.mark.parametrize("data", [b"", b"[1]", b"x"])
def test_a_word_that_is_none_is_malformed(data):
    assert isinstance(read(f"{DEVICE}/mon", data), Malformed)


@pytest.mark.parametrize(
    "topic",
    ["", "iot-2", "iot-2/app/a/mon", f"{DEVICE}/cmd/reset/fmt/json", f"{DEVICE}/evt/status", "iot-2/type/a/xx/b/evt", "a/b/c/d/e/f"],
)  # fmt: skip
def test_other_topics_are_ignored(topic):
    assert isinstance(read(topic), Ignored)


@pytest.mark.parametrize(
    ("metadata", "content_type", "topic"),
    [
        ({}, "application/json", f"{DEVICE}/cmd/downlink/fmt/json"),
        ({}, "text/plain; charset=utf-8", f"{DEVICE}/cmd/downlink/fmt/txt"),
        ({}, None, f"{DEVICE}/cmd/downlink/fmt/bin"),
        ({"command": "reset", "format": "hex"}, "application/json", f"{DEVICE}/cmd/reset/fmt/hex"),
    ],
)
def test_a_downlink_is_a_command(metadata, content_type, topic):
    item = Downlink("1", "d", b"x", content_type, metadata=metadata)
    command = WatsonTopics().publish(item, "thermo:t-7", "")
    assert (command.topic, command.payload, command.awaits_receipt) == (topic, b"x", None)


@pytest.mark.parametrize(
    ("identity", "metadata", "payload"),
    [
        ("t-7", {}, b""),
        ("thermo:", {}, b""),
        ("thermo:a/b", {}, b""),
        ("thermo:t-7", {"command": "a/b"}, b""),
        ("thermo:t-7", {"command": 7}, b""),
        ("thermo:t-7", {"format": "+"}, b""),
        ("thermo:t-7", {}, b"x" * (LARGEST + 1)),
    ],
)
def test_what_is_no_command_is_refused(identity, metadata, payload):
    with pytest.raises(ValueError, match="expected"):
        WatsonTopics().publish(Downlink("1", "d", payload, metadata=metadata), identity, "")
