"""ThingsBoard's format in every form, and errors that name the place."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.converters.output import MAX_BYTES, MAX_NAME, MAX_TEXT, OutputRefused, check

NAMED = {"deviceName": "d", "deviceType": "t"}
AT = 1_700_000_000_000


def bodies(result, **options):
    return [json.loads(output.body) for output in check(result, AT, **options).outputs]


def telemetry(value, **options):
    (body,) = bodies({**NAMED, "telemetry": value}, **options)
    return body["telemetry"]


@pytest.mark.parametrize(
    ("given_", "canonical"),
    [
        ({"a": 1}, [{"ts": AT, "values": {"a": 1}}]),
        ({"ts": 5, "values": {"a": 1}}, [{"ts": 5, "values": {"a": 1}}]),
        ({"values": {"a": 1}}, [{"ts": AT, "values": {"a": 1}}]),
        ([{"ts": 5, "values": {"a": 1}}, {"b": "x"}], [{"ts": 5, "values": {"a": 1}}, {"ts": AT, "values": {"b": "x"}}]),
        ({"ts": 5, "a": 1}, [{"ts": AT, "values": {"ts": 5, "a": 1}}]),
        ({"values": 5}, [{"ts": AT, "values": {"values": 5}}]),
        ({}, []),
        ([], []),
        (None, []),
    ],
)  # fmt: skip
def test_every_form_of_telemetry_has_one_canonical_form(given_, canonical):
    assert telemetry(given_) == canonical


@pytest.mark.parametrize(
    ("ts", "ms"),
    [
        (0, 0),
        (1684478801936, 1684478801936),
        (1684478801936.7, 1684478801936),
        ("1684478801936", 1684478801936),
        ("2023-05-19T05:33:35Z", 1684474415000),
        ("2023-05-19T05:33:35.848446463Z", 1684474415848),
        ("2023-05-19T07:33:35+02:00", 1684474415000),
        ("2023-05-19T05:33:35", 1684474415000),
        ("2023-05-19", 1684454400000),
    ],
)
def test_a_time_is_a_number_of_ms_or_iso_text(ts, ms):
    assert telemetry({"ts": ts, "values": {"a": 1}})[0]["ts"] == ms


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (5, "expected an object or a list of objects, got a number"),
        ([5], "[0]: expected an object, got a number"),
        ({"deviceType": "t"}, "deviceName: expected a text, it is missing"),
        ({"deviceName": "d", "deviceType": []}, "deviceType: expected a text, got a list"),
        ({"deviceName": "", "deviceType": "t"}, "deviceName: expected 1 to 255 characters, got 0"),
        ({"deviceName": "a\x01", "deviceType": "t"}, "deviceName: expected a text without control characters, got U+0001"),
        ({"deviceName": "a\x7f"}, "deviceName: expected a text without control characters, got U+007F"),
        ({**NAMED, "deviceType": "a\ufffe"}, "deviceType: expected a text without control characters, got U+FFFE"),
        ({**NAMED, "groupName": "a\ud800"}, "groupName: expected a text without control characters, got U+D800"),
        ({"assetName": "a\n"}, "assetName: expected a text without control characters, got U+000A"),
        ({"deviceName": {}, "deviceType": "t"}, "deviceName: expected a text, got an object"),
        ({"assetName": "a", "assetType": ""}, "assetType: expected 1 to 255 characters, got 0"),
        ({**NAMED, "attributes": []}, "attributes: expected an object, got a list"),
        ({**NAMED, "customerName": True}, "customerName: expected a text, got a boolean"),
        ({**NAMED, "downlinkAck": 1}, "downlinkAck: expected an object or a list of objects, got a number"),
        ([NAMED, {**NAMED, "telemetry": "x"}], "[1].telemetry: expected an object or a list of objects, got a text"),
        ({**NAMED, "telemetry": {"a": {"b": 1}}}, "telemetry.a: expected a number, text or boolean, got an object"),
        ({**NAMED, "telemetry": {"k" * 256: 1}}, "telemetry: expected keys of at most 255 characters, got one of 256"),
        ({**NAMED, "telemetry": {"a": "x" * (MAX_TEXT + 1)}}, f"telemetry.a: expected at most {MAX_TEXT} characters"),
        ({**NAMED, "telemetry": [{"ts": 1, "values": 5}]}, "telemetry[0].values: expected an object, got a number"),
        (
            [{**NAMED, "telemetry": [{"a": 1}, {"a": 1}, {"a": 1}, {"ts": "soon", "values": {}}]}],
            "[0].telemetry[3].ts: expected a number of ms or an ISO 8601 time, got 'soon'",
        ),
        ({**NAMED, "telemetry": {"ts": -1, "values": {}}}, "telemetry.ts: expected ms since 1970, got -1"),
        ({**NAMED, "telemetry": {"ts": 1e300, "values": {}}}, "telemetry.ts: expected ms since 1970, got 1"),
        ({**NAMED, "telemetry": {"ts": None, "values": {}}}, "telemetry.ts: expected a number of ms or an ISO 8601"),
        ([NAMED] * 1001, "expected at most 1000 objects, got 1001"),
        ({**NAMED, "telemetry": {str(i): i for i in range(10_001)}}, "telemetry: expected at most 10000 values"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_place(result, says):
    with pytest.raises(OutputRefused) as refused:
        check(result, AT)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    "result",
    [
        [{**NAMED, "telemetry": {f"k{key}": "x" * MAX_TEXT for key in range(33)}}],
        [{**NAMED, "attributes": {"a": "x" * MAX_TEXT}} for _ in range(33)],
        {**NAMED, "telemetry": {"a": ["x" * MAX_BYTES]}},
        {**NAMED, "telemetry": {"a": 1}, "downlinkAck": [{"id": "1", "result": "x" * MAX_BYTES}]},
        {**NAMED, "telemetry": {"a": 1}, "x" * MAX_BYTES: 1},
    ],
    ids=["values", "devices", "a value of lists", "receipts", "unknown keys"],
)
def test_what_one_message_becomes_is_bounded(result):
    with pytest.raises(OutputRefused, match=f"expected at most {MAX_BYTES} bytes of output, got"):
        check(result, AT, "json")


def test_what_flattening_makes_of_short_lists_with_long_names_is_refused_at_the_first_that_is_too_much():
    device = {**NAMED, "telemetry": {"n" * 240: [1] * 500}}
    devices = [device] * 15
    assert len(check(devices, AT, "flatten").outputs) == 15
    with pytest.raises(OutputRefused, match=f"expected at most {MAX_BYTES} bytes of output, got 2"):
        check([*devices, device, device, device, device, "not looked at"], AT, "flatten")


def test_an_asset_keeps_its_own_names():
    asset = {"assetName": "a", "assetType": "building", "customerName": "c", "groupName": "g"}
    assert bodies(asset) == [{**asset, "attributes": {}, "telemetry": []}]
    assert check(asset, AT).outputs[0].device_name == "a"


def test_a_device_without_a_type_is_of_thingsboard_s_default_one():
    assert check({"deviceName": "d"}, AT).outputs[0].device_type == "default"
    assert check({"assetName": "a"}, AT).outputs[0].device_type == "default"


def test_nested_values_are_flattened_or_kept_as_text_by_option():
    nested = {"a": {"b": [1, {"c": True}]}, "d": 2}
    assert telemetry(nested, nested="flatten")[0]["values"] == {"a.b.0": 1, "a.b.1.c": True, "d": 2}
    assert telemetry(nested, nested="json")[0]["values"] == {"a": '{"b":[1,{"c":true}]}', "d": 2}


def test_a_null_is_left_out_with_a_warning():
    checked = check({**NAMED, "telemetry": {"a": None, "b": 1}}, AT)
    assert json.loads(checked.outputs[0].body)["telemetry"][0]["values"] == {"b": 1}
    assert checked.warnings == ["telemetry.a: null (or NaN, Infinity, undefined), left out"]


def test_an_unknown_key_is_ignored_with_a_warning():
    assert check({**NAMED, "telemtry": {}}, AT).warnings == [
        "telemtry: not part of a converter's output, ignored"
    ]


def acks(result):
    return [json.loads(ack) for ack in check(result, AT).acks]


def test_receipts_belong_to_the_device_beside_them():
    one, two = {"id": "dl1", "success": False}, {"msgType": "set", "response": [1]}
    assert acks({**NAMED, "downlinkAck": one}) == [{**one, "deviceName": "d"}]
    assert acks({**NAMED, "downlinkAck": [one, two]}) == [{**ack, "deviceName": "d"} for ack in (one, two)]
    several = [{"deviceName": "a", "downlinkAck": one}, {"deviceName": "b", "downlinkAck": two}]
    assert [ack["deviceName"] for ack in acks(several)] == ["a", "b"]
    assert acks({"downlinkAck": [one, two]}) == [one, two]
    assert acks({**NAMED, "downlinkAck": {**one, "deviceName": "another"}}) == [{**one, "deviceName": "d"}]


@pytest.mark.parametrize(
    ("ack", "says"),
    [
        ("dl1", "expected an object or a list"),
        (["dl1"], "expected an object or a list"),
        ({"id": 7}, "`id` or `msgType`"),
        ({"success": True}, "`id` or `msgType`"),
        ({"id": "dl1", "success": "no"}, "success: expected true or false"),
        ([{"id": "dl1"}] * 101, "at most 100"),
    ],
)
def test_what_is_no_receipt_is_refused(ack, says):
    with pytest.raises(OutputRefused, match=says):
        check({**NAMED, "downlinkAck": ack}, AT)


def test_an_acknowledgement_alone_names_no_device():
    checked = check({"downlinkAck": {"id": "5"}}, AT)
    assert checked.outputs == [] and [json.loads(ack) for ack in checked.acks] == [{"id": "5"}]


@pytest.mark.parametrize("beside", [{}, {"b": "text"}, {"b": 0.5, "c": True}])
@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, float(2**63)),
        (-(2**63) - 1, -float(2**63)),
        (1e300, 1e300),
    ],
)
def test_a_number_is_kept_whatever_its_size_and_its_neighbours(value, kept, beside):
    (entry,) = telemetry({"a": value, **beside})
    assert entry["values"] == {"a": kept, **beside}
    assert type(entry["values"]["a"]) is type(kept)


def test_a_whole_number_beyond_64_bits_becomes_a_float():
    assert telemetry({"a": 2**64})[0]["values"] == {"a": 2.0**64}


keys = st.sampled_from(
    ["deviceName", "deviceType", "assetName", "telemetry", "attributes", "ts", "values", "downlinkAck"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | keys, inner, max_size=5)
    ),
    max_leaves=20,
)


@given(anything, st.sampled_from(["refuse", "flatten", "json"]))
def test_whatever_a_script_returns_is_canonical_or_refused(result, nested):
    try:
        checked = check(result, AT, nested)
    except OutputRefused as refused:
        assert str(refused)
        return
    for output in checked.outputs:
        body = json.loads(output.body)
        assert 0 < len(output.device_name) <= MAX_NAME and output.device_type
        for entry in body["telemetry"]:
            assert set(entry) == {"ts", "values"} and isinstance(entry["ts"], int)
        for values in [body["attributes"], *[entry["values"] for entry in body["telemetry"]]]:
            for value in values.values():
                assert isinstance(value, (int, float, str)) and not (
                    isinstance(value, float) and math.isnan(value)
                )


@pytest.mark.parametrize(
    ("values", "kept", "name"),
    [
        ({"": 1, "a": 2}, {"_": 1, "a": 2}, "_"),
        ({"_": 3, "": 1, "__": 4}, {"_": 3, "___": 1, "__": 4}, "___"),
        ({"": {"b": 1}, "c": {"": 2}}, {"_.b": 1, "c.": 2}, "_"),
    ],
)
def test_the_value_of_an_empty_key_is_kept_under_a_name_and_costs_no_other(values, kept, name):
    checked = check({**NAMED, "telemetry": values, "attributes": values}, AT, nested="flatten")
    body = json.loads(checked.outputs[0].body)
    assert (body["telemetry"], body["attributes"]) == ([{"ts": AT, "values": kept}], kept)
    assert f"telemetry: a key is empty; its value is kept as `{name}`" in checked.warnings


def test_an_empty_key_without_a_value_is_left_out_like_any_other():
    checked = check({**NAMED, "telemetry": {"": None, "a": 1}}, AT)
    assert json.loads(checked.outputs[0].body)["telemetry"] == [{"ts": AT, "values": {"a": 1}}]
    assert checked.warnings == ["telemetry.: null (or NaN, Infinity, undefined), left out"]
