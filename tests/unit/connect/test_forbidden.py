"""Which addresses an operator's ``forbid`` means, and that they are judged after the name is resolved."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from iotgw.connect.endpoint import Connector
from iotgw.connect.forbidden import Forbidden, effective, is_forbidden, networks
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
    with pytest.raises(SettingsError, match="expected loopback, link-local, private, metadata or a network"):
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


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "192.0.2.1", "::1", "2001:db8::1"])
def test_by_default_every_other_address_is_tried(address):
    assert knock(Net(address)) == ([address], [])


METADATA = [
    "169.254.169.254", "169.254.170.2", "169.254.0.23", "169.254.42.42", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42", "fd00:a9fe:a9fe::1",
    "fd00:100::100:200", "fe80::a9fe:a9fe", "fe80::1%eth0",
]  # fmt: skip
DISGUISED = [
    "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::169.254.169.254", "::ffff:0:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b::100.100.100.200", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:0a9:fe:a9fe:0:0",
    "64:ff9b:1:0:a9:fea9:fe00:0", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "2001:0:1:2:3:4:5601:5601",
    "2001:db8::5efe:a9fe:a9fe", "2001:db8::200:5efe:a9fe:a9fe",
]  # fmt: skip


@pytest.mark.parametrize("address", METADATA + DISGUISED)
def test_link_local_and_metadata_addresses_are_forbidden_by_default(address):
    tried, (failure,) = knock(Net(address))
    assert (tried, type(failure)) == ([], Forbidden)


@pytest.mark.parametrize(
    ("allow", "allowed", "forbidden"),
    [
        (["link-local"], ["169.254.169.254", "fe80::1"], ["100.100.100.200", "fd00:ec2::254"]),
        (["metadata"], ["100.100.100.200", "fd00:ec2::254", "168.63.129.16"], ["169.254.169.254", "fe80::1"]),
        (["link-local", "metadata"], METADATA, []),
        (["169.254.7.1"], ["169.254.7.1", "::ffff:169.254.7.1"], ["169.254.7.2", "169.254.169.254"]),
        (["0.0.0.0/0", "::/0"], METADATA + DISGUISED, []),
        (["fd00::/8"], ["fd00:ec2::254", "fd20:ce::254"], ["fe80::1"]),
    ],
)
def test_an_operator_lifts_what_he_names(allow, allowed, forbidden):
    found = effective([], allow)
    assert [address for address in allowed if is_forbidden(address, found)] == []
    assert [address for address in forbidden if not is_forbidden(address, found)] == []


def test_an_exception_holds_within_what_the_operator_forbids_too():
    found = effective(["private", "loopback"], ["10.1.2.0/24"])
    assert [is_forbidden(each, found) for each in ("10.1.2.3", "10.1.3.3", "127.0.0.1")] == [
        False,
        True,
        True,
    ]


def test_a_wrong_exception_is_refused_with_its_setting():
    with pytest.raises(SettingsError, match=r"expected .* or a network") as caught:
        Connector(Net(), [], ["everything"])
    assert caught.value.path == "allow"


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "169.16689662",
                                  "::ffff:a9fe:a9fe", "169.254.169.254", "fe80::1"])  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_an_address_in_another_spelling_is_judged_by_what_the_system_makes_of_it(host):
    from twisted.internet import reactor

    endpoint = Connector(reactor).endpoint(host, 80, 10.0)
    with pytest.raises(Forbidden):
        await endpoint.connect(Factory.forProtocol(Protocol))
