"""What the built-in types say that their datasources open."""

import msgspec
import pytest

from iotgw.core.needs import HttpMount, TcpPort, UdpPort
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
def test_coap_shares_the_ports_of_its_mode(mode, expected):
    assert needs(CoapType, interface=HERE, port=5, securePort=6, securityMode=mode) == expected


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
        ("dragino-coap", UdpPort(HERE, 5, "coap")),
        ("lobaro-coap", UdpPort(HERE, 5, "coap")),
    ],
)
def test_a_vendor_s_type_needs_what_its_transport_needs(name, expected):
    (type_,) = (each for each in TYPES if each.name == name)
    assert needs(type_, interface=HERE, port=5) == [expected]


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("", [HttpMount(("i", "key"))]),
        ("tcp:8443", [TcpPort("0.0.0.0", 8443)]),
        ("tcp:port=8443:interface=127.0.0.1", [TcpPort(HERE, 8443)]),
        ("ssl:8443:privateKey=key.pem:certKey=cert.pem", [TcpPort("0.0.0.0", 8443)]),
        (r"tcp:8443:interface=\:\:1", [TcpPort("::1", 8443)]),
        ("unix:/run/iotgw", []),
        ("tcp:none", []),
    ],
)
def test_http_needs_a_path_of_the_listener_or_a_port_of_its_own(endpoint, expected):
    assert needs(HttpSourceType, endpoint=endpoint) == expected
