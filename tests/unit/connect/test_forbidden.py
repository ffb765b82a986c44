"""Which addresses an operator's ``forbid`` means, and that they are judged after the name is resolved."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from iotgw.connect.endpoint import Connector
from iotgw.connect.forbidden import Forbidden, is_forbidden, networks
from iotgw.core.errors import SettingsError


@implementer(IReactorPluggableNameResolver)
class Net(MemoryReactorClock):
    """A reactor in memory whose one name leads to ``addresses``, which may change."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self.addresses = addresses
        self.nameResolver = self

    def resolveHostName(self, receiver, host, port=0, *args, **kwargs):
        receiver.resolutionBegan(None)
        for address in self.addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, port))
        receiver.resolutionComplete()

    @property
    def tried(self) -> list[str]:
        return [host for host, *_ in self.tcpClients]


def knock(net: Net, *forbid: str):
    """Where the connection went, and why not."""
    failures: list[BaseException] = []
    endpoint = Connector(net, forbid).endpoint("broker.example", 1883, 10.0)
    endpoint.connect(Factory.forProtocol(Protocol)).addErrback(lambda failure: failures.append(failure.value))
    net.advance(5)
    return net.tried, failures


@pytest.mark.parametrize(
    ("forbid", "address", "is_it"),
    [
        ("loopback", "127.0.0.1", True),
        ("loopback", "127.255.0.1", True),
        ("loopback", "0.0.0.0", True),
        ("loopback", "::1", True),
        ("loopback", "::ffff:127.0.0.1", True),
        ("loopback", "64:ff9b::7f00:1", True),
        ("loopback", "192.0.2.1", False),
        ("link-local", "169.254.169.254", True),
        ("link-local", "fe80::1%eth0", True),
        ("private", "10.1.2.3", True),
        ("private", "172.31.0.1", True),
        ("private", "172.32.0.1", False),
        ("private", "100.64.0.1", True),
        ("private", "fd00::1", True),
        ("private", "2002:0a00:0001::1", True),
        ("private", "::ffff:8.8.8.8", False),
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::/32", "2001:db8::1", True),
    ],
)
def test_what_a_network_covers(forbid, address, is_it):
    assert is_forbidden(address, networks([forbid])) is is_it


@pytest.mark.parametrize("text", ["nonsense", "10.0.0.0/33", "", "example.org"])
def test_what_is_no_network_is_refused_with_what_is_expected(text):
    with pytest.raises(SettingsError, match="expected loopback, link-local, private or a network"):
        Connector(Net(), [text])


def test_a_name_that_leads_to_a_forbidden_address_is_not_connected_to():
    tried, (failure,) = knock(Net("10.0.0.7", "127.0.0.1"), "private", "loopback")
    assert tried == []
    assert isinstance(failure, Forbidden)
    assert str(failure) == "broker.example leads to 10.0.0.7, 127.0.0.1, which is forbidden here"


def test_a_name_with_a_lawful_address_beside_is_connected_to_there():
    assert knock(Net("10.0.0.7", "192.0.2.1"), "private") == (["192.0.2.1"], [])


def test_a_name_is_judged_again_each_time():
    net = Net("192.0.2.1")
    endpoint = Connector(net, ["private"]).endpoint("broker.example", 1883, 10.0)
    failures: list[BaseException] = []
    for address in ("192.0.2.1", "10.0.0.7"):
        net.addresses = (address,)
        endpoint.connect(Factory.forProtocol(Protocol)).addErrback(
            lambda failure: failures.append(failure.value)
        )
        net.advance(1)
    assert net.tried == ["192.0.2.1"]
    assert isinstance(failures[0], Forbidden)


def test_a_name_that_leads_nowhere_is_no_forbidden_one():
    _, (failure,) = knock(Net(), "private")
    assert not isinstance(failure, Forbidden)


def test_without_forbidden_networks_every_address_is_tried():
    assert knock(Net("127.0.0.1")) == (["127.0.0.1"], [])
