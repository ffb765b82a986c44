"""A script that may be of two dialects is tried on its own vectors before somebody is asked."""

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.errors import SettingsError, Undecided
from iotgw.core.model import Uplink
from iotgw.core.specs import ConverterSpec
from iotgw.core.times import DateMs

UNDECIDED = "function Decoder(a, b) { return JSON.parse(String.fromCharCode.apply(null, a)); }"
LONE = UNDECIDED.replace("a, b", "a")
SCRIPTS = pytest.mark.parametrize("script", [UNDECIDED, LONE], ids=["two parameters", "one parameter"])


@SCRIPTS
@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ([{"text": '{"t": 1}', "metadata": {"devEui": "e"}, "output": {"t": 1}}], "ttn-v2"),
        ([{"hex": "7b22646576696365 4e616d65223a2264227d".replace(" ", ""), "output": {"deviceName": "d"}}], "thingsboard"),
    ],
)  # fmt: skip
@ensureDeferred
async def test_a_script_that_says_nothing_is_tried_on_its_vectors(service, script, tests, expected):
    found, _ = await service.compile(ConverterSpec(name="x", script=script, tests=tests))
    assert found == expected


BYTES = b'{"t": 1}'
THINGSBOARDS = b'{"deviceName": "d", "telemetry": {"t": 1}}'


def stored(*payloads):
    return [Uplink("default", "ds", DateMs(1000), payload, b'{"devEui": "e"}') for payload in payloads]


@SCRIPTS
@pytest.mark.parametrize(
    ("payloads", "expected"),
    [([BYTES, BYTES], "ttn-v2"), ([THINGSBOARDS], "thingsboard"), ([THINGSBOARDS, BYTES], "ttn-v2")],
)
@ensureDeferred
async def test_then_on_stored_messages(service, script, payloads, expected):
    spec = ConverterSpec(name="x", script=script)
    found, _ = await service.compile(spec, "default", stored(*payloads))
    assert found == expected


@pytest.mark.parametrize("payloads", [[b"no json"], [BYTES, b"no json"]])
@ensureDeferred
async def test_a_message_that_fails_in_every_dialect_decides_nothing(service, payloads):
    with pytest.raises(Undecided) as caught:
        await service.compile(ConverterSpec(name="x", script=UNDECIDED), "default", stored(*payloads))
    assert caught.value.choices == ("thingsboard", "ttn-v2")


@ensureDeferred
async def test_what_another_file_names_decides_too(service):
    files = {"named.js": "module.exports = function (d) { return {deviceName: d.id, telemetry: d}; };"}
    script = "var named = require('./named'); function Decoder(a) { return named(JSON.parse(String.fromCharCode.apply(null, a))); }"
    assert (await service.compile(ConverterSpec(name="x", script=script, files=files)))[0] == "thingsboard"


@SCRIPTS
@pytest.mark.parametrize(
    "tests", [[], [{"text": "{", "output": {}}, {"hex": "x", "output": 1}, {"payload": "?", "output": 1}]]
)
@ensureDeferred
async def test_somebody_is_asked_where_nothing_decides(service, script, tests):
    with pytest.raises(SettingsError, match=r"can be ThingsBoard's .* or The Things Network's"):
        await service.compile(ConverterSpec(name="x", script=script, tests=tests))
