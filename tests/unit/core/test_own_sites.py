"""Which requests may come from a web page of another site."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.web.http_headers import Headers

from iotgw.core.errors import SettingsError
from iotgw.core.own_sites import OwnSites
from iotgw.core.trusted_proxies import TrustedProxies

LOOPBACK = IPv4Address("TCP", "127.0.0.1", 8080)
LAN = IPv4Address("TCP", "192.0.2.1", 8080)
PROXY = IPv4Address("TCP", "10.0.0.9", 40000)
STRANGER = IPv4Address("TCP", "192.0.2.99", 40000)


class Request:
    def __init__(self, local: Any, headers: dict[str, bytes | str], peer: Any = STRANGER) -> None:
        self.local = local
        self.peer = peer
        self.headers = {
            name.lower().encode(): value if isinstance(value, bytes) else value.encode()
            for name, value in headers.items()
        }

    def getHeader(self, name: bytes) -> bytes | None:
        return self.headers.get(name)

    @property
    def requestHeaders(self) -> Headers:
        return Headers({name: [value] for name, value in self.headers.items()})

    @property
    def channel(self) -> Any:
        return self

    def getPeer(self) -> Any:
        return self.peer

    def getHost(self) -> Any:
        return self.local

    def isSecure(self) -> bool:
        return bool(self.headers.get(b"over-tls"))

    def getClientAddress(self) -> Any:
        return STRANGER


def is_taken(sites: OwnSites, local: Any, peer: Any = STRANGER, **headers: bytes | str) -> bool:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return sites.objection(Request(local, given, peer)) == ""  # type: ignore[arg-type]


OURS = OwnSites(["gateway.example", "panel.example:8443"], TrustedProxies(["10.0.0.0/24"]), machine="Box")
BY_RFC_7239 = OwnSites(["gateway.example"], TrustedProxies(["10.0.0.0/24"], "forwarded"), machine="Box")


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LOCALHOST", "my.localhost:8080", "127.0.0.1:8080", "127.0.0.2", "[::1]:8080", "box:8080",
     "gateway.example", "Gateway.Example:1234", "panel.example:8443", "192.0.2.1:8080", ""],
)  # fmt: skip
def test_over_loopback_a_request_is_for_a_name_of_ours_or_an_address(host: str) -> None:
    assert is_taken(OURS, LOOPBACK, host=host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example", "panel.example",
     "gateway.example.evil", "gateway.example@evil.example", b"\xff", "[::1", "2130706433"],
)  # fmt: skip
def test_and_for_no_other_which_may_have_been_led_here(host: str | bytes) -> None:
    for local in (LOOPBACK, IPv6Address("TCP", "::1", 8080), IPv6Address("TCP", "::ffff:127.0.0.1", 8080)):
        assert not is_taken(OURS, local, host=host)
    assert is_taken(OURS, LAN, host=host)
    assert is_taken(OURS, UNIXAddress("/run/iotgw"), host=host)


@pytest.mark.parametrize("local", [LOOPBACK, LAN])
def test_a_page_s_request_is_taken_from_the_site_that_it_is_for_and_from_those_named(local: Any) -> None:
    assert is_taken(OURS, local, host="localhost:8080", origin="http://localhost:8080")
    assert is_taken(OURS, local, host="localhost:8080", origin="https://gateway.example")
    assert is_taken(OURS, local, host="localhost:8080", origin="https://panel.example:8443")
    for origin in ("https://evil.example", "null", "http://localhost:3000", "http://localhost", "https://panel.example",
                   "file://", "gateway.example", "ftp://gateway.example", b"https://\xff", "http://"):  # fmt: skip
        assert not is_taken(OURS, local, host="localhost:8080", origin=origin), origin


def test_a_trusted_proxy_says_what_a_request_was_for_and_nobody_else_does() -> None:
    evil: dict[str, Any] = {"host": "127.0.0.1:8080", "x_forwarded_host": "evil.example"}
    assert not is_taken(OURS, LOOPBACK, PROXY, **evil)
    assert not is_taken(
        BY_RFC_7239, LOOPBACK, PROXY, host="localhost", forwarded='for=1.2.3.4;host="evil.example"'
    )
    for sites, header in (
        (OURS, {"x_forwarded_host": "panel.example, gateway.example"}),
        (BY_RFC_7239, {"forwarded": "host=x, for=1.2.3.4; Host=gateway.example;proto=https"}),
    ):
        assert is_taken(sites, LOOPBACK, PROXY, host="backend", origin="https://gateway.example", **header)
        assert is_taken(sites, LOOPBACK, PROXY, host="backend", **header)
        assert not is_taken(sites, LOOPBACK, STRANGER, host="backend", **header)
        other = OURS if sites is BY_RFC_7239 else BY_RFC_7239
        assert not is_taken(other, LOOPBACK, PROXY, host="backend", **header), "its clients write this one"
    assert is_taken(OwnSites(), LAN, host="b", origin="http://b")
    assert not is_taken(OwnSites(), LAN, PROXY, host="b", origin="http://front", x_forwarded_host="front"), (
        "it isn't trusted"
    )
    trusting = OwnSites(proxies=TrustedProxies(["10.0.0.9"]))
    assert is_taken(trusting, LAN, PROXY, host="b", origin="http://front", x_forwarded_host="front")


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"hosts": ["a", "https://b"]}, "hosts[1]"),
        ({"hosts": [""]}, "hosts[0]"),
    ],
)
def test_a_setting_that_names_no_host_or_network_is_refused(given: Any, place: str) -> None:
    with pytest.raises(SettingsError) as refused:
        OwnSites(**given)
    assert refused.value.path == place


@pytest.mark.parametrize(
    ("sites", "peer", "said"),
    [
        (OURS, PROXY, {"x_forwarded_proto": "http, https"}),
        (OURS, PROXY, {"x_forwarded_proto": "HTTPS"}),
        (BY_RFC_7239, PROXY, {"forwarded": "for=1.2.3.4;proto=http, for=1.2.3.5;proto=https"}),
        (OURS, STRANGER, {"over_tls": "1"}),
    ],
)
def test_what_came_over_https_is_not_for_pages_that_came_without(
    sites: OwnSites, peer: Any, said: dict[str, str]
) -> None:
    for origin, taken in (("https://gateway.example", True), ("http://gateway.example", False)):
        assert is_taken(sites, LAN, peer, host="gateway.example", origin=origin, **said) is taken
    assert is_taken(sites, LAN, peer, host="gateway.example", **said)  # no page at all


@pytest.mark.parametrize(
    ("sites", "peer", "said"),
    [
        (OURS, PROXY, {}),
        (OURS, PROXY, {"x_forwarded_proto": "https, http"}),
        (OURS, PROXY, {"forwarded": "proto=https"}),
        (OURS, STRANGER, {"x_forwarded_proto": "https"}),  # his own word
        (BY_RFC_7239, PROXY, {"x_forwarded_proto": "https"}),
    ],
)
def test_who_does_not_say_https_takes_pages_that_came_without(
    sites: OwnSites, peer: Any, said: dict[str, str]
) -> None:
    assert is_taken(sites, LAN, peer, host="gateway.example", origin="http://gateway.example", **said)
