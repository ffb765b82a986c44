"""Many expressions at once give what each gives by itself."""

from __future__ import annotations

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
    table = ExpressionTable([compile_expression(text) for text in ("a.b.c", "a.b.d", "a.b", "a.b.c || `1`")])
    assert [names for _, names, _ in table._steps] == [("a",), ("b",), ("c", "d")]


def test_an_alternative_is_evaluated_only_where_the_first_is_nothing():
    table = ExpressionTable([compile_expression("a.b || nothing.at.all || length(c)")])
    with counted() as first:
        assert table.run({"a": {"b": 1}, "c": [1]}) == [1]
    with counted() as last:
        assert table.run({"a": {"b": ""}, "c": [1]}) == [1]
    assert first.made < last.made


def test_no_table_is_no_work():
    assert ExpressionTable([]).run({"a": 1}) == []
