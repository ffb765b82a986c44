"""Connections that begin with a PROXY header: those of trusted proxies, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from iotgw.core.trusted_proxies import TrustedProxies
from iotgw.datasources.http.proxied import PATIENCE, ProxiedFactory

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 8080\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + b"\x30\x39\x1f\x90"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"


class Inner(Protocol):
    def __init__(self) -> None:
        self.data = b""
        self.is_lost = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.transport.write(b"to " + str(self.transport.getPeer().host).encode())  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        self.is_lost = True


class Bench(Factory):
    def __init__(self, is_full: bool = False) -> None:
        self.clock = Clock()
        self.addresses: list[str] = []
        self.inner: list[Inner] = []
        self.refused: list[tuple[str, str]] = []
        self.is_full = is_full
        proxies = TrustedProxies(["10.0.0.1"], "proxy-protocol")
        self.outer = ProxiedFactory(proxies, lambda *what: self.refused.append(what), self.clock, self)

    def buildProtocol(self, addr: Any) -> Inner | None:
        self.addresses.append(addr.host)
        if self.is_full:
            return None
        self.inner.append(Inner())
        return self.inner[-1]

    def connect(self, peer: str = "10.0.0.1") -> tuple[Any, StringTransport]:
        address = IPv4Address("TCP", peer, 40000)
        protocol, transport = self.outer.buildProtocol(address), StringTransport(peerAddress=address)
        assert protocol is not None
        protocol.makeConnection(transport)
        return protocol, transport


@pytest.mark.parametrize("header", [V1, V2])
def test_the_connection_is_the_client_s_from_its_first_byte_on(header: bytes) -> None:
    for cut in range(1, len(header) + 1):
        bench = Bench()
        protocol, transport = bench.connect()
        protocol.dataReceived(header[:cut])
        protocol.dataReceived(header[cut:] + b"GET")
        assert (bench.addresses, bench.inner[0].data) == (["192.0.2.7"], b"GET")
        assert transport.value() == b"to 192.0.2.7"
        protocol.connectionLost()
        assert bench.inner[0].is_lost
        assert not bench.clock.getDelayedCalls()


def test_a_header_counts_once_and_what_follows_is_the_client_s() -> None:
    bench = Bench()
    protocol, _ = bench.connect()
    protocol.dataReceived(V1 + V1)
    assert bench.inner[0].data == V1


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02", LOCAL + b"GET"])
def test_without_a_header_it_is_the_proxy_s_own(data: bytes) -> None:
    bench = Bench()
    protocol, _ = bench.connect()
    protocol.dataReceived(data)
    assert bench.addresses == ["10.0.0.1"]
    assert bench.inner[0].data == data.removeprefix(LOCAL)


def test_somebody_who_isn_t_trusted_can_say_nothing() -> None:
    bench = Bench()
    protocol, _ = bench.connect("203.0.113.5")
    protocol.dataReceived(V1 + b"GET")
    assert bench.addresses == ["203.0.113.5"]
    assert bench.inner[0].data == V1 + b"GET"


@pytest.mark.parametrize(
    "data", [b"PROXY nonsense\r\n", b"PROXY " + b"x" * 200, V2[:12] + b"\x21\x11\xff\xff"]
)
def test_a_malformed_header_ends_the_connection_and_is_told(data: bytes) -> None:
    bench = Bench()
    protocol, transport = bench.connect()
    protocol.dataReceived(data)
    protocol.dataReceived(b"more")
    assert transport.disconnected or transport.disconnecting
    assert not bench.inner
    ((peer, message),) = bench.refused
    assert peer == "10.0.0.1" and "PROXY" in message


def test_one_that_never_begins_is_ended() -> None:
    bench = Bench()
    protocol, transport = bench.connect()
    protocol.dataReceived(V2[:20])
    bench.clock.advance(PATIENCE)
    assert transport.disconnected or transport.disconnecting
    protocol.connectionLost()
    assert bench.refused == [("10.0.0.1", "a trusted proxy's connection: it did not begin")]


def test_a_client_for_whom_there_is_no_place_is_cut_off() -> None:
    bench = Bench(is_full=True)
    protocol, transport = bench.connect()
    protocol.dataReceived(V1)
    assert bench.addresses == ["192.0.2.7"]
    assert transport.disconnected or transport.disconnecting
