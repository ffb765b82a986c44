"""What reverse proxies say of their clients: RFC 7239's examples, and what a client may write in front."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.forwarded import (
    MOST_HOPS,
    address_of,
    entries,
    hops_of_forwarded,
    hops_of_x_forwarded_for,
    parameter,
)


@pytest.mark.parametrize(
    ("header", "hops"),
    [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", ["192.0.2.60"]),
        ("for=192.0.2.43, for=198.51.100.17", ["198.51.100.17", "192.0.2.43"]),
        ('For="[2001:db8:cafe::17]:4711"', ["2001:db8:cafe::17"]),
        ('for=192.0.2.43, for="[2001:db8:cafe::17]", for=unknown', ["", "2001:db8:cafe::17", "192.0.2.43"]),
        ("for=_gazonk", [""]),
        ('for="192.0.2.1:4711";by="a,b;c", host=x;FOR=192.0.2.2', ["192.0.2.2", "192.0.2.1"]),
        ("", [""]),
    ],
)
def test_the_hops_of_forwarded_stand_nearest_first(header: str, hops: list[str]) -> None:
    assert list(hops_of_forwarded(header)) == hops


def test_an_element_s_pairs_may_be_quoted_and_escaped() -> None:
    assert parameter('host="a\\"b, c;d";for=192.0.2.1', "host") == 'a"b, c;d'
    assert parameter("proto=https ; Host=gateway.example:8443", "host") == "gateway.example:8443"
    assert parameter("proto=https", "host") == ""


@pytest.mark.parametrize(
    ("node", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("[2001:db8::1]:_port", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", ""),
        ("unknown", ""),
        ("_hidden", ""),
        ("192.0.2.1:99999999", ""),
        ("192.0.2.256", ""),
        ("2130706433", ""),
        ("", ""),
        ("1" * 5000, ""),
    ],
)
def test_a_node_s_address_is_found_or_it_has_none(node: str, address: str) -> None:
    assert address_of(node) == address


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=300))
def test_nothing_that_a_client_writes_changes_what_its_proxy_adds(text: str) -> None:
    added = 'for=192.0.2.7;by="x,y"'
    assert next(entries(f"{text}, {added}")) == added
    assert next(hops_of_forwarded(f"{text},{added}")) == "192.0.2.7"
    assert next(hops_of_x_forwarded_for(f"{text}, 192.0.2.7")) == "192.0.2.7"


def test_of_a_long_header_only_the_last_entries_are_looked_at() -> None:
    assert len(list(hops_of_forwarded("for=1.2.3.4," * 10_000))) == MOST_HOPS
    assert len(list(hops_of_x_forwarded_for("1.2.3.4," * 10_000))) == MOST_HOPS
    assert list(hops_of_forwarded("for=" + "x" * 100_000)) == [""]
    assert list(hops_of_forwarded("\\" * 50_000 + '"' * 50_000)) == [""]
