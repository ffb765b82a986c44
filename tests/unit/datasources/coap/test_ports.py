"""A CoAP port that several datasources use."""

import socket

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.error import CannotListenError

from iotgw.core.errors import SettingsError
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options
from iotgw.wire.coap.site import Resource
from tests.peers.process import free_udp_port

HOST = "127.0.0.1"


def context(tenant="t"):
    return DatasourceContext("id", "name", tenant, "k", {}, None, reactor, None)


class House:
    """One gateway's ports; ``port`` is a number that is free."""

    def __init__(self):
        self.away = set()
        self.ports = CoapPorts(reactor, self.away.__contains__)
        self.port = free_udp_port()
        self.shares = []

    def open(self, *paths):
        share = self.ports.open(context(), HOST, self.port)
        self.shares.append(share)
        if paths:
            share.serve({path: Resource() for path in paths})
        return share

    def is_listening(self):
        """Whether somebody has the port: nobody else can bind it then."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            try:
                other.bind((HOST, self.port))
            except OSError:
                return True
        return False


@pytest.fixture
def house():
    made = House()
    yield made
    for share in made.shares:
        share.close()


@ensureDeferred
async def test_it_is_opened_for_the_first_and_closed_with_the_last(house):
    assert not house.is_listening()
    first, second = house.open(("a",)), house.open(("b",))
    assert first.port is second.port
    await first.close()
    await first.close()
    assert house.is_listening()
    assert ("a",) not in second.port.site and ("b",) in second.port.site
    await second.close()
    assert not house.is_listening()


@ensureDeferred
async def test_a_path_that_is_taken_is_named_and_nothing_of_the_second_is_served(house):
    house.open(("a",))
    second = house.open()
    with pytest.raises(SettingsError, match="/a is taken by another datasource"):
        second.serve({("new",): Resource(), ("a",): Resource()})
    assert ("new",) not in second.port.site
    await second.close()
    assert ("a",) in house.shares[0].port.site


@ensureDeferred
async def test_a_share_serves_once(house):
    with pytest.raises(RuntimeError):
        house.open(("a",)).serve({("b",): Resource()})


@ensureDeferred
async def test_a_port_that_somebody_else_has_leaves_nothing_behind(house):
    other = CoapPorts(reactor).open(context(), HOST, house.port)
    for _ in range(2):
        with pytest.raises(CannotListenError):
            house.open()
    await other.close()
    assert house.open().port.address[1] == house.port


class Exchange:
    def reply(self, message):
        self.message = message


@ensureDeferred
async def test_who_sends_to_a_datasource_that_is_not_open_now_is_told_to_come_back(house):
    site = house.open(("a",)).port.site
    house.away.add("k")
    resource, _ = site.find(("prefix", "i", "k"))
    exchange = Exchange()
    resource.render(None, exchange)
    assert exchange.message.code == n.SERVICE_UNAVAILABLE
    assert exchange.message.options.get_uint(n.MAX_AGE) == 10
    assert site.find(("i", "another")) is None
    assert site.find(("k",)) is None


@ensureDeferred
async def test_so_is_one_that_writes_its_path_into_one_option(house):
    port = house.open(("a",)).port
    house.away.add("k")
    sent = []
    port.endpoint.send = lambda data, remote: sent.append(decode(data))
    for mid, path in enumerate(("i/k", "i/another")):
        request = encode(n.CON, n.POST, mid, b"t", options((n.URI_PATH, path)))
        port.endpoint.datagram(request, (HOST, 1), 0.0)
    assert [answer.code for answer in sent] == [n.SERVICE_UNAVAILABLE, n.NOT_FOUND]
