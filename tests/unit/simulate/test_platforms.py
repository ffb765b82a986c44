"""Simulated platforms post what the presets read."""

from __future__ import annotations

import random

import pytest

from iotgw.envelopes.envelope import Reading
from iotgw.envelopes.presets.choices import named
from iotgw.envelopes.presets.envelope import PresetEnvelope
from iotgw.simulate.platforms import PLATFORMS, PlatformDevice

PRESETS = {"ttn": "the-things-stack"}
NOW_MS = 1779168815641


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_simulated_platform_s_post_is_an_uplink_of_its_preset(platform):
    device = PlatformDevice(random.Random(1), platform)
    envelope = PresetEnvelope(named(PRESETS.get(platform, platform)))
    keys = set()
    for counter in range(3):
        head, _, body = device.uplink(NOW_MS + counter * 1000).partition(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        facts = {"path": path.partition("?")[0].removeprefix(f"/i/demo-{platform}").strip("/")}
        facts["query"] = dict([path.partition("?")[2].split("=")]) if "?" in path else {}
        (reading,) = envelope.read(body, facts, 0)
        assert isinstance(reading, Reading)
        assert device.identity.lower() in reading.identity.lower()
        assert (len(reading.facts["frame"]), reading.facts["fPort"], reading.facts["fCnt"]) == (4, 2, counter)
        assert reading.facts["time"] == NOW_MS + counter * 1000 and -120 <= reading.facts["rssi"] < -30
        keys.add(reading.key)
    assert len(keys) == 3


@pytest.mark.parametrize(("status", "is_answer"), [(b"204 No Content", True), (b"401 Unauthorized", False)])
def test_2xx_is_the_gateway_s_word(status, is_answer):
    device = PlatformDevice(random.Random(1), "ttn", "/i/mine")
    assert b"POST /i/mine HTTP/1.1\r\n" in device.uplink(NOW_MS)
    assert not device.received(b"HTTP/1.1 " + status, NOW_MS).is_done
    reaction = device.received(b"\r\n\r\n", NOW_MS)
    assert (reaction.is_done, reaction.is_answer) == (True, is_answer)
