"""What a converter gets of a platform's message: the whole of it, or the device's bytes, as its dialect is made for."""

import pytest
from pytest_twisted import ensureDeferred

from tests.unit.converters.test_dialects import BOTH, only, run

PLATFORM = {
    "frame": "00e7",
    "fPort": 2,
    "deviceName": "probe-7",
    "devEui": "70B3D57ED0000017",
    "time": 1684474415848,
}
MESSAGE = b'{"whole": "message"}'
SCRIPTS = {
    "ts013": "function decodeUplink(i) { return {data: {t: (i.bytes[0] << 8 | i.bytes[1]) / 10, port: i.fPort, at: i.recvTime.getTime()}}; }",
    "chirpstack-v3": "function Decode(port, b) { return {t: (b[0] << 8 | b[1]) / 10, port: port, at: 1684474415848}; }",
    "ttn-v2": "function Decoder(b, port) { return {t: (b[0] << 8 | b[1]) / 10, port: port, at: 1684474415848}; }",
    "lobaro": "function Parse(i) { var b = parseBase64(i.data); return {t: (b[0] << 8 | b[1]) / 10, port: i.fPort, at: 1684474415848}; }",
    "module": "module.exports = function (hex, m) { return {t: parseInt(hex, 16) / 10, port: m.fPort, at: 1684474415848}; };",
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("dialect", SCRIPTS)
@ensureDeferred
async def test_a_dialect_that_is_made_for_bytes_gets_the_device_s(service, engine, dialect):
    made = only(await run(service, SCRIPTS[dialect], dialect, engine, MESSAGE, PLATFORM))
    assert made["deviceName"] == "probe-7"
    assert made["telemetry"] == [{"ts": 1684474415848, "values": {"t": 23.1, "port": 2, "at": 1684474415848}}]


@BOTH
@ensureDeferred
async def test_a_thingsboard_converter_gets_the_message_whole(service, engine):
    script = "var m = decodeToJson(payload); return {deviceName: metadata.deviceName, telemetry: {whole: m.whole}};"
    made = only(await run(service, script, "thingsboard-body", engine, MESSAGE, PLATFORM))
    assert made["telemetry"] == [{"ts": 1000, "values": {"whole": "message"}}]


@BOTH
@ensureDeferred
async def test_a_frame_without_bytes_is_nothing_for_a_decoder(service, engine):
    script = "function decodeUplink(input) { throw new Error('not reached'); }"
    conversion = await run(service, script, "ts013", engine, MESSAGE, {**PLATFORM, "frame": ""})
    assert (conversion.outputs, conversion.error) == ((), None)


@pytest.mark.parametrize("frame", ["xy", 7, None, {"frame": "00"}])
@ensureDeferred
async def test_what_only_looks_like_a_frame_is_none(service, frame):
    script = "function decodeUplink(input) { return {data: {n: input.bytes.length}}; }"
    made = only(await run(service, script, "ts013", "quickjs", b"abc", {**PLATFORM, "frame": frame}))
    assert made["telemetry"][0]["values"] == {"n": 3}


@ensureDeferred
async def test_a_message_without_a_date_of_its_own_has_that_of_its_arrival(service):
    facts = {name: value for name, value in PLATFORM.items() if name != "time"}
    made = only(await run(service, SCRIPTS["ts013"], "ts013", "quickjs", MESSAGE, facts))
    assert made["telemetry"] == [{"ts": 1000, "values": {"t": 23.1, "port": 2, "at": 1000}}]
