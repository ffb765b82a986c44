"""Who a request is from, as trusted proxies say, and as others would like to say."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.web.http_headers import Headers

from iotgw.core.errors import SettingsError
from iotgw.core.trusted_proxies import NO_PROXIES, TrustedProxies

X = TrustedProxies(["10.0.0.0/8", "fd00::/8"])
RFC = TrustedProxies(["10.0.0.0/8", "fd00::/8"], "forwarded")
PROXY = TrustedProxies(["10.0.0.0/8"], "proxy-protocol")


class Request:
    def __init__(self, **headers: list[str]) -> None:
        self.requestHeaders = Headers(
            {
                name.replace("_", "-").encode(): [each.encode() for each in values]
                for name, values in headers.items()
            }
        )


def client(proxies: TrustedProxies, peer: str, **headers: list[str]) -> str:
    return proxies.client(Request(**headers), peer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["203.0.113.9, 192.0.2.7"], "192.0.2.7"),
        (["203.0.113.9", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.1.1.1, fd00::1"], "192.0.2.7"),
        (["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        (["2001:db8::7"], "2001:db8::7"),
        (["unknown"], "10.0.0.1"),
        (["192.0.2.7, unknown, 10.2.2.2"], "10.2.2.2"),
        ([""], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_the_client_is_the_last_whom_a_trusted_proxy_names(lines: list[str], expected: str) -> None:
    assert client(X, "10.0.0.1", x_forwarded_for=lines) == expected
    as_forwarded = [
        ", ".join(f'for="[{hop}]"' if ":" in hop else f"for={hop}" for hop in line.split(", "))
        for line in lines
    ]
    assert client(RFC, "10.0.0.1", forwarded=as_forwarded) == expected


def test_nobody_else_s_word_counts() -> None:
    said: dict[str, Any] = {
        "x_forwarded_for": ["127.0.0.1"],
        "forwarded": ["for=127.0.0.1"],
        "x_forwarded_host": ["localhost"],
    }
    for proxies in (X, RFC, PROXY, NO_PROXIES):
        assert client(proxies, "192.0.2.7", **said) == "192.0.2.7"
        assert proxies.host(Request(**said), "192.0.2.7") == ""  # type: ignore[arg-type]


def test_a_header_that_the_proxy_doesn_t_write_is_its_client_s_and_says_nothing() -> None:
    assert client(X, "10.0.0.1", x_forwarded_for=["192.0.2.7"], forwarded=["for=127.0.0.1"]) == "192.0.2.7"
    assert client(RFC, "10.0.0.1", x_forwarded_for=["127.0.0.1"], forwarded=["for=192.0.2.7"]) == "192.0.2.7"
    assert client(PROXY, "10.0.0.1", x_forwarded_for=["192.0.2.7"], forwarded=["for=192.0.2.7"]) == "10.0.0.1"


def test_no_proxy_is_trusted_where_none_is_named() -> None:
    assert not NO_PROXIES
    assert not NO_PROXIES.has("127.0.0.1")
    assert not NO_PROXIES.begin_connections()
    assert PROXY.begin_connections() and not X.begin_connections()


def test_a_setting_that_is_no_network_is_refused() -> None:
    with pytest.raises(SettingsError) as refused:
        TrustedProxies(["10.0.0.1", "nginx"])
    assert refused.value.path == "trusted-proxies[1]"
