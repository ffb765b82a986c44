"""JSON from outside: one error, whatever is wrong."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core import plain_json
from iotgw.core.plain_json import DEPTH, MARKS, SHORT, NotJson, decode


class Named(msgspec.Struct):
    name: str = ""
    data: Any = None


WRONG = {
    "a number beyond every double": b"1e400",
    "an exponent of twenty digits": b"1e99999999999999999999",
    "an integer of 10,000 digits": b"1" * 10_000,
    "an integer of a million digits": b"[" + b"1" * 1_000_000 + b"]",
    "lists in lists": b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1),
    "objects in objects": b'{"a":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1),
    "a million lists that never end": b"[" * 1_000_000,
    "half a million values": b"[" + b"1," * 500_000 + b"1]",
    "half a million objects": b"[" + b"{}," * 500_000 + b"1]",
    "no UTF-8": b'"\xff"',
    "half of a surrogate pair": rb'"\ud800"',
    "NaN": b"NaN",
    "nothing": b"",
    "two texts": b"1 2",
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_by_one_error(data: bytes) -> None:
    with pytest.raises(NotJson):
        decode(data)
    with pytest.raises(NotJson):
        decode(b'{"data":' + data + b"}", Named)


def test_an_array_of_messages_that_are_not_read_yet_is_bounded_too() -> None:
    with pytest.raises(NotJson, match=r"64 levels|300000 commas"):
        decode(b"[" * 1_000_000, list[msgspec.Raw])


def test_nesting_is_bounded_inside_of_a_struct_and_in_what_it_leaves_out() -> None:
    deep = b"[" * 2000 + b"]" * 2000
    for field in (b"data", b"unknown"):
        with pytest.raises(NotJson, match="64 levels"):
            decode(b'{"name":"x","' + field + b'":' + deep + b"}", Named)
    with pytest.raises(NotJson, match="64 levels"):
        decode(b'{"data":' + b"[" * DEPTH + b"]" * DEPTH + b"}", Named)
    assert decode(b'{"data":' + b"[" * (DEPTH - 1) + b"]" * (DEPTH - 1) + b"}", Named)


def test_brackets_in_texts_are_no_nesting_and_hide_none() -> None:
    assert decode(b'["' + b"[" * 1000 + rb'\"[{\\"]')
    level = rb'["]}\"]",'
    assert decode(level * (DEPTH - 1) + b"[]" + b"]" * (DEPTH - 1))
    with pytest.raises(NotJson, match="64 levels"):
        decode(level * DEPTH + b"[]" + b"]" * DEPTH)


def test_many_small_lists_beside_each_other_are_no_nesting() -> None:
    assert len(decode(b"[" + b"[],{}," * 1000 + b"1]")) == 2001
    assert decode(b"[" * DEPTH + b"]" * DEPTH)


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.lists(st.sampled_from([b"[", b'{"":', b"1", b"}", b"]", b","])).map(b"".join)
)
def test_any_bytes_give_a_value_or_the_one_error(data: bytes) -> None:
    try:
        value = decode(data)
    except NotJson:
        return
    msgspec.json.encode(value)


def test_as_many_values_as_are_allowed_are_read_and_garbage_is_collected_again() -> None:
    assert len(decode(b"[" + b"0," * (MARKS - 1) + b"0]")) == MARKS
    assert gc.isenabled()
    with pytest.raises(NotJson):
        decode(b"[" + b"[1]," * 100_000 + b"}")
    assert gc.isenabled()


@given(
    st.recursive(
        st.just(1), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just('["'), inner)
    )
)
def test_the_depth_is_that_of_the_value(value: Any) -> None:
    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    text = msgspec.json.encode([*[value] * 50])
    decode(text, depth=1 + depth(value))
    if isinstance(value, list | dict):
        with pytest.raises(NotJson, match="nesting"):
            decode(text, depth=depth(value))


SLOW = [
    b"1e289",
    b"1e300",
    b"-1E+0308",
    b"1.7976931348623157e308",
    b"12e300",
    b"1.0000000000000001079e-300",
    b"1e23",
]
"""Numbers for which msgspec takes up to 500 times as long as for others."""


@pytest.fixture
def by_python(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The floats that Python read."""
    floats: list[str] = []
    read = plain_json._float
    monkeypatch.setattr(plain_json, "_float", lambda text: floats.append(text) or read(text))
    plain_json._careful.cache_clear()
    yield floats
    plain_json._careful.cache_clear()


@pytest.mark.parametrize("number", SLOW)
def test_many_numbers_that_take_long_are_read_by_python_with_the_same_result(
    number: bytes, by_python: list[str]
) -> None:
    many = b"[" + b",".join([number] * SHORT) + b"]"
    assert decode(many) == decode(b'{"data":' + many + b"}", Named).data == msgspec.json.decode(many)
    assert plain_json.reader()(many) == plain_json.reader(Named)(b'{"data":' + many + b"}").data
    assert by_python == [number.decode()] * (4 * SHORT)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([repr, "{:.25e}".format, "{:.17g}".format]),
)
def test_a_float_is_the_same_in_a_short_text_and_in_a_long_one(value: float, write: Any) -> None:
    text = write(value).encode()
    assert decode(b"[" + text + b" " * SHORT + b"]") == decode(b"[" + text + b"]") == [float(text)]


def test_a_number_beyond_every_double_is_refused_in_a_long_text_too() -> None:
    with pytest.raises(NotJson, match="out of range"):
        decode(b"[1e400" + b" " * SHORT + b"]")
