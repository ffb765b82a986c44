"""Values in AMQP's encoding."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.errors import ProtocolError
from iotgw.wire.amqp_values import value


@pytest.mark.parametrize(
    ("data", "meant"),
    [
        (b"\xa1\x05meter", "meter"),
        (b"\xb1\x00\x00\x00\x05meter", "meter"),
        (b"\xa3\x03sym", "sym"),
        (b"\xa1\x00", ""),
        (b"\xa0\x02\x01\x02", "0102"),
        (b"\x83\x00\x00\x01\x8b\xcf\xe5h\x00", 1_700_000_000_000),
        (b"\x80\x00\x00\x00\x00\x00\x00\x00\x07", 7),
        (b"\x53\x07", 7),
        (b"\x54\xff", -1),
        (b"\x44", 0),
        (b"\x40", None),
        (b"\x41", True),
        (b"\x56\x00", False),
        (b"\x82\x40\x09\x21\xfb\x54\x44\x2d\x18", 3.141592653589793),
    ],
)
def test_a_value_is_read(data, meant):
    assert value(data) == meant


@pytest.mark.parametrize(
    "data", [b"", b"meter", b"\xa1\x06meter", b"\xa1\x04meter", b"\xa1\x01\xff", b"\x83\x00", b"\xc0\x01\x00"]
)
def test_what_is_no_value_is_refused(data):
    with pytest.raises(ProtocolError):
        value(data)


@given(st.binary(max_size=20))
def test_no_bytes_do_harm(data):
    with contextlib.suppress(ProtocolError):
        value(data)
