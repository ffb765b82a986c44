"""Shell-style patterns of names, many at once."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.specs import RouteSpec
from iotgw.core.validate import convert
from iotgw.core.wildcards import check_patterns, matcher

NAMES = ("", "meter", "meter-7", "Meter-7", "a[b", "a*b", "ab", "axxb", "x\ny", "[", "ä")


@pytest.mark.parametrize(
    "pattern", ["meter", "meter-*", "*", "*7", "me?er-*", "a[b", "a[b*", "a[*]b", "[!a]*", "[", "?", "**", "x*y", "", "ä"]
)  # fmt: skip
def test_a_pattern_matches_what_the_shell_says(pattern: str) -> None:
    matches = matcher([pattern])
    assert [matches(name) for name in NAMES] == [fnmatchcase(name, pattern) for name in NAMES]


def test_any_of_several_patterns_will_do() -> None:
    matches = matcher(["meter", "pump-*", "*-7"])
    assert [matches(name) for name in ("meter", "pump-1", "x-7", "meters", "pump")] == [True] * 3 + [
        False
    ] * 2
    assert not matcher([])("meter")


def test_a_thousand_names_and_beginnings_are_few() -> None:
    check_patterns("names", [f"meter-{n}*" for n in range(500)] + ["x" * 256] * 500)


@pytest.mark.parametrize(
    ("patterns", "problem"),
    [
        (["[" * 256], "at most 200 wildcards"), (["*a" * 60] * 4, "at most 200 wildcards"),
        (["*" + "a" * 255] * 17, "at most 4096 characters"), (["a" * 257], "length <= 256"),
    ],
)  # fmt: skip
def test_what_costs_much_to_search_for_is_refused_with_its_place(patterns: list[str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        convert({"deviceNames": patterns}, RouteSpec, "route")
    with pytest.raises(SettingsError, match=problem):
        convert({"deviceTypes": patterns}, RouteSpec, "route")
