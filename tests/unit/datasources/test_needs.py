"""What the built-in types say that their datasources open."""

import msgspec
import pytest

from iotgw.core.needs import CoapPath, HttpMount, TcpPort, UdpPort
from iotgw.datasources.coap.datasource import CoapType
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.socket.tcp import TcpType
from iotgw.datasources.socket.udp import UdpType
from iotgw.datasources.vendors import TYPES
from tests.unit.datasources.fakes import FakeIntake, clock, context

HERE = "127.0.0.1"


def needs(type_, **settings):
    given = context(FakeIntake(), clock())
    return type_(given.reactor).needs(msgspec.convert(settings, type_.settings), given)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("NO_SECURE", [UdpPort(HERE, 5, "coap")]),
        ("DTLS", [UdpPort(HERE, 6, "coaps")]),
        ("MIXED", [UdpPort(HERE, 5, "coap"), UdpPort(HERE, 6, "coaps")]),
    ],
)
def test_coap_shares_the_ports_of_its_mode_and_has_its_routing_key_there(mode, expected):
    found = needs(CoapType, interface=HERE, port=5, securePort=6, securityMode=mode)
    paths = [CoapPath(HERE, port.port, port.protocol, ("i", "key", "**")) for port in expected]
    assert found == [*expected, *paths]


def test_coap_needs_its_fixed_paths_and_those_behind_prefixes():
    found = needs(
        CoapType, interface=HERE, port=5, pathPrefixes=["api"], paths=["m", "d/**"], timePaths=["t"]
    )
    assert [need.path for need in found[1:]] == [
        ("i", "key", "**"), ("api", "i", "key", "**"), ("m",), ("d", "**"), ("t",),
    ]  # fmt: skip


def test_sockets_have_their_port_to_themselves():
    assert needs(TcpType, interface=HERE, port=5) == [TcpPort(HERE, 5)]
    assert needs(UdpType, interface=HERE, port=5) == [UdpPort(HERE, 5)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tekelek", TcpPort(HERE, 5)),
        ("dragino", TcpPort(HERE, 5)),
        ("dragino-udp", UdpPort(HERE, 5)),
        ("lobaro-udp", UdpPort(HERE, 5)),
    ],
)
def test_a_vendor_s_type_needs_what_its_transport_needs(name, expected):
    (type_,) = (each for each in TYPES if each.name == name)
    assert needs(type_, interface=HERE, port=5) == [expected]


@pytest.mark.parametrize("name", ["dragino-coap", "lobaro-coap"])
@pytest.mark.parametrize(("path", "expected"), [("up", ("up", "**")), ("", ("**",))])
def test_a_vendor_s_coap_type_has_a_path_with_all_below(name, path, expected):
    (type_,) = (each for each in TYPES if each.name == name)
    assert needs(type_, interface=HERE, port=5, path=path) == [
        UdpPort(HERE, 5, "coap"), CoapPath(HERE, 5, "coap", expected),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("", [HttpMount(("i", "key"))]),
        ("tcp:8443", [TcpPort("0.0.0.0", 8443)]),
        ("tcp:port=8443:interface=127.0.0.1", [TcpPort(HERE, 8443)]),
        ("ssl:8443:privateKey=key.pem:certKey=cert.pem", [TcpPort("0.0.0.0", 8443)]),
        (r"tcp:8443:interface=\:\:1", [TcpPort("::1", 8443)]),
    ],
)
def test_http_needs_a_path_of_the_listener_or_a_port_of_its_own(endpoint, expected):
    assert needs(HttpSourceType, endpoint=endpoint) == expected
