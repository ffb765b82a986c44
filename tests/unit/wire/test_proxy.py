"""The PROXY protocol's examples and what an attacker makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.wire.proxy import ProxyHeader, parse

V2 = b"\r\n\r\n\x00\r\nQUIT\n"
TCP4 = V2 + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + b"\x30\x39\xd8\x31"
TCP6 = (
    V2 + b"\x21\x21\x00\x24" + bytes.fromhex("20010db8" + "0" * 22 + "07") + bytes(16) + b"\x30\x39\xd8\x31"
)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 55345\r\n", "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 12345 55345\r\n", "2001:db8::7"),
        (TCP4, "192.0.2.7"),
        (TCP6, "2001:db8::7"),
        (TCP4[:14] + b"\x00\x10" + TCP4[16:] + b"\x04\x00\x01x", "192.0.2.7"),
    ],
)
def test_the_address_in_front_of_the_balancer(header, host):
    assert parse(header + b"data") == ProxyHeader(len(header), host, 12345)
    for end in range(len(header)):
        assert parse(header[:end]) is None


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN x y\r\n", V2 + b"\x20\x00\x00\x00"])
def test_the_balancer_speaks_for_itself(header):
    assert parse(header) == ProxyHeader(len(header))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 nonsense 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 999.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY " + b"x" * 200,
        V2 + b"\x11\x11\x00\x0c" + bytes(12),
        V2 + b"\x21\x11\xff\xff",
    ],
)
def test_what_is_no_header_is_told_why(data):
    assert str(parse(data)).startswith("expected")


@given(
    st.binary(max_size=60) | st.binary(max_size=60).map(V2.__add__) | st.binary().map(b"PROXY TCP4 ".__add__)
)
def test_no_bytes_make_it_raise(data):
    parse(data)
