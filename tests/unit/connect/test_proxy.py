"""Connections by way of a proxy: which one, what it is told, and what may not be reached through it either."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from iotgw.app.parts import way_out
from iotgw.config.settings import IntegrationsSection
from iotgw.connect.endpoint import Connector
from iotgw.connect.forbidden import Forbidden
from iotgw.connect.proxy import ProxyFailed, goes_by, of_environment
from iotgw.connect.tls import ClientTls
from iotgw.core.errors import SettingsError
from iotgw.core.secrets import masked
from iotgw.integrations.mqtt import MqttSettings
from tests.unit.connect import test_forbidden

HTTP, SOCKS, SOCKS_NAMES = (
    "http://me:hush@proxy.example",
    "socks5://proxy.example",
    "socks5h://proxy.example:1081",
)
OPENS = b"HTTP/1.1 200 OK\r\n\r\n"


class Net(test_forbidden.Net):
    """As that one, and it keeps the ports."""

    def resolveHostName(self, receiver, host, portNumber=0, *args, **more):
        super().resolveHostName(receiver, host, portNumber)


class Heard(Protocol):
    """The protocol that wants the connection."""

    def __init__(self) -> None:
        self.data = b""
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.gone = True


class Way:
    """An attempt to connect on a net in memory."""

    def __init__(
        self, net: Net, connector: Connector, proxy: str = "", host: str = "broker.example", tls=None
    ) -> None:
        self.net = net
        self.protocol: Any = None
        self.failure: Any = None
        endpoint = connector.endpoint(host, 8883, 10.0, tls, proxy=proxy)
        connecting = endpoint.connect(Factory.forProtocol(Heard))
        connecting.addCallbacks(
            lambda protocol: setattr(self, "protocol", protocol),
            lambda failure: setattr(self, "failure", failure.value),
        )
        self.connecting = connecting
        self.channel: Any = None
        self.transport: Any = None

    def take(self, number: int = -1) -> bytes:
        """The newest connection is made; returns what is sent first."""
        factory = self.net.tcpClients[number][2]
        self.channel = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.transport.abortConnection = lambda: setattr(self.transport, "disconnecting", True)
        self.channel.makeConnection(self.transport)
        return self.said()

    def said(self) -> bytes:
        value = self.transport.value()
        self.transport.clear()
        return value

    def hear(self, data: bytes) -> bytes:
        self.channel.dataReceived(data)
        return self.said()

    @property
    def tried(self) -> list[tuple[str, int]]:
        return [(host, port) for host, port, *_ in self.net.tcpClients]


@pytest.fixture
def net() -> Net:
    return Net("192.0.2.7")


def test_an_http_proxy_is_told_the_name(net):
    way = Way(net, Connector(net), HTTP)
    assert way.tried == [("192.0.2.7", 3128)]
    asked = way.take()
    assert asked.startswith(b"CONNECT broker.example:8883 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6aHVzaA==\r\n" in asked
    way.hear(OPENS + b"early")
    assert way.protocol.data == b"early"
    way.hear(b" and late")
    assert way.protocol.data == b"early and late"
    way.protocol.transport.write(b"up")
    assert way.said() == b"up"
    way.channel.connectionLost(None)
    assert way.protocol.gone


def test_tls_is_spoken_with_the_target_through_the_proxy(net):
    way = Way(net, Connector(net), HTTP, tls=ClientTls())
    way.take()
    assert way.hear(OPENS)[:2] == b"\x16\x03"  # a handshake record (RFC 8446 §5.1)


def test_a_proxy_may_be_spoken_to_by_tls(net):
    way = Way(net, Connector(net), "https://proxy.example:8443")
    assert way.tried == [("192.0.2.7", 8443)]
    assert way.take()[:2] == b"\x16\x03"


def test_socks_is_told_addresses_which_are_judged_and_tried_in_turn():
    net = Net("2001:db8::1", "10.0.0.1", "192.0.2.7", "192.0.2.8")
    way = Way(net, Connector(net, forbid=["private"]), SOCKS)
    assert way.tried[0][1] == 1080
    way.take()
    assert way.hear(b"\x05\x00")[3:8] == b"\x01\xc0\x00\x02\x07"
    way.hear(b"\x05\x04\x00\x01\0\0\0\0\0\0")
    assert way.transport.disconnecting
    way.take()
    assert way.hear(b"\x05\x00")[3:8] == b"\x01\xc0\x00\x02\x08"
    way.hear(b"\x05\x00\x00\x01\0\0\0\0\0\0")
    assert way.protocol is not None


def test_socks5h_is_told_the_name(net):
    way = Way(net, Connector(net), SOCKS_NAMES)
    assert way.tried == [("192.0.2.7", 1081)]
    way.take()
    assert way.hear(b"\x05\x00") == b"\x05\x01\x00\x03\x0ebroker.example" + (8883).to_bytes(2)


@pytest.mark.parametrize("proxy", [HTTP, SOCKS_NAMES])
def test_where_the_operator_says_so_names_are_resolved_here_and_judged(proxy):
    net = Net("198.51.100.7")
    connector = Connector(net, forbid=["198.51.100.0/24"], proxy=proxy, names="here")
    assert isinstance(Way(net, connector).failure, Forbidden)
    assert net.tried == []
    net.addresses = ("192.0.2.9",)
    way = Way(net, connector)
    asked = way.take()
    if proxy is HTTP:
        assert asked.startswith(b"CONNECT 192.0.2.9:8883 ")
    else:
        assert way.hear(b"\x05\x00")[3:8] == b"\x01\xc0\x00\x02\x09"


FORBIDDEN = [
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "2130706433",
    "::1",
    "::ffff:127.0.0.1",
    "localhost",
    "a.LocalHost.",
]


@pytest.mark.parametrize("host", [*FORBIDDEN, "169.254.169.254", "2852039166", "0xa9fea9fe", "fd00:ec2::254"])
@pytest.mark.parametrize("proxy", [HTTP, SOCKS, SOCKS_NAMES])
def test_what_a_name_spells_out_is_forbidden_through_a_proxy_too(net, proxy, host):
    net.addresses = ("127.0.0.1",)
    way = Way(net, Connector(net, forbid=["loopback"]), proxy, host)
    assert isinstance(way.failure, Forbidden), way.failure
    assert way.tried == []


def test_a_number_is_told_as_the_address_that_it_stands_for(net):
    way = Way(net, Connector(net), HTTP, "3221225991")
    assert way.take().startswith(b"CONNECT 192.0.2.7:8883 ")


def test_a_user_s_proxy_may_not_be_where_the_operator_forbids_it_but_his_own_may():
    net = Net("10.0.0.1")
    way = Way(net, Connector(net, forbid=["private"]), HTTP)
    assert "leads to 10.0.0.1, which is forbidden here" in str(way.failure)
    assert net.tried == []
    Way(net, Connector(net, forbid=["private"], proxy="http://proxy.example:3128"))
    assert net.tried == ["10.0.0.1"]


def test_the_operator_s_proxy_is_for_all_that_says_nothing_else(net):
    connector = Connector(net, proxy="http://proxy.example:8080", no_proxy=["direct.example"])
    assert Way(net, connector).tried == [("192.0.2.7", 8080)]
    assert Way(net, connector, host="www.direct.example").tried[1:] == [("192.0.2.7", 8883)]
    assert Way(net, connector, proxy="none").tried[2:] == [("192.0.2.7", 8883)]
    assert Way(net, connector, SOCKS).tried[3:] == [("192.0.2.7", 1080)]
    assert Way(net, connector, host="127.0.0.1").tried[4:] == [("192.0.2.7", 8883)]


def test_a_proxy_of_the_integration_is_for_the_hosts_of_no_proxy_too(net):
    connector = Connector(net, proxy="http://proxy.example:8080", no_proxy=["*"])
    assert Way(net, connector, SOCKS).tried == [("192.0.2.7", 1080)]


@pytest.mark.parametrize("host", ["a b", "a\r\nX: y", "", "a/b", "x" * 300, "ü" * 300, "a:b@c"])
def test_what_is_no_name_is_never_told_to_a_proxy(net, host):
    way = Way(net, Connector(net), HTTP, host)
    assert str(way.failure) == "the proxy proxy.example:3128: expected the name of a host"
    assert way.tried == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Who\r\n\r\n", "it refuses the user or the password (HTTP 407)"),
        (b"nonsense\r\n\r\n", "expected an answer to CONNECT, got b'nonsense'"),
        (None, "it closed the connection without an answer"),
    ],
)
def test_a_failure_names_the_proxy_and_no_password(net, answer, said):
    way = Way(net, Connector(net), HTTP)
    way.take()
    if answer is None:
        way.channel.connectionLost(None)
    else:
        way.hear(answer)
        assert way.transport.disconnecting
    assert isinstance(way.failure, ProxyFailed)
    assert str(way.failure) == f"the proxy proxy.example:3128: {said}"


def test_a_proxy_that_answers_nothing_is_given_up_on_in_time(net):
    way = Way(net, Connector(net), HTTP)
    way.take()
    net.advance(10)
    assert str(way.failure) == "the proxy proxy.example:3128: no connection to broker.example within 10 s"
    assert way.transport.disconnecting
    way.channel.connectionLost(None)


def test_an_attempt_that_is_given_up_closes_the_connection_to_the_proxy(net):
    way = Way(net, Connector(net), HTTP)
    way.take()
    way.connecting.cancel()
    assert way.transport.disconnecting and way.failure is not None
    way.hear(OPENS)
    way.channel.connectionLost(None)
    assert way.protocol is None


@pytest.mark.parametrize("url", [
    "proxy.example:3128", "ftp://proxy.example", "http://", "http://h:99999", "http://h/path", "http://h?x", "socks4://h",
    "socks5://" + "u" * 256 + ":p@h", "http://a%3Ab:hush@h",
])  # fmt: skip
def test_what_is_no_proxy_is_refused_and_not_repeated(net, url):
    with pytest.raises(SettingsError) as caught:
        Connector(net).endpoint("h", 1, 1.0, proxy=url)
    assert caught.value.path == "configuration.proxy"
    assert "hush" not in str(caught.value) and caught.value.is_secret
    with pytest.raises(SettingsError, match=r"^integrations\.proxy: "):
        Connector(net, proxy=url)


def test_the_password_of_a_proxy_is_a_secret_that_moves_with_it():
    shown = masked({"host": "h", "proxy": HTTP}, MqttSettings, str)
    assert shown["proxy"] == "http://me:***@proxy.example"
    places = {
        goes_by(url) for url in ("", "none", HTTP, "http://you:x@proxy.example:3128", SOCKS, "http://h")
    }
    assert len(places) == 5
    assert "hush" not in str(places)
    other = MqttSettings(host="h", proxy="http://me:hush@evil.example").destination()
    assert MqttSettings(host="h", proxy=HTTP).destination() != other


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("", [])),
        ({"HTTPS_PROXY": "http://a:1"}, ("http://a:1", [])),
        ({"HTTPS_PROXY": "http://a:1", "ALL_PROXY": "socks5h://b"}, ("socks5h://b", [])),
        ({"https_proxy": "c:3128", "HTTPS_PROXY": "d"}, ("http://c:3128", [])),
        ({"HTTP_PROXY": "http://e", "NO_PROXY": "x, .y,10.0.0.0/8"}, ("", ["x", ".y", "10.0.0.0/8"])),
    ],
)
def test_the_environment_may_say_it(environment, expected):
    assert of_environment(environment) == expected


def test_the_environment_is_asked_only_where_the_operator_says_so(net, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:8080")
    monkeypatch.setenv("NO_PROXY", "<local>, 192.168.0.*, direct.example, [fd00::]/8")
    assert Way(net, way_out(IntegrationsSection(), net)).tried == [("192.0.2.7", 8883)]
    connector = way_out(IntegrationsSection(proxy="environment", no_proxy=["other.example"]), net)
    assert Way(net, connector).tried[1:] == [("192.0.2.7", 8080)]
    assert Way(net, connector, host="direct.example").tried[2:] == [("192.0.2.7", 8883)]
    assert Way(net, connector, host="other.example").tried[3:] == [("192.0.2.7", 8883)]
