"""Paths and conditions: JMESPath's results on good input, None on bad input, and bounds on both."""

from __future__ import annotations

import json

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iotgw.core.expressions.language import LONGEST, STEPS, compile_expression
from tests.unit.counting import at_most

DOCUMENT = {
    "body": {
        "port": 0,
        "empty": "",
        "rx": [{"rssi": -90, "gw": "a"}, {"rssi": -35, "gw": "b"}, {"gw": "c"}],
        "deep": {"er": {"est": [[1, 2], [3], 4]}},
        "is": False,
    },
    "topic": ["v3", "app", "devices", "node", "up"],
    "query": {"event": "up"},
}
SAME = [
    "body.port",
    "body.rx[0].rssi",
    "body.rx[-1]",
    "body.rx[7]",
    "body.rx.rssi",
    "body.nothing.at.all",
    "body.rx[*].gw",
    "body.rx[*].rssi",
    "body.rx[?rssi > `-50`].gw | [0]",
    "body.rx[?gw == 'c' || rssi < `-80`].gw",
    "body.deep.*.est",
    "body.deep.er.est[]",
    "body.deep.er.est[] | [1:3]",
    "topic[::-1]",
    "query.event || topic[-1]",
    "body.nothing || topic[-1]",
    "body.empty || 'other'",
    "body.port || `7`",
    "body.is && 'yes'",
    "!body",
    "!(body.rx)",
    "{gateways: body.rx[].gw, port: body.port}",
    "[body.port, topic[0]]",
    "[body.port, topic[0]] == [`0`, 'v3']",
    "body.is == `0`",
    "body.port == `0`",
    "body.deep == `{\"er\": {\"est\": [[1, 2], [3], 4]}}`",
    "body.rx != body.deep",
    "query.event < 'v'",
    "contains(topic, 'up')",
    "contains(query.event, 'u')",
    "starts_with(query.event, 'u')",
    "ends_with(query.event, 'u')",
    "join('/', topic)",
    "length(topic)",
    "keys(body)",
    "values(query)",
    "not_null(body.nothing, body.is, query)",
    "to_number('12.5')",
    "to_number('nonsense')",
    "to_string(body.is)",
    "type(body.nothing)",
    "max_by(body.rx[?rssi], &rssi).gw",
    "min_by(body.rx[?rssi], &rssi).gw",
    "@.query",
    "`{\"a\": [1, null]}`",
    "'it\\'s'",
]  # fmt: skip


@pytest.mark.parametrize("text", SAME)
def test_a_result_is_that_of_jmespath(text):
    assert compile_expression(text)(DOCUMENT) == jmespath.search(text, DOCUMENT)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("length(body.port)", None),
        ("body.empty < `1`", None),
        ("join('/', body)", None),
        ("join('/', [`1`])", None),
        ("contains(body.port, 'x')", None),
        ("keys(topic)", None),
        ("max_by(topic, &x)", None),
        ("max_by(body.rx, &rssi).gw", "b"),
        ("starts_with(body.port, 'x')", None),
        ("to_number(`true`)", None),
        ("to_number('1e999')", None),
        (f"period(`{10**400}`, `3600`)", None),
        ("period(`7201`, `3600`)", 2),
        ("to_number('\u0663')", None),
        ("to_number('9999999999999999999999999999999999999999999999999999999999999999999')", None),
        ("to_string(body)", None),
        ("topic[0][0]", None),
        ("body.rx[?rssi].nothing", []),
    ],
)
def test_what_jmespath_refuses_is_none(text, result):
    assert compile_expression(text)(DOCUMENT) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("split('urn:dev:DEVEUI:0059AC0000152345:', ':')[3]", "0059AC0000152345"),
        ("replace('IMEI:3565', 'IMEI:', '')", "3565"),
        ("lower('AbC')", "abc"),
        ("upper('ä')", "Ä"),
        ("trim('  x ')", "x"),
        ("eui('70b3d57ed0000017')", "70B3D57ED0000017"),
        ("eui('70-B3-D5-7E-D0-00-00-17')", "70B3D57ED0000017"),
        ("eui('70:b3:d5:7e:d0:00:00:17')", "70B3D57ED0000017"),
        ("eui('cLPVftAAABc=')", "70B3D57ED0000017"),
        ("eui('cLPVftAAABc')", "70B3D57ED0000017"),
        ("eui('70b3d57ed00000')", None),
        ("eui(`7`)", None),
        ("hex('AQI=')", "0102"),
        ("hex('AQI')", "0102"),
        ("hex('-_8')", "fbff"),
        ("hex('*')", None),
        ("base64('0102')", "AQI="),
        ("base64('xy')", None),
    ],
)
def test_what_vendors_write_is_read(text, result):
    assert compile_expression(text)({}) == result


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be empty"),
        ("body.", "expected a JMESPath expression"),
        ("body..x", "column 5"),
        ("(" * 500, "at most 32 levels"),
        ("!" * 500 + "a", "at most 32 levels"),
        ("a" * (LONGEST + 1), "at most 1024 characters"),
        ("+".join("a" * 3), "expected a JMESPath expression"),
        ("[" + ",".join("a" * 300) + "]", "at most 256 parts"),
        ("|".join(["[@,@]"] * 7), "more than 64 times as large"),
        ("nosuch(body)", "expected one of the functions base64"),
        ("length(body, body)", "expected 1 arguments, got 2"),
        ("length(&body)", "expected a value"),
        ("max_by(body, gw)", "and a path"),
        ("&body", "only as an argument"),
        ("a[::0]", "other than 0"),
        ("`" + "[" * 900, "expected"),
    ],
)
def test_a_bad_expression_is_refused_with_a_reason_in_one_line(text, said):
    with pytest.raises(ValueError, match="expected") as refused:
        compile_expression(text)
    assert said in str(refused.value) and "\n" not in str(refused.value)


