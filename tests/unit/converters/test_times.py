"""When a reading was taken: what the script, the network and the gateway say, and what is probably not meant."""

import json

import pytest
from pytest_twisted import ensureDeferred

from iotgw.converters.output import check
from tests.unit.converters.conftest import convert, job, version

NORMALIZED = """
function decodeUplink(i) { return {data: {temp: 21.5}}; }
function normalizeUplink(i) { return {data: RESULT}; }"""


async def entries(service, script, metadata=None, **more):
    converter = version(script, **{"dialect": "ts013", **more})
    told = json.dumps({"devEui": "A1", **(metadata or {})}).encode()
    (made,) = await convert(service, job(converter, b"\x01", told))
    assert made.error is None, made.error
    return [entry for one in made.outputs for entry in json.loads(one.body)["telemetry"]], made.warnings


@ensureDeferred
async def test_a_normalized_measurement_has_its_own_time(service):
    script = NORMALIZED.replace(
        "RESULT", "[{time: '2023-05-19T05:33:35Z', air: {temperature: 20}}, {air: {temperature: 21}}]"
    )
    made, _ = await entries(service, script, options={"normalized": True})
    assert made == [
        {"ts": 1684474415000, "values": {"air.temperature": 20}},
        {"ts": 1000, "values": {"air.temperature": 21}},
    ]


@ensureDeferred
async def test_a_time_that_is_none_stays_a_value_with_a_warning(service):
    script = NORMALIZED.replace("RESULT", "{time: 'noon', air: {temperature: 20}}")
    made, warnings = await entries(service, script, options={"normalized": True})
    assert made == [{"ts": 1000, "values": {"time": "noon", "air.temperature": 20}}]
    assert warnings == ("time: expected an RFC 3339 time, got 'noon'; kept as a value",)


@pytest.mark.parametrize("name", ["time", "received_at", "receivedAt"])
@ensureDeferred
async def test_a_reading_without_a_time_is_of_when_the_network_received_it(service, name):
    script = "function decodeUplink(i) { return {data: {t: 1}}; }"
    made, _ = await entries(service, script, {name: "2023-05-19T05:33:35.848446463Z"})
    assert made == [{"ts": 1684474415848, "values": {"t": 1}}]
    made, _ = await entries(service, script, {name: "yesterday"})
    assert made == [{"ts": 1000, "values": {"t": 1}}]


def reading(ts, **values):
    return {"deviceName": "a", "telemetry": {"ts": ts, "values": values}}


def test_a_time_before_2000_is_probably_in_seconds():
    (warning,) = check(reading(1648731311, t=1), 1000).warnings
    assert warning.startswith("telemetry.ts: a time before 2000; is it seconds?")
    (warning,) = check([reading(1648731311, t=1), reading(1648731312, t=1)], 1000).warnings
    assert warning.startswith("[0].telemetry.ts and 1 more: a time before 2000")
    assert check(reading(1648731311000, t=1), 1000).warnings == []
    assert check({"deviceName": "a", "telemetry": {"t": 1}}, 1000).warnings == []


def test_two_entries_of_one_device_time_and_key_are_said():
    telemetry = [{"tag": 1001, "rssi": -50}, {"tag": 1002, "rssi": -60}, {"tag": 1003, "rssi": -60}]
    (warning,) = check({"deviceName": "a", "telemetry": telemetry}, 1000).warnings
    assert warning.startswith(
        "telemetry[1] and 1 more: a further entry with the device, the time and a key of another"
    )
    (warning,) = check([reading(1648731311000, t=1), reading(1648731311000, t=2)], 1000).warnings
    assert warning.startswith("[1].telemetry: a further entry")


def test_entries_that_leave_each_other_alone_are_not():
    apart = [{"deviceName": name, "telemetry": {"t": 1}} for name in "ab"]
    assert check(apart, 1000).warnings == []
    assert check([reading(1648731311000, t=1), reading(1648731311000, u=2)], 1000).warnings == []
    assert check([reading(1648731311000, t=1), reading(1648731312000, t=2)], 1000).warnings == []


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@ensureDeferred
async def test_a_time_in_a_zone_that_is_not_known_fails_rather_than_being_another_time(service, engine):
    script = """
    function shown(zone) { return new Date(1718000000123).toLocaleString('en-US', {timeZone: zone}); }
    function decodeUplink(i) { return {data: {at: shown(i.bytes[0] ? 'Europe/Paris' : 'utc')}}; }"""
    converter = version(script, dialect="ts013", engine=engine)
    known, other = await convert(
        service, *(job(converter, payload, b'{"devEui": "A1"}') for payload in (b"\0", b"\1"))
    )
    assert json.loads(known.outputs[0].body)["telemetry"][0]["values"] == {"at": "6/10/2024, 6:13:20 AM"}
    assert (other.error.name, "expected 'UTC'" in other.error.message) == ("RangeError", True)
