"""Commands that come to an MQTT target: acknowledged when they are durable, with either engine."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from iotgw.core.ports.integrations import QUEUED, Queued
from iotgw.core.validate import convert
from iotgw.integrations.mqtt import MqttSettings, MqttTarget
from iotgw.testing import integration_context
from iotgw.testing.connector import FakeConnector
from tests.unit.connect.brokers import CONNACK, publish

PUBACK_OF_7 = b"\x40\x02\x00\x07"


class World:
    def __init__(self, engine):
        self.clock = Clock()
        self.says = None
        self.queued = []
        self.open = []
        connector = FakeConnector()
        settings = convert({"host": "b", "commandTopic": "to/+/down", "engine": engine}, MqttSettings)
        context = integration_context(reactor=self.clock, downlink=self._queue)
        self.target = MqttTarget(settings, context, connector)
        self.target.start()
        (self.endpoint,) = connector.endpoints.values()
        self.wire = self.connect()

    def _queue(self, tenant, device, item):
        self.queued.append((device, item.get("msg")))
        if self.says is not None:
            return succeed(self.says)
        self.open.append(Deferred())
        return self.open[-1]

    def connect(self):
        self.wire = self.endpoint.accept()
        self.hear(CONNACK)
        return self.wire

    def hear(self, data):
        self.wire.clear()
        self.wire.protocol.dataReceived(data)

    def said(self):
        self.clock.advance(0)
        said = self.wire.value()
        self.wire.clear()
        return said


@pytest.fixture(params=["iotgw", "paho"])
def world(request):
    return World(request.param)


def test_a_command_is_acknowledged_when_it_is_durable(world):
    world.hear(publish("to/d1/down", b'{"msg": 5}', 7))
    assert world.queued == [("d1", 5)] and world.said() == b""
    world.open.pop().callback(QUEUED)
    assert world.said() == PUBACK_OF_7


def test_a_command_that_is_refused_for_good_is_acknowledged(world):
    world.says = Queued("too many wait")
    world.hear(publish("to/d1/down", b'{"msg": 5}', 7))
    assert world.said() == PUBACK_OF_7


def test_a_command_that_can_not_be_stored_is_not_acknowledged_until_it_is(world):
    world.says = Queued("the disk is full", is_final=False)
    world.hear(publish("to/d1/down", b'{"msg": 5}', 7))
    world.clock.pump([1.0] * 5)
    assert PUBACK_OF_7 not in world.said()
    assert "the disk is full" in world.target.status()["lastError"]
    world.says = QUEUED
    world.clock.pump([1.0] * 10)
    assert PUBACK_OF_7 in world.said() and world.target.status()["lastError"] is None


def test_a_command_of_an_earlier_connection_is_acknowledged_on_no_other(world):
    world.hear(publish("to/d1/down", b'{"msg": 5}', 7))
    world.wire.protocol.connectionLost(Failure(ConnectionLost()))
    while not world.endpoint.attempts:
        world.clock.advance(1.0)
    world.connect()
    world.open.pop().callback(QUEUED)
    assert PUBACK_OF_7 not in world.said()
