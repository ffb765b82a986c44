"""Simulated platforms post what the presets read."""

from __future__ import annotations

import json
import random
from urllib.parse import parse_qsl

import pytest

from iotgw.core.model import Downlink
from iotgw.envelopes.api import ApiAnswer
from iotgw.envelopes.envelope import Proof, Reading, Receipt
from iotgw.envelopes.presets.choices import FILES, named
from iotgw.envelopes.presets.envelope import PresetEnvelope
from iotgw.simulate.networks import AS_KEY, SHARED_SECRET
from iotgw.simulate.platform_calls import ANSWERING, called
from iotgw.simulate.platforms import PLATFORMS, PlatformDevice

PRESETS = {"ttn": "the-things-stack"}
NOW_MS = 1779168815641


def read(platform: str, request: bytes) -> list:
    """What the preset of a platform makes of a request."""
    head, _, body = request.partition(b"\r\n\r\n")
    path, _, query = head.split(b" ")[1].decode().partition("?")
    facts = {"path": path.removeprefix(f"/i/demo-{platform}").strip("/"), "query": dict(parse_qsl(query))}
    return list(PresetEnvelope(named(PRESETS.get(platform, platform))).read(body, facts, 0))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_simulated_platform_s_post_is_an_uplink_of_its_preset(platform):
    device = PlatformDevice(random.Random(1), platform)
    keys, counter = set(), 0
    for turn in range(6):
        for reading in read(platform, device.uplink(NOW_MS + turn * 1000)):
            if not isinstance(reading, Reading):
                continue
            assert device.identity.lower() in reading.identity.lower()
            assert reading.facts["time"] // 1000 == NOW_MS // 1000 + turn
            assert len(reading.facts.get("frame", "0000")) in (4, 8)
            assert reading.facts.get("fPort", 2) == 2 and reading.facts.get("fCnt", counter) == counter
            assert -120 <= reading.facts.get("rssi", -50) < -30
            counter += 1
            keys.add(reading.key)
    assert len(keys) == counter >= 3 and () not in keys


@pytest.mark.parametrize(("platform", "secret"), [("thingpark", AS_KEY), ("kpn-things", SHARED_SECRET)])
def test_a_platform_that_signs_does_so(platform, secret):
    head, _, body = PlatformDevice(random.Random(1), platform).uplink(NOW_MS).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    proof = Proof(lines[0].split(" ")[1].partition("?")[2].encode(), lambda name: headers.get(name, ""), body)
    envelope = PresetEnvelope(named(platform))
    assert envelope.object_to(proof, secret) == "" and envelope.object_to(proof, "x") != ""


def test_every_third_uplink_may_come_twice_and_is_one_message():
    device = PlatformDevice(random.Random(1), "ttn", repeat=3)
    keys = [read("ttn", device.uplink(NOW_MS + turn))[0].key for turn in range(8)]
    assert keys[2] == keys[3] and keys[6] == keys[7] and len(set(keys)) == 6


def hear(device: PlatformDevice, body: bytes):
    return device.received(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + body, NOW_MS)


def test_a_downlink_in_an_answer_is_reported_next():
    device = PlatformDevice(random.Random(1), "sigfox")
    device.uplink(NOW_MS)
    assert hear(device, json.dumps({device.identity: {"downlinkData": "00" * 8}}).encode()).downlinks == 1
    assert read("sigfox", device.uplink(NOW_MS)) == [Receipt(device.identity, "sent", "SigFox: acknowledge")]
    device = PlatformDevice(random.Random(1), "everynet")
    device.uplink(NOW_MS)
    (asking,) = read("everynet", device.uplink(NOW_MS))
    command, network = PresetEnvelope(named("everynet")).answer(asking, Downlink("1", "d", b"x"))
    assert hear(device, command.payload).downlinks == 1
    (receipt,) = read("everynet", device.uplink(NOW_MS))
    assert (receipt.became, receipt.network) == ("sent", network)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    device.uplink(NOW_MS)
    assert not device.received(chunked, NOW_MS).is_done
    assert device.received(b"0\r\n\r\n", NOW_MS).is_done


