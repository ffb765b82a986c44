"""Numbers in text from outside are ASCII, short and within bounds, or they are none."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.numbers import LONGEST, hexadecimal, real, shown, whole

NONE = ["", " ", "²", "١", "１２", "1_000", "+1", "-1", " 1", "1 ", "1\n", "0x1", "1.0", "1e3", "nan", "inf", "9" * 5000, "\x00"]  # fmt: skip


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_row_of_ascii_digits_is_no_whole_number(text):
    assert whole(text) is None
    assert whole(text.encode("utf-8")) is None
    assert whole(text.encode("latin-1", "replace")) is None


@given(st.integers(0, 1 << 53), st.integers(0, 10))
def test_digits_are_a_whole_number_however_many_zeros_lead(value, zeros):
    text = "0" * zeros + str(value)
    assert whole(text) == whole(text.encode()) == value


@given(st.text() | st.binary(), st.integers(-5, 5), st.integers(0, 1 << 60))
def test_whatever_comes_is_within_the_bounds_or_none(said, low, high):
    value = whole(said, low, high)
    assert value is None or low <= value <= high
    assert hexadecimal(said, high) is None or 0 <= hexadecimal(said, high) <= high
    found = real(said, low, high)
    assert found is None or low <= found <= high


def test_bounds_are_part_of_the_range():
    assert [whole(str(n), 2, 4) for n in range(1, 6)] == [None, 2, 3, 4, None]
    assert whole("0" * LONGEST) == 0
    assert whole("0" * (LONGEST + 1)) is None


@given(st.integers(0, 0xFFFFFFFF))
def test_hexadecimal_digits_of_either_case_are_read(value):
    assert hexadecimal(f"{value:x}") == hexadecimal(f"{value:X}".encode()) == value


@pytest.mark.parametrize("text", ["", "0x1", "+1", "-1", "1_0", " 1", "g", "٣", "f" * 33])
def test_hexadecimal_has_no_sign_and_no_prefix(text):
    assert hexadecimal(text) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_finite_number_of_json_is_read_as_it_is_or_as_text(value):
    assert real(value) == value
    text = json.dumps(value)
    assert real(text) == value


@pytest.mark.parametrize(
    "said",
    ["²", "１", "nan", "inf", "-inf", "Infinity", "1e999", "1_0", " 1", "1 ", "", ".", "e5", "0x10", "1e", "9" * 33,
     math.nan, math.inf, 10**400, True, None, [], {}, b"\xb2", b"9" * 5000],
)  # fmt: skip
def test_what_is_no_finite_number_is_none(said):
    assert real(said) is None


@pytest.mark.parametrize(
    ("said", "value"), [("1.", 1.0), (".5", 0.5), ("-2.5e-3", -0.0025), (b"+7", 7.0), (3, 3.0)]
)
def test_decimal_forms(said, value):
    assert real(said) == value


@given(st.text())
def test_what_came_is_shown_in_short(text):
    assert len(shown(text)) <= 12 * LONGEST
