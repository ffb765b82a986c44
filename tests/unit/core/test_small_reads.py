"""How much is read of a connection at a time, whatever stands on it."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from iotgw.connect import http_pool, mqtt_connection, websocket
from iotgw.connect.http_auth import OneWay
from iotgw.core.small_reads import read_at_most
from iotgw.testing import FakeConnector, MemoryReactor


def test_the_connection_itself_is_read_a_little_at_a_time_below_all_that_stands_on_it():
    tcp = StringTransport()
    tls = SimpleNamespace(transport=tcp)
    read_at_most(SimpleNamespace(transport=tls), 16384)
    assert tcp.bufferSize == 16384
    assert not hasattr(tls, "bufferSize")


def test_who_asks_for_least_is_heard():
    tcp = StringTransport()
    for size in (2048, 16384):
        read_at_most(tcp, size)
    assert tcp.bufferSize == 2048


def test_a_websocket_is_read_two_kilobytes_at_a_time_as_its_frames_may_have_two_bytes():
    way = FakeConnector().endpoint("h", 443, 1.0)
    made = websocket.over(way, MemoryReactor(), "h:443", "/mqtt", True, "configuration.path")
    made.connect(Factory.forProtocol(Protocol))
    assert way.accept().bufferSize == websocket.ONE_READ < mqtt_connection.ONE_READ


def test_an_http_server_s_answers_are_read_a_little_at_a_time_also_those_with_tokens():
    way = FakeConnector().endpoint("h", 80, 1.0)
    OneWay(way).endpointForURI(None).connect(Factory.forProtocol(Protocol))
    assert way.accept().bufferSize == http_pool.ONE_READ
