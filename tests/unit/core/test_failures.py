"""Failures in groups."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.failures import FailureGroup, conversion_group, merged, pattern
from iotgw.core.model import ConversionError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("expected 40 bytes, got 7", "expected N bytes, got N"),
        ("value -3.25 at 0xFF", "value -N at N"),
        ('unknown key "temp1"', "unknown key …"),
        ("no field `x` in 'abc def'", "no field … in …"),
        ("device 70b3d57ed0041234 can't be found", "device N can't be found"),
        ("it's the device's 2nd try", "it's the device's Nnd try"),
        ("connect to 10.0.0.7:8080 refused", "connect to N refused"),
        ("decade facade", "decade facade"),
        ("", ""),
    ],
)
def test_what_varies_from_message_to_message_is_left_out(message: str, expected: str) -> None:
    assert pattern(message) == expected


def test_a_long_message_is_compared_by_its_beginning() -> None:
    assert pattern("x" * 10_000) == "x" * 500


def test_a_group_is_of_a_version_an_error_and_its_place() -> None:
    error = ConversionError("got 7", line=3, column=4)
    groups = {
        conversion_group("c/1", error),
        conversion_group("c/1", ConversionError("got 8", line=3, column=4, stack="elsewhere")),
        conversion_group("c/2", error),
        conversion_group("c/1", ConversionError("got 7", line=4, column=4)),
        conversion_group("c/1", ConversionError("got nothing", line=3, column=4)),
        conversion_group("c/1", ConversionError("got 7", line=3, column=4, file="lib.js")),
    }
    assert len(groups) == 5
    assert conversion_group("c/1", error) == "21b75a35e024"


def test_groups_of_one_id_are_one_with_the_newest_sample() -> None:
    def group(id: str, at_ms: int, sample: int, *datasources: str) -> FailureGroup:
        error = ConversionError(f"got {at_ms}")
        return FailureGroup(id, "conversion", "c/1", error, datasources, 2, at_ms, at_ms + 5, sample)  # type: ignore[arg-type]

    both, other = merged([group("a", 10, 1, "x"), group("b", 15, 2, "x"), group("a", 20, 3, "x", "y")])
    assert (both.id, both.count, both.first_ms, both.last_ms, both.sample) == ("a", 4, 10, 25, 3)
    assert (both.datasources, both.error.message) == (("x", "y"), "got 20")
    assert other.id == "b"


@given(st.text("0123456789abcxXfF.,:\"'` gG_é", max_size=30))
def test_varying_parts_are_quotes_hexadecimal_and_numbers(message: str) -> None:
    quoted = r"\"[^\"]*\"|`[^`]*`|(?<!\w)'[^']*'(?!\w)"
    number = r"\b0[xX][0-9A-Fa-f]+\b|\b(?=[A-Fa-f]*[0-9])[0-9A-Fa-f]{6,}\b|[0-9]+(?:[.,:][0-9]+)*"
    expected = re.sub(f"({quoted})|{number}", lambda found: "…" if found[1] else "N", message)
    assert pattern(message) == expected
