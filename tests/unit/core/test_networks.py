"""Which addresses belong to networks, as users write them."""

import pytest

from iotgw.core import networks
from iotgw.core.networks import Networks

BOTH = Networks(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("host", "is_in"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("2001:db8::1%eth0", True),
        ("", False),
        ("no address", False),
    ],
)
def test_an_address_is_in_them_or_is_not_whenever_it_is_asked_for(host, is_in):
    assert [BOTH.has(host), BOTH.has(host)] == [is_in, is_in]


def test_none_are_all_addresses():
    assert Networks().has("192.0.2.8") and Networks().has("") and not Networks()


@pytest.mark.parametrize("text", ["10.0.0.0/33", "example.org", "", "10.0.0.0/8/8"])
def test_what_is_no_network_is_named_with_its_place(text):
    with pytest.raises(ValueError, match=r"allow\[1\]: expected an address or a network"):
        Networks(["10.0.0.0/8", text])


def test_addresses_that_are_made_up_are_not_all_remembered():
    some = Networks(["10.0.0.0/8"])
    for number in range(networks.REMEMBERED * 2 + 5):
        some.has(f"192.0.{number >> 8}.{number & 255}")
    assert len(some._known) <= networks.REMEMBERED


def test_what_is_far_too_long_is_no_network_and_is_not_repeated_whole() -> None:
    with pytest.raises(ValueError, match=r"\(65536 characters\)$"):
        Networks(["1" * 65536])
