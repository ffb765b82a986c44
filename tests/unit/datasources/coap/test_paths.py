"""Paths without a routing key, and the time."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.datasources.coap.paths import parse_fixed
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.wire.coap import numbers as n
from tests.unit.datasources.coap.test_datasource import house

__all__ = ["house"]

EFENTO = {"paths": ["m", "c", "i"], "timePaths": ["t"]}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("m", ("m",)),
        ("/m", ("m",)),
        ("i", ("i",)),
        ("/", ()),
        ("api/v1/*/telemetry", ("api", "v1", "*", "telemetry")),
        ("data/**", ("data", "**")),
    ],
)
def test_a_path_is_written_as_in_a_uri(text, path):
    assert parse_fixed(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "//",
        "a//b",
        "a/",
        "*",
        "**",
        "*/a",
        "a/**/b",
        "a/*/**",
        "i/key",
        ".well-known/core",
        "a/../b",
        "./a",
        "a" * 256,
        "/".join("a" * 17),
    ],
)
def test_what_can_not_be_served_is_refused(text):
    with pytest.raises(SettingsError):
        convert({"paths": [text]}, CoapSettings)


@pytest.mark.parametrize(
    "configuration",
    [
        {"paths": ["m", "m"]},
        {"paths": ["m", "m/**"]},
        {"paths": ["t"], "timePaths": ["t"]},
        {"timePaths": ["t/**"]},
    ],
)
def test_a_path_is_named_once(configuration):
    with pytest.raises(SettingsError):
        convert(configuration, CoapSettings)


@ensureDeferred
async def test_an_uplink_at_a_fixed_path_has_the_path_in_its_metadata(house):
    source, intake = await house.datasource("", **EFENTO)
    device = house.device(source)
    for mid, path in enumerate(("m", "c", "i")):
        assert (await device.post(path, b"x", mid=mid)).code == n.CHANGED
    assert (await device.post("m/x", mid=9)).code == n.NOT_FOUND
    assert [metadata["path"] for _, metadata in intake.received] == ["m", "c", "i"]
    assert source.status()["coap"]["requests"] == 4


@ensureDeferred
async def test_the_path_of_a_pattern_and_of_what_is_below_is_whole(house):
    source, intake = await house.datasource("k", paths=["api/v1/*/telemetry", "data/**", "/"])
    device = house.device(source)
    for mid, path in enumerate(("api/v1/tok/telemetry", "data", "data/a/b", "", "i/k/sub")):
        assert (await device.post(path, b"x", mid=mid)).code == n.CHANGED
    assert [metadata.get("path") for _, metadata in intake.received] == [
        "api/v1/tok/telemetry", "data", "data/a/b", None, "sub",
    ]  # fmt: skip


@ensureDeferred
async def test_a_device_without_a_clock_is_told_the_time(house):
    source, intake = await house.datasource("", **EFENTO)
    device = house.device(source)
    house.jumps.jump(86_400)  # the date it is told, and that is no longer gateway time
    before = int(house.jumps.calendar.seconds())
    for code, expected in ((n.POST, n.CREATED), (n.GET, n.CONTENT)):
        reply = await device.post("t", code=code, mid=code)
        assert reply.code == expected
        assert before <= int.from_bytes(reply.payload, "big") <= int(house.jumps.calendar.seconds())
        assert len(reply.payload) == 4
    assert intake.received == []


@ensureDeferred
async def test_without_a_routing_key_there_must_be_a_path(house):
    with pytest.raises(SettingsError, match="expected a path token"):
        await house.datasource("")


@ensureDeferred
async def test_discovery_shows_a_fixed_path_but_no_pattern(house):
    source, _ = await house.datasource("", paths=["m", "api/*"], discovery="on")
    device = house.device(source)
    reply = await device.post(".well-known/core", code=n.GET)
    assert b"</m>" in reply.payload
    assert b"api" not in reply.payload