EUI = "70B3D57ED0000017"
LOWER = ("chirpstack", "chirpstack-v3")
CERTAIN = ("ttn", "chirpstack", "chirpstack-v3", "huawei-iotda", "oceanconnect")
"""Those that tell of a device's own word."""
SILENT = ("kpn-things", "element-iot", "helium", "iot-creators", "particle", "netmore")
"""Those that report on nothing."""
UNNAMED = ("loriot",)
"""Those whose reports name no downlink."""
BY_ITEM = ("ttn", "thingpark", "huawei-iotda", "netmore-portal")


def said_of(platform: str) -> dict[str, str]:
    """What the gateway knows of a simulated device."""
    name = {"ttn": f"eui-{EUI.lower()}"}.get(platform, EUI.lower() if platform in LOWER else EUI)
    return {"identity": name, "deviceId": f"device-{EUI}"}


@pytest.mark.parametrize("platform", ANSWERING)
@pytest.mark.parametrize("confirmed", [False, True])
def test_a_call_of_a_platform_s_api_has_its_receipts(platform, confirmed):
    api = named(PRESETS.get(platform, platform)).api
    uplink = said_of(platform)
    settings = dict.fromkeys(api.needs, "x") | {
        "server": "http://127.0.0.1",
        "loginServer": "http://127.0.0.1",
    }
    call = api.call(
        Downlink("dl0123456789abcde0", "d", b"x", "BINARY", {}, confirmed),
        uplink,
        settings,
        0,
    )
    found = called(platform, call.url.removeprefix("http://127.0.0.1"), call.body)
    ruling = api.judge(ApiAnswer(found.status, found.headers, json.dumps(found.answer).encode()), uplink)
    assert (found.eui, ruling.means) == (EUI, "accepted")
    device = PlatformDevice(random.Random(1), platform)
    device.say(found.posts)
    receipts = [
        each
        for _ in found.posts
        for each in read(platform, device.uplink(NOW_MS))
        if isinstance(each, Receipt)
    ]
    if platform in SILENT:
        assert not found.posts and not receipts
        return
    is_certain = platform in ("huawei-iotda", "oceanconnect") or (confirmed and platform in CERTAIN)
    assert receipts[-1].became == ("delivered" if is_certain else "sent")
    assert {(each.item, each.network) for each in receipts} == {
        ("dl0123456789abcde0", "")
        if platform in BY_ITEM
        else ("", "" if platform in UNNAMED else ruling.network)
    }
    assert called(platform, "/x", b"[") is None


@pytest.mark.parametrize("platform", ANSWERING)
def test_a_simulated_api_gives_the_token_that_its_preset_asks_for(platform):
    api = named(PRESETS.get(platform, platform)).api
    if not api.logs_in:
        return
    settings = dict.fromkeys(api.needs, "x") | {
        "server": "http://127.0.0.1",
        "loginServer": "http://127.0.0.1",
    }
    call = api.login(settings)
    found = called(platform, call.url.removeprefix("http://127.0.0.1"), call.body)
    assert found.eui == ""
    token = api.token(ApiAnswer(found.status, found.headers, json.dumps(found.answer).encode()), 0)
    assert token.value.endswith("simulated")


def test_every_preset_has_a_simulated_platform_and_every_api_its_calls():
    assert {PRESETS.get(name, name) for name in PLATFORMS} == set(FILES)
    assert {PRESETS.get(name, name) for name in ANSWERING} == {
        name for name in FILES if named(name).api is not None
    }


def test_what_thingpark_says_of_a_downlink_is_signed():
    query = (
        "DevEUI=70B3D57ED0000017&FPort=2&CorrelationID=0123456789ABCDE0&Time=2026-05-19T05:33:35.000%2B00:00"
    )
    (post,) = called("thingpark", f"/x?{query}", b"").posts
    proof = Proof(post.rest[1:].encode(), lambda name: "", json.dumps(post.body).encode())
    assert PresetEnvelope(named("thingpark")).object_to(proof, AS_KEY) == ""


@pytest.mark.parametrize(("status", "is_answer"), [(b"204 No Content", True), (b"401 Unauthorized", False)])
def test_2xx_is_the_gateway_s_word(status, is_answer):
    device = PlatformDevice(random.Random(1), "ttn", "/i/mine")
    assert b"POST /i/mine HTTP/1.1\r\n" in device.uplink(NOW_MS)
    assert not device.received(b"HTTP/1.1 " + status, NOW_MS).is_done
    reaction = device.received(b"\r\n\r\n", NOW_MS)
    assert (reaction.is_done, reaction.is_answer) == (True, is_answer)
