"""What a proxy is asked, byte by byte, and what each of its answers means."""

from __future__ import annotations

import pytest

from iotgw.core.errors import ProtocolError
from iotgw.wire.tunnel import HttpConnect, Socks5


def by_bytes(tunnel, data):
    """Hand over an answer one byte at a time; what is written meanwhile."""
    return b"".join(tunnel.receive(data[at : at + 1]) for at in range(len(data)))


def test_connect_names_the_place_twice_and_needs_no_credentials():
    assert (
        HttpConnect("a.example", 8883).start()
        == b"CONNECT a.example:8883 HTTP/1.1\r\nHost: a.example:8883\r\n\r\n"
    )
    assert HttpConnect("2001:db8::1", 443).start().startswith(b"CONNECT [2001:db8::1]:443 ")


def test_connect_brings_basic_credentials():
    assert b"\r\nProxy-Authorization: Basic bWU6czpw\r\n\r\n" in HttpConnect("h", 1, "me", "s:p").start()


def test_what_follows_the_answer_belongs_to_the_connection():
    tunnel = HttpConnect("h", 22)
    assert tunnel.receive(b"HTTP/1.0 100 Wait\r\n\r\nHTTP/1.0 200 Connection establ") == b""
    assert not tunnel.is_open
    tunnel.receive(b"ished\r\nProxy-agent: x\r\n\r\nSSH-2.0-x\r\n")
    assert (tunnel.is_open, tunnel.rest) == (True, b"SSH-2.0-x\r\n")


def test_thousands_of_interim_answers_at_once_are_passed_over():
    tunnel = HttpConnect("h", 22)
    tunnel.receive(b"HTTP/1.1 100\r\n\r\n" * 5000 + b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-x\r\n")
    assert (tunnel.is_open, tunnel.rest) == (True, b"SSH-2.0-x\r\n")


@pytest.mark.parametrize(
    ("answer", "credentials", "said"),
    [
        (b"HTTP/1.1 407 Who\r\n\r\n", (), "it asks for user and password"),
        (b"HTTP/1.1 407 Who\r\n\r\n", ("me", "p"), "it refuses the user or the password"),
        (b"HTTP/1.1 403 Filtered\r\n\r\n", (), "HTTP 403 to CONNECT h:1: 'Filtered'"),
        (b"HTTP/1.1 302 \r\nLocation: /\r\n\r\n", (), "HTTP 302 to CONNECT h:1"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", (), "expected an answer to CONNECT, got b'SSH-2.0-OpenSSH'"),
        (b"HTTP/1.1 99999\r\n\r\n" + b"", (), "HTTP 999 to CONNECT"),
        (b"x" * 20000, (), "expected an answer to CONNECT of at most 16384 bytes"),
    ],
)
def test_an_answer_to_connect_that_is_no_connection_is_said(answer, credentials, said):
    with pytest.raises(ProtocolError, match=said.replace("(", r"\(")):
        HttpConnect("h", 1, *credentials).receive(answer)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("a.example", b"\x03\x09a.example"),
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("2001:db8::1", b"\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01"),
    ],
)
@pytest.mark.parametrize("bound", [b"\x01\x7f\0\0\x01\x04\x38", b"\x03\x01x\x04\x38", b"\x04" + bytes(18)])
def test_socks_without_login(host, address, bound):
    tunnel = Socks5(host, 1080)
    assert tunnel.start() == b"\x05\x01\x00"
    assert by_bytes(tunnel, b"\x05\x00") == b"\x05\x01\x00" + address + b"\x04\x38"
    tunnel.receive(b"\x05\x00\x00" + bound + b"hello")
    assert (tunnel.is_open, tunnel.rest) == (True, b"hello")


@pytest.mark.parametrize("asks", [True, False])
def test_socks_with_user_and_password_where_they_are_asked_for(asks):
    tunnel = Socks5("a", 1, "me", "pass")
    assert tunnel.start() == b"\x05\x02\x00\x02"
    request = b"\x05\x01\x00\x03\x01a\x00\x01"
    if asks:
        assert by_bytes(tunnel, b"\x05\x02") == b"\x01\x02me\x04pass"
        assert by_bytes(tunnel, b"\x01\x00") == request
    else:
        assert by_bytes(tunnel, b"\x05\x00") == request
    assert by_bytes(tunnel, b"\x05\x00\x00\x01\0\0\0\0\0\0") == b""
    assert (tunnel.is_open, tunnel.rest) == (True, b"")


@pytest.mark.parametrize(
    ("answer", "credentials", "said"),
    [
        (b"\x04\x00", (), "expected SOCKS 5, got version 4"),
        (b"HTTP/1.1 400 Bad\r\n", (), "expected SOCKS 5, got version 72"),
        (b"\x05\xff", (), "it asks for user and password"),
        (b"\x05\xff", ("me", "p"), "it asks for another login than we have"),
        (b"\x05\x02", (), "it asks for user and password"),
        (b"\x05\x02\x01\x01", ("me", "p"), "it refuses the user or the password"),
        (b"\x05\x00\x05\x02\x00\x01\0\0\0\0\0\0", (), "its rules forbid it"),
        (b"\x05\x00\x05\x05", (), "the connection was refused there"),
        (b"\x05\x00\x05\x63\x00\x01\0\0\0\0\0\0", (), r"it refuses \(code 99\)"),
        (b"\x05\x00\x04\x00\x00\x01\0\0\0\0\0\0", (), "expected SOCKS 5, got version 4"),
        (b"\x05\x00\x05\x00\x00\x07\0\0\0\0\0\0", (), "expected an address, got type 7"),
    ],
)
def test_an_answer_of_socks_that_is_no_connection_is_said(answer, credentials, said):
    with pytest.raises(ProtocolError, match=said):
        Socks5("h", 1, *credentials).receive(answer)


@pytest.mark.parametrize(
    "arguments", [("x" * 256, 1), ("h", 1, "u" * 256), ("h", 1, "", "p" * 256), ("ü", 1)]
)
def test_what_socks_has_no_room_for_is_refused(arguments):
    with pytest.raises(ValueError, match=r"at most 255|ascii"):
        Socks5(*arguments)
