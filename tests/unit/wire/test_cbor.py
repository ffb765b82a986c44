"""Plain CBOR: RFC 8949's examples, what is refused, and that nothing grows."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iotgw.wire.cbor import DEPTH, ITEMS, NotPlain, decode

from . import bombs

EXAMPLES = [  # RFC 8949, appendix A
    ("00", 0), ("17", 23), ("1818", 24), ("1903e8", 1000), ("1a000f4240", 1_000_000),
    ("1b000000e8d4a51000", 1_000_000_000_000), ("1bffffffffffffffff", "18446744073709551615"),
    ("3bffffffffffffffff", "-18446744073709551616"), ("20", -1), ("3863", -100), ("3903e7", -1000),
    ("f90000", 0.0), ("f93c00", 1.0), ("fb3ff199999999999a", 1.1), ("fa47c35000", 100000.0),
    ("f90001", 5.960464477539063e-08), ("f97c00", None), ("f97e00", None), ("f9fc00", None),
    ("f4", False), ("f5", True), ("f6", None), ("f7", None),
    ("40", ""), ("4401020304", "AQIDBA=="), ("60", ""), ("6161", "a"), ("62c3bc", "ü"), ("64f0908591", "𐅑"),
    ("80", []), ("8301820203820405", [1, [2, 3], [4, 5]]), ("a0", {}), ("a201020304", {"1": 2, "3": 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}), ("826161a161626163", ["a", {"b": "c"}]),
    ("5f42010243030405ff", "AQIDBAU="), ("7f657374726561646d696e67ff", "streaming"), ("9fff", []),
    ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]), ("83018202039f0405ff", [1, [2, 3], [4, 5]]),
    ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}), ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
]  # fmt: skip


@pytest.mark.parametrize(("data", "value"), EXAMPLES, ids=[data for data, _ in EXAMPLES])
def test_the_examples_of_the_rfc(data: str, value: Any) -> None:
    assert decode(bytes.fromhex(data)) == value


REFUSED = {
    "shared values": bombs.SHARED,
    "string references": bombs.REFERENCES,
    "a big number": cbor2.dumps(2**64),
    "a decimal with a huge exponent": bytes.fromhex("c4821a7fffffff01"),
    "a bigfloat": bytes.fromhex("c5821a7fffffff01"),
    "a rational": bytes.fromhex("d81e820102"),
    "a regular expression": cbor2.dumps(cbor2.CBORTag(35, "(a+)+$")),
    "a MIME message": cbor2.dumps(cbor2.CBORTag(36, "From: x\n\nx")),
    "a date": cbor2.dumps(cbor2.CBORTag(0, "2013-03-21T20:04:00Z")),
    "an epoch": cbor2.dumps(cbor2.CBORTag(1, 1363896240)),
    "a set": cbor2.dumps({1, 2}),
    "a tag of nobody": cbor2.dumps(cbor2.CBORTag(9999, 1)),
    "the same key twice": bytes.fromhex("a2616101616102"),
    "a text key and an integer that is written alike": bytes.fromhex("a2613101 0102"),
    "a list as a key": bytes.fromhex("a18001"),
    "a byte string as a key": bytes.fromhex("a1416101"),
    "a boolean as a key": bytes.fromhex("a1f501"),
    "a simple value of nobody": bytes.fromhex("f0"),
    "a simple value of two bytes": bytes.fromhex("f8ff"),
    "a reserved length": bytes.fromhex("1c"),
    "an integer of indefinite length": bytes.fromhex("1f"),
    "a break alone": b"\xff",
    "a break for an item": bytes.fromhex("81ff"),
    "a break for a value": bytes.fromhex("bf6161ff"),
    "a break in a definite map": bytes.fromhex("a1ff"),
    "a piece of another type": bytes.fromhex("7f4161ff"),
    "a piece of indefinite length": bytes.fromhex("7f7f6161ffff"),
    "no UTF-8": bytes.fromhex("61ff"),
    "half of a surrogate pair": bytes.fromhex("63eda080"),
    "two items": b"\x00\x00",
    "nothing": b"",
    "more bytes than there are": b"\x5b" + b"\xff" * 8,
    "more items than there are bytes": b"\x9b" + b"\x00\x00\x00\x00\xff\xff\xff\xff",
    "more pairs than there are bytes": b"\xbb" + b"\xff" * 8,
    "lists in lists": b"\x81" * (DEPTH + 1) + b"\x00",
    "lists in lists without an end": b"\x9f" * 100_000,
    "maps in maps": b"\xa1\x00" * (DEPTH + 1) + b"\x00",
    "too many items": cbor2.dumps([0] * ITEMS),
    "too many items without a count": b"\x9f" + b"\x00" * ITEMS + b"\xff",
    "too many pieces": b"\x5f" + b"\x40" * ITEMS + b"\xff",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(NotPlain, match="expected"):
        decode(data)


def test_as_many_items_and_levels_as_allowed_are_read() -> None:
    assert len(decode(cbor2.dumps([0] * (ITEMS - 1)))) == ITEMS - 1
    assert decode(b"\x81" * DEPTH + b"\x00")


def test_the_items_are_counted_while_they_are_read() -> None:
    """What is behind the last item that counts is not looked at: it may be no CBOR at all."""
    with pytest.raises(NotPlain, match=r"fewer items, got more up to byte 11$"):
        decode(b"\x98\x20" + b"\x00" * 10 + b"\xff" * 100, items=10)


_SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats() | st.text() | st.binary()
)
_PLAIN = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return {key: as_json(each) for key, each in value.items()} if isinstance(value, dict) else value


@given(_PLAIN, st.booleans())
def test_whatever_cbor2_writes_of_plain_values_is_read(value: Any, canonical: bool) -> None:
    assert decode(cbor2.dumps(value, canonical=canonical)) == as_json(value)


@given(_PLAIN)
def test_containers_without_a_count_are_read_alike(value: Any) -> None:
    assert decode(cbor2.dumps(value, indefinite_containers=True)) == as_json(value)


_ITEMS = st.lists(
    st.sampled_from(
        [b"\xa1", b"\xbf", b"\x9f", b"\x82", b"\x5f", b"\x7f", b"\xff", b"\x61i", b"\x41x", b"\xd8\x1c",
         b"\xd8\x1d\x00", b"\x19\x01", b"\xf9\x7c\x00", b"\x3b" + b"\xff" * 8, b"\x9b" + b"\xff" * 8]
    ),
).map(b"".join)  # fmt: skip


@given(st.binary(max_size=300) | _ITEMS)
@example(bombs.SHARED)
@example(bombs.REFERENCES)
def test_any_bytes_give_a_small_value_or_the_one_error(data: bytes) -> None:
    try:
        value = decode(data)
    except NotPlain:
        return
    assert len(json.dumps(value, allow_nan=False, ensure_ascii=True)) <= 16 + 12 * len(data)
