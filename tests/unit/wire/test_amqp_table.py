"""Field tables in AMQP 0-9-1's encoding."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.errors import ProtocolError
from iotgw.wire.amqp_table import table


def sized(data):
    return struct.pack(">I", len(data)) + data


def nested(depth):
    value = b"V"
    for _ in range(depth):
        value = b"A" + sized(value)
    return b"\x01a" + value


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (b"t\x01", True),
        (b"b\xff", -1),
        (b"B\xff", 255),
        (b"s\xff\xfe", -2),
        (b"u\xff\xfe", 65534),
        (b"I\xff\xff\xff\xff", -1),
        (b"i\xff\xff\xff\xff", 2**32 - 1),
        (b"l" + struct.pack(">q", -(2**63)), -(2**63)),
        (b"f" + struct.pack(">f", 2.5), 2.5),
        (b"d" + struct.pack(">d", 21.75), 21.75),
        (b"d" + struct.pack(">d", float("inf")), float("inf")),
        (b"D\x02" + struct.pack(">i", -1234), "-12.34"),
        (b"D\xff" + struct.pack(">i", 7), "7E-255"),
        (b"S" + sized("grün".encode()), "grün"),
        (b"S" + sized(b"\xe4"), "e4"),
        (b"x" + sized(b"\x01\x02"), "0102"),
        (b"V", None),
        (b"T" + struct.pack(">Q", 1_700_000_000), 1_700_000_000_000),
        (b"T" + struct.pack(">Q", 2**63), 2**63 * 1000),
        (b"F" + sized(b"\x01bt\x00"), {"b": False}),
        (b"A" + sized(b"Vt\x01"), [None, True]),
    ],
)
def test_a_value_of_each_type_is_json(value, meant):
    assert table(b"\x01a" + value + b"\x01zV") == {"a": meant, "z": None}


def test_a_name_that_is_no_utf_8_has_its_value_all_the_same():
    assert table(b"\x01\xe4t\x01") == {"e4": True}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x05a", "cut off"),
        (b"\x01aS\x00\x00\x00\x05ab", "cut off"),
        (b"\x01al\x00", "cut off"),
        (b"\x01aZ", "a type of AMQP, got 0x5a"),
        (nested(100), "32 deep"),
        (nested(20_000), "32 deep"),
        (b"\x01a" + b"A" + sized(b"V" * 20_000), "10000 values"),
    ],
)
def test_anything_else_is_refused(data, words):
    with pytest.raises(ProtocolError, match=words):
        table(data)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data):
    with contextlib.suppress(ProtocolError):
        table(data)