HOSTILE = {
    "body": {
        "rx": [{"rssi": number, "gw": "x" * 50} for number in range(200_000)],
        "wide": {str(number): number for number in range(200_000)},
        "long": "x:" * 500_000,
        "texts": ["x" * 1000] * 1000,
    }
}


@pytest.mark.parametrize(
    "text",
    [
        "max_by(body.rx, &rssi)",
        "body.rx[*].gw",
        "body.rx[?rssi > `5`]",
        "body.rx[].gw",
        "body.wide.*",
        "keys(body.wide)",
        "contains(body.rx, 'x')",
        "[body.rx] == [body.rx[:]]",
        "join('', body.texts)",
        "upper(body.long)",
        "replace(body.long, 'x', 'yyyyyyyyyy')",
        "split(body.long, ':')",
        "eui(body.long)",
        "hex(body.long)",
        "to_number(body.long)",
    ],
)
def test_what_costs_too_much_is_none(text):
    expression = compile_expression(text)
    with at_most(200_000):
        assert expression(HOSTILE) is None


def test_each_evaluation_has_its_own_allowance():
    expression = compile_expression("body[*]")
    for _ in range(3):
        assert expression({"body": [1] * STEPS}) == [1] * STEPS
        assert expression({"body": [1] * (STEPS + 1)}) is None


def test_a_condition_holds_for_what_is_there_and_for_0():
    for value, holds in (
        (0, True),
        ("", False),
        ([], False),
        ({}, False),
        (None, False),
        (False, False),
        ("x", True),
    ):
        assert compile_expression("v").holds({"v": value}) is holds


def test_an_expression_says_what_it_reads():
    assert compile_expression("query.event || body.x[?y].z | [0]").names == {"query", "body"}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["body", "rx", "rssi", "gw", "topic", "query"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=500, deadline=None)
@given(text=st.sampled_from(SAME), value=values)
def test_no_value_is_an_exception_and_every_result_is_json(text, value):
    json.dumps(compile_expression(text)(value))


@pytest.mark.parametrize(
    "text",
    ["!body.is", "!body.is && query", "query && !body.rx[0].gw", "[!body.is]", "!body.*", "!body[]", "!body[?is]",
     "!(body).is", "body.rx[?!deep.er]", "max_by(body.rx, &!a.b)", "!length(topic).x"],
)  # fmt: skip
def test_a_part_of_a_negation_is_refused_since_it_is_nothing(text):
    with pytest.raises(ValueError, match=r"expected !\(a\.b\)"):
        compile_expression(text)


@pytest.mark.parametrize(
    "text", ["!(body.is)", "!body && query", "!topic[0]", "!body | @", "'!a.b'", "'!a.b' == query.event"]
)
def test_a_negation_of_a_whole_is_taken(text):
    assert compile_expression(text)(DOCUMENT) == jmespath.search(text, DOCUMENT)
