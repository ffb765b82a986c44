"""Leniency of a datasource: opt-in, quirk by quirk, and counted in its status."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.lenient import QUIRKS
from tests.unit.datasources.coap.test_datasource import house

__all__ = ["house"]

NUL = "trailing-nul-after-json"


def test_quirks_are_named_or_all_of_them_and_nothing_else():
    assert convert({"lenient": ["all"]}, CoapSettings).forgiven == set(QUIRKS)
    assert convert({"lenient": [NUL]}, CoapSettings).forgiven == {NUL}
    assert convert({}, CoapSettings).forgiven == set()
    with pytest.raises(SettingsError):
        convert({"lenient": ["everything"]}, CoapSettings)


@ensureDeferred
async def test_each_datasource_of_a_port_forgives_for_itself(house):
    strict, _ = await house.datasource("k1")
    lenient, intake = await house.datasource("k2", lenient=["slashes-in-path", "leading-slash"])
    device = house.device(strict)
    for mid, (path, code) in enumerate(
        (("i/k1", n.NOT_FOUND), ("/i/k2/up", n.CHANGED), ("i/k2\0", n.NOT_FOUND))
    ):
        assert (await device.post("", b"x", (n.URI_PATH, path), mid=mid)).code == code
    ((_, metadata),) = intake.received
    assert metadata["path"] == "up"
    assert lenient.status()["quirks"] == {"leading-slash": 1, "slashes-in-path": 1}
    assert "quirks" not in strict.status()


@ensureDeferred
async def test_a_module_without_a_path_has_the_default_of_its_port(house):
    source, intake = await house.datasource("", lenient=["no-path"])
    device = house.device(source)
    assert (await device.post("", b"x", mid=1)).code == n.CHANGED
    assert (await device.post("y", b"x", mid=2)).code == n.NOT_FOUND
    assert [payload for payload, _ in intake.received] == [b"x"]
    assert "path" not in intake.received[0][1]
    assert source.status()["quirks"] == {"no-path": 1}
    with pytest.raises(SettingsError, match="taken by another datasource"):
        await house.datasource("", lenient=["all"])


@pytest.mark.parametrize(
    ("sent", "form", "stored"),
    [
        (b'{"t":1}\0', n.JSON, b'{"t":1}'),
        (b"[1]\0\0", n.TEXT_PLAIN, b"[1]"),
        (b'{"t":1}\0', None, b'{"t":1}'),
        (b'{"t":1}\0', n.OCTET_STREAM, b'{"t":1}\0'),
        (b"text\0", None, b"text\0"),
        (b"{\x01\0", None, b"{\x01\0"),
        (b"\0", None, b"\0"),
    ],
)
@ensureDeferred
async def test_a_nul_behind_json_is_dropped_and_no_other(house, sent, form, stored):
    source, intake = await house.datasource("k", lenient=[NUL])
    pairs = [] if form is None else [(n.CONTENT_FORMAT, form)]
    await house.device(source).post("i/k", sent, *pairs)
    assert [payload for payload, _ in intake.received] == [stored]
    assert source.status()["quirks"] == {NUL: int(sent != stored)}


@ensureDeferred
async def test_without_leniency_the_payload_is_never_altered(house):
    source, intake = await house.datasource("k")
    await house.device(source).post("i/k", b"{}\0", (n.CONTENT_FORMAT, n.JSON))
    assert [payload for payload, _ in intake.received] == [b"{}\0"]


@ensureDeferred
async def test_downlinks_are_fetched_by_a_path_in_one_option_as_well(house):
    source, _ = await house.datasource("k", lenient=["slashes-in-path"])
    reply = await house.device(source).post("", b"", (n.URI_PATH, "i/k/downlink/dev"), code=n.GET)
    assert reply.code == n.CONTENT
