"""The text that names a listener: TCP ports of the host, and nothing else of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.datasources.http.listener import Listener, parse
from iotgw.datasources.http.settings import HttpSourceSettings


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("tcp:8443", Listener(8443)),
        ("tcp:port=8443", Listener(8443)),
        ("tcp:8443:interface=127.0.0.1", Listener(8443, "127.0.0.1")),
        ("tcp:interface=127.0.0.1:port=0", Listener(0, "127.0.0.1")),
        (r"tcp:80:interface=\:\:1", Listener(80, "::1")),
        (r"tcp:80:interface=\:\:", Listener(80, "::")),
        ("tcp:80:interface=", Listener(80)),
        ("ssl:443:privateKey=key.pem:certKey=cert.pem", Listener(443, "0.0.0.0", "cert.pem", "key.pem")),
        ("ssl:443:privateKey=both.pem", Listener(443, "0.0.0.0", "both.pem", "both.pem")),
        (r"ssl:443:privateKey=a\:b", Listener(443, "0.0.0.0", "a:b", "a:b")),
    ],
)
def test_a_tcp_port_is_named_as_it_was_until_now(text: str, listener: Listener) -> None:
    assert parse(text) == listener


@pytest.mark.parametrize(
    "text",
    [
        "unix:/etc/x", "unix:/etc/x:mode=666", "stdio:", "haproxy:tcp:80", "systemd:domain=INET:index=0",
        "fd:3", "tls:example.com:443", "txtorcon:80", "le:/certs:tcp:443", "nonsense", "", "8443", "tcp", "tcp:",
        "tcp:-1", "tcp:65536", "tcp:٣", "tcp:80:81", "tcp:80:port=81", "tcp:80:interface=a.example",
        "tcp:80:interface=localhost", "tcp:80:interface=unix", "tcp:80:backlog=9", "tcp:80:privateKey=/etc/key",
        "TCP:80", " tcp:80", "tcp :80", "tcp\\:80", "tcp:80\\", "ssl:443", "ssl:443:certKey=c",
        "ssl:443:privateKey=k:sslmethod=SSLv3_METHOD", "ssl:443:privateKey=k:extraCertChain=/etc/passwd",
        "ssl:443:privateKey=k:dhParameters=/etc/passwd", "tcp:80\x00", "haproxy\\:tcp:80",
    ],
)  # fmt: skip
def test_nothing_else_of_the_host_can_be_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse(text)


@given(st.text(max_size=40) | st.from_regex(r"(tcp|ssl):[\\:=a-z0-9.]{0,20}", fullmatch=True))
def test_any_text_is_a_tcp_port_or_is_refused(text: str) -> None:
    try:
        listener = parse(text)
    except ValueError:
        return
    assert text.startswith(("tcp:", "ssl:"))
    assert 0 <= listener.port <= 65535


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"endpoint": "unix:/etc/x"}, "endpoint: expected tcp:PORT"),
        ({"endpoint": "tcp:8443", "tls": {"certificate": "c"}}, "key"),
        ({"tls": {"certificate": "c", "key": "k"}}, "expected an endpoint such as tcp:8443 for `tls`"),
        ({"endpoint": "ssl:1:privateKey=k", "tls": {"certificate": "c", "key": "k"}}, "either"),
    ],
)
def test_settings_that_name_no_listener_are_refused_when_they_are_saved(
    configuration: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        convert(configuration, HttpSourceSettings, "configuration")
