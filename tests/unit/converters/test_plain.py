"""The quick way of a plain output comes to what the check of every output makes of it, or leaves it to that."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_twisted import ensureDeferred

from iotgw.converters.output import LEAST, MAX_NAME, MAX_TEXT, MOST, OutputRefused, check
from iotgw.converters.plain import plain
from tests.unit.converters.conftest import convert, job, version

NAMES = st.text(max_size=MAX_NAME + 2) | st.sampled_from(["deviceName", "values", "ts", "d\x7f", "\ufffe"])
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(LEAST - 2, MOST + 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([float(MOST), float(LEAST), 1e300, "x" * (MAX_TEXT + 1)])
    | st.text(max_size=20)
    | st.lists(st.integers(), max_size=1)
)
PARTS = st.dictionaries(NAMES, VALUES, max_size=4)
RESULTS = st.fixed_dictionaries(
    {"deviceName": NAMES, "telemetry": PARTS | st.none()},
    optional={
        "deviceType": NAMES | st.none() | st.integers(),
        "attributes": PARTS | st.none(),
        "groupName": NAMES,
        "reply": PARTS,
        "downlinkAck": PARTS,
    },
)


def thorough(result):
    try:
        return check(json.loads(json.dumps(result)), 1_700_000_000_000)
    except OutputRefused:
        return None


@given(RESULTS)
def test_what_is_plain_comes_to_the_same_output_in_both_ways(result):
    quick = plain(json.dumps(result), 1_700_000_000_000)
    if quick is not None:
        checked = thorough(result)
        assert checked is not None
        assert (checked.outputs, checked.acks, checked.warnings) == ([quick], [], [])


GOOD = {"deviceName": "d", "telemetry": {"t": 1.5, "n": -3, "ok": True, "text": "ä"}}


@pytest.mark.parametrize(
    "more",
    [{}, {"deviceType": "meter"}, {"attributes": {"fw": "1.2"}}, {"telemetry": {}}, {"telemetry": {"t": MOST}}],
)  # fmt: skip
def test_these_are_plain(more):
    result = {**GOOD, **more}
    assert [plain(json.dumps(result), 1000)] == check(result, 1000).outputs


@pytest.mark.parametrize(
    "more",
    [
        {"deviceName": ""}, {"deviceName": "d\n"}, {"deviceName": 7}, {"deviceType": None}, {"attributes": None},
        {"telemetry": None}, {"telemetry": [{"t": 1}]}, {"telemetry": {"values": 1}}, {"telemetry": {"": 1}},
        {"telemetry": {"t": None}}, {"telemetry": {"t": {"u": 1}}}, {"telemetry": {"t": MOST + 1}},
        {"telemetry": {"t": float(MOST)}}, {"telemetry": {"t": "x" * (MAX_TEXT + 1)}}, {"groupName": "g"},
        {"telemetry": {"x" * (MAX_NAME + 1): 1}}, {"reply": {}}, {"other": 1}, {"assetName": "a"},
    ],
)  # fmt: skip
def test_these_are_left_to_the_check_of_every_output(more):
    assert plain(json.dumps({**GOOD, **more}), 1000) is None


def test_an_output_that_is_too_large_is_left_to_it_too():
    telemetry = {f"key {number}": "x" * 60_000 for number in range(40)}
    assert plain(json.dumps({**GOOD, "telemetry": telemetry}), 1000) is None


@pytest.mark.parametrize("text", ["", "~", "[]", "null", '{"deviceName": "\\ud800", "telemetry": {}}', "{"])
def test_so_is_what_is_no_such_object(text):
    assert plain(text, 1000) is None


def test_no_number_of_json_is_beyond_both():
    assert math.isinf(json.loads("1e400"))
    assert plain('{"deviceName": "d", "telemetry": {"t": 1e400}}', 1000) is None


@ensureDeferred
async def test_a_script_may_be_plain_again_after_many_results_that_are_not(service):
    script = "return JSON.parse(decodeToString(payload));"
    odd = [json.dumps({"deviceName": "d", "telemetry": [{"t": n}]}).encode() for n in range(30)]
    payloads = [*odd, json.dumps(GOOD).encode()]
    made = await convert(service, *[job(version(script), each) for each in payloads])
    values = [json.loads(each.outputs[0].body)["telemetry"][0]["values"] for each in made]
    assert values == [*({"t": n} for n in range(30)), GOOD["telemetry"]]
