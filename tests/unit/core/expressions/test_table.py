"""Many expressions at once give what each gives by itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.expressions.language import compile_expression
from iotgw.core.expressions.table import ExpressionTable
from tests.unit.core.expressions.test_language import DOCUMENT, SAME
from tests.unit.counting import counted

PATHS = [
    "a",
    "a.b",
    "a.b.c",
    "b.a",
    "a.b || `0`",
    "c || 'x'",
    "a || `[]`",
    "a.b.c || `false`",
    "a || b",
    "a.b || b.a || length(c)",
    "a || b[0]",
    "a.b || (c && a)",
    "a[0]",
    "length(a)",
    "@",
    "`1`",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def test_a_table_gives_what_its_expressions_give():
    expressions = [compile_expression(text) for text in SAME]
    assert ExpressionTable(expressions).run(DOCUMENT) == [each(DOCUMENT) for each in expressions]


@given(VALUES)
def test_whatever_the_value_is(value):
    expressions = [compile_expression(text) for text in PATHS]
    assert ExpressionTable(expressions).run(value) == [each(value) for each in expressions]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a.b", (("a", "b"), None)),
        ("a || `0`", (("a",), 0)),
        ("a || `null`", None),
        ("a[0].b", None),
        ("a || b", None),
        ("@.a", None),
        ("'a'", None),
    ],
)
def test_a_plain_path_is_known_as_such(text, path):
    assert compile_expression(text).path == path


def test_what_several_paths_share_is_walked_once():
    texts = [f"a.b.c.d.{name}" for name in "efghijkl"]
    expressions = [compile_expression(text) for text in texts]
    together, one = ExpressionTable(expressions), ExpressionTable(expressions[:1])
    value = {"a": {"b": {"c": {"d": dict.fromkeys("efghijkl", 1)}}}}
    with counted() as all_:
        assert together.run(value) == [1] * 8
    with counted() as single:
        assert one.run(value) == [1]
    assert all_.made < 8 * single.made


@pytest.mark.parametrize(
    "name", ["it's", "a\nb", "back\\slash", "v1", "value", "def", "\u2028", "{x}", "'''"]
)
def test_a_name_is_whatever_it_is(name):
    expressions = [compile_expression(f"{json.dumps(name)}.{json.dumps(name)}")]
    assert ExpressionTable(expressions).run({name: {name: 5}}) == [5]
    assert ExpressionTable(expressions).run({name: 5}) == [None]


@pytest.mark.parametrize("texts", [[".".join("a" * 200)], [f"a.n{number}" for number in range(1000)]])
def test_however_deep_or_many_they_are(texts):
    expressions = [compile_expression(text) for text in texts]
    value = {"a": {f"n{number}": number for number in range(1000)}}
    assert ExpressionTable(expressions).run(value) == [each(value) for each in expressions]


def test_an_alternative_is_evaluated_only_where_the_first_is_nothing():
    table = ExpressionTable([compile_expression("a.b || nothing.at.all || length(c)")])
    with counted() as first:
        assert table.run({"a": {"b": 1}, "c": [1]}) == [1]
    with counted() as last:
        assert table.run({"a": {"b": ""}, "c": [1]}) == [1]
    assert first.made < last.made


def test_no_table_is_no_work():
    assert ExpressionTable([]).run({"a": 1}) == []
