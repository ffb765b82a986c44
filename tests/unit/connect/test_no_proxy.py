"""Which hosts are reached directly, though there is a proxy."""

from __future__ import annotations

import pytest

from iotgw.connect.no_proxy import NoProxy, readable
from iotgw.core.errors import SettingsError


@pytest.mark.parametrize(
    ("rule", "host", "is_direct"),
    [
        ("example.com", "example.com", True),
        ("example.com", "www.example.com", True),
        ("example.com", "WWW.Example.COM.", True),
        ("example.com", "notexample.com", False),
        (".example.com", "a.example.com", True),
        ("*.example.com", "a.example.com", True),
        ("*", "anything.example", True),
        ("*", "2001:db8::1", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "ten.example", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("2001:db8::/32", "2001:db8::5", True),
        ("[2001:db8::5]", "2001:db8::5", True),
        ("example.com:8883", "example.com", True),
        ("example.com:443", "example.com", False),
        ("[2001:db8::5]:8883", "2001:db8::5", True),
        ("192.0.2.1:1", "192.0.2.1", False),
    ],
)
def test_a_rule_means_what_no_proxy_means(rule, host, is_direct):
    assert NoProxy([rule]).has(host, 8883) is is_direct


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
)
def test_loopback_is_always_direct(host):
    assert NoProxy().has(host, 80)


@pytest.mark.parametrize("rule", ["", "a b", "http://a", "10.0.0.0/99", "a:99999", "a:b:c", "a,b"])
def test_what_is_no_rule_is_refused_with_its_place(rule):
    with pytest.raises(SettingsError) as caught:
        NoProxy(["fine.example", rule])
    assert caught.value.path == "no-proxy[1]"


def test_of_the_environment_s_rules_those_are_passed_over_that_can_not_be_read():
    assert readable(["<local>", "fine.example", "192.168.0.*", "10.0.0.0/8", "a:99999"]) == [
        "fine.example",
        "10.0.0.0/8",
    ]
