"""Users' regular expressions: what could be matched in very many ways is refused before it is run."""

from __future__ import annotations

import pytest

from iotgw.core.regular_expressions import check_expression

LONGEST = 249


@pytest.mark.parametrize(
    "text",
    ["", r"sensors\..*", "plant-.*-up", "^(?!__).*$", "(north|south)-[a-z]+", r"[a-z]{2,4}-\d+", "(x{3}){4}", "(?i:DEV)-.*", r"(?P<a>a*)(?P=a)", r"(\w\d)+x"],
)  # fmt: skip
def test_what_people_write_is_taken(text: str) -> None:
    check_expression(text, LONGEST)


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+b", "(a|a)*b", "a*a*a*b", "a?" * 40, "(?:a|a)" * 30, "(a?){30}b", "(?=(a+)+b)a", "(?!(a+)+b)a", "(?>a*)*b", "(?:a*+)*b", "(?:foo|bar)+",
        "(a*)(?(1)(b+)+c|(d+)+e)", "(((((a?){9}){9}){9}){9})",
    ],
)  # fmt: skip
def test_what_takes_long_for_some_texts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="fewer ways to match"):
        check_expression(text, LONGEST)


@pytest.mark.parametrize("text", ["(", "a**", "(" * 2000, "a{9999999999999}", "(?P<1>a)"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a regular expression: "):
        check_expression(text, LONGEST)
