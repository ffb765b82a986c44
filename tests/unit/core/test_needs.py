"""What can't be had twice."""

import pytest

from iotgw.core.needs import HttpMount, TcpPort, UdpPort, collide

LOOPBACK, ALL, ALL_V6 = "127.0.0.1", "0.0.0.0", "::"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (UdpPort(LOOPBACK, 5), UdpPort(LOOPBACK, 5)),
        (UdpPort(LOOPBACK, 5), UdpPort(ALL, 5)),
        (UdpPort("::1", 5), UdpPort(ALL_V6, 5)),
        (UdpPort(LOOPBACK, 5, "coap"), UdpPort(LOOPBACK, 5, "coaps")),
        (UdpPort(LOOPBACK, 5, "coap"), UdpPort(LOOPBACK, 5)),
        (UdpPort(LOOPBACK, 5, "coap"), UdpPort(ALL, 5, "coap")),
        (TcpPort(LOOPBACK, 5), TcpPort(LOOPBACK, 5)),
        (TcpPort("", 5), TcpPort(LOOPBACK, 5)),
        (TcpPort("fe80::1%eth0", 5), TcpPort(ALL_V6, 5)),
        (TcpPort("a name", 5), TcpPort("a name", 5)),
        (HttpMount(("i", "k")), HttpMount(("i", "k"))),
        (HttpMount(("acme",)), HttpMount(("acme", "hook"))),
    ],
)
def test_these_collide_whichever_comes_first(one, other):
    assert collide(one, other) and collide(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (UdpPort(LOOPBACK, 5, "coap"), UdpPort(LOOPBACK, 5, "coap")),
        (UdpPort(LOOPBACK, 5), UdpPort(LOOPBACK, 6)),
        (UdpPort(LOOPBACK, 0), UdpPort(LOOPBACK, 0)),
        (UdpPort(LOOPBACK, 5), UdpPort("127.0.0.2", 5)),
        (UdpPort(LOOPBACK, 5), UdpPort(ALL_V6, 5)),
        (UdpPort(LOOPBACK, 5), TcpPort(LOOPBACK, 5)),
        (TcpPort("a name", 5), TcpPort(ALL, 5)),
        (HttpMount(("i", "k")), HttpMount(("i", "k2"))),
        (HttpMount(("i", "k")), TcpPort(LOOPBACK, 5)),
    ],
)
def test_these_are_had_side_by_side(one, other):
    assert not collide(one, other) and not collide(other, one)


def test_each_says_what_it_is():
    assert str(UdpPort(ALL, 5683, "coap")) == "UDP port 5683 on 0.0.0.0"
    assert str(TcpPort(ALL_V6, 80)) == "TCP port 80 on ::"
    assert str(HttpMount(("i", "k"))) == "/i/k on the API's listener"
