"""Clients behind trusted proxies: who they are, and how much one of them may have."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from iotgw.api.site import ApiSite
from iotgw.core.trusted_proxies import TrustedProxies


class Who(Resource):
    """Says whose a request is; `/held` never answers."""

    isLeaf = True

    def render(self, request: Any) -> Any:
        if request.path == b"/held":
            return NOT_DONE_YET
        return str(request.getClientAddress().host).encode()


def site() -> ApiSite:
    return ApiSite(Who(), max_connections=16, of_address=2, proxies=TrustedProxies(["10.0.0.0/8"]))


def ask(site: ApiSite, client: str, peer: str = "10.0.0.1", path: str = "/") -> Any:
    channel: Any = site.buildProtocol(IPv4Address("TCP", peer, 1))
    channel.sent = StringTransport(peerAddress=IPv4Address("TCP", peer, 1))
    channel.makeConnection(channel.sent)
    channel.dataReceived(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n".encode())
    return channel


def answer(channel: Any) -> tuple[bytes, bytes]:
    head, _, body = channel.sent.value().partition(b"\r\n\r\n")
    return head.split(b" ")[1], body


def test_a_request_is_the_client_s_whom_the_proxy_names() -> None:
    assert answer(ask(site(), "192.0.2.7")) == (b"200", b"192.0.2.7")
    assert answer(ask(site(), "2001:db8::7")) == (b"200", b"2001:db8::7")
    assert answer(ask(site(), "192.0.2.7", peer="192.0.2.66")) == (b"200", b"192.0.2.66")
    assert answer(ask(site(), "nonsense")) == (b"200", b"10.0.0.1")


def test_requests_of_one_connection_may_be_of_many_clients() -> None:
    channel = ask(site(), "192.0.2.7")
    channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.8\r\n\r\n")
    assert channel.sent.value().count(b"192.0.2.7") == channel.sent.value().count(b"192.0.2.8") == 1


def test_one_client_has_a_share_of_the_requests_under_way_and_gets_it_back() -> None:
    ours = site()
    held = [ask(ours, "192.0.2.7", path="/held") for _ in range(2)]
    assert answer(ask(ours, "192.0.2.7"))[0] == b"503"
    assert answer(ask(ours, "192.0.2.8"))[0] == b"200"
    held[0].connectionLost(Failure(ConnectionLost()))
    assert answer(ask(ours, "192.0.2.7"))[0] == b"200"
    held[1].connectionLost(Failure(ConnectionLost()))
    assert not ours.under_way


def test_the_proxy_itself_may_have_as_many_as_it_wants() -> None:
    ours = site()
    for number in range(8):
        ask(ours, f"192.0.2.{number}", path="/held")
    assert answer(ask(ours, "unknown"))[0] == b"200"
