"""The short way through packs of numbers comes to what the long one does."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.wire.lwm2m import cbor, readings, senml
from iotgw.wire.lwm2m.node import Node
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.values import CodecError, ValueType

NAMES = st.sampled_from(
    ["/3303/0/5700", "/3303/0/", "5700", "", "/3/0/9", "/3/0/7/1", "/3", "é", "/65536/0/1"]
)
NUMBERS = st.one_of(st.floats(width=64), st.integers(-5, 1 << 33), st.booleans())
RECORDS = st.dictionaries(st.sampled_from([-2, 0, 2, 2, 3, 6]), st.one_of(NAMES, NUMBERS), max_size=4)


def type_of(path: Path) -> ValueType | None:
    return {5700: "float", 9: "integer"}.get(path[2] if len(path) > 2 else 0)  # type: ignore[return-value]


def long_way(data: bytes) -> list[Node] | str:
    try:
        return [*senml._nodes(senml._of_cbor(data), type_of, 0.0)]
    except CodecError as error:
        return str(error)


def short_way(data: bytes) -> list[Node] | str | None:
    try:
        return readings.decode(data, type_of)
    except CodecError as error:
        return str(error)


@given(st.lists(RECORDS, max_size=4))
def test_a_pack_is_read_the_same_both_ways_or_by_the_long_one_only(pack: list[dict[int, Any]]) -> None:
    data = cbor.encode(pack)
    found = short_way(data)
    assert found is None or found == long_way(data)


@given(st.binary(max_size=40), st.integers(0, 30), st.integers(0, 255))
def test_so_are_bytes_of_nobody(noise: bytes, at: int, byte: int) -> None:
    pack = bytearray(cbor.encode([{-2: "/3303/0/", 0: "5700", 2: 22.25}, {-2: "/3/0/9", 2: 87}]))
    pack[at % len(pack)] = byte
    for data in (bytes(pack), bytes(pack[: at % len(pack)]), bytes(pack) + noise[:1], noise, b"\x81" + noise):
        found = short_way(data)
        assert found is None or isinstance(found, str) or found == long_way(data)


@pytest.mark.parametrize("value", [22.25, 22.26, 1e300, 0, 23, 24, 300, 70_000])
def test_what_devices_notify_is_read_the_short_way(value: float) -> None:
    for pack in (
        [{-2: "/3303/0/5700", 2: value}],
        [{-2: "/3303/0/", 0: "5700", 2: value}, {0: "5601", 2: 1}],
    ):
        data = cbor.encode(pack)
        assert readings.decode(data, type_of) == long_way(data)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 1 << 40, True, "x", b"x"])
def test_other_values_are_read_the_long_way(value: Any) -> None:
    assert readings.decode(cbor.encode([{0: "/3303/0/5700", 2: value}]), type_of) is None
