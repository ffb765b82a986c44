"""A RabbitMQ datasource over a channel in a test's hands: what it acknowledges."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from iotgw import testing
from iotgw.core.model import Status
from iotgw.datasources.rabbitmq.datasource import RabbitSourceType
from iotgw.datasources.rabbitmq.settings import RabbitSourceSettings


class Channel:
    """A channel whose broker agrees to everything."""

    is_open = True

    def __init__(self):
        self.did = []
        self.acknowledged = []

    def __getattr__(self, name):
        def call(*args, callback, **more):
            self.did.append(name)
            callback(None)

        return call

    def add_on_cancel_callback(self, callback):
        self.cancel = callback

    def basic_consume(self, queue, message, callback):
        self.message = message
        callback(None)

    def basic_ack(self, tag, multiple):
        assert multiple
        self.acknowledged.append(tag)


class Field:
    def __init__(self, **settings):
        self.clock = testing.MemoryReactor()
        self.intake = testing.FakeIntake(clock=self.clock)
        made = RabbitSourceSettings(host="h", queue="q", **settings)
        context = testing.datasource_context(self.intake, self.clock)
        self.source = RabbitSourceType(self.clock, testing.FakeConnector()).build(made, context)
        self.connect()

    def connect(self):
        self.channel, ready = Channel(), []
        self.source.set_up(self.channel, lambda: ready.append(True))
        assert ready
        self.source._client.channel = self.channel
        self.source.on_up()

    def come(self, tag, body=b"x", key="a.b", **properties):
        properties = {
            name: properties.get(name)
            for name in ("message_id", "content_type", "app_id", "correlation_id", "timestamp", "headers")
        }
        method = SimpleNamespace(delivery_tag=tag, routing_key=key, exchange="e", redelivered=False)
        self.channel.message(self.channel, method, SimpleNamespace(**properties), body)

    def turn(self):
        self.clock.advance(0)
        return self.channel.acknowledged


@pytest.fixture
def field():
    return Field()


def test_many_messages_are_acknowledged_at_once(field):
    for tag in (1, 2, 3):
        field.come(tag)
    assert field.turn() == [3]


def test_only_the_durable_prefix_is_acknowledged(field):
    field.intake.auto = False
    for tag in (1, 2, 3):
        field.come(tag)
    field.intake.answer(0)
    field.intake.answer(2)
    assert field.turn() == [1]
    field.intake.answer(1)
    assert field.turn() == [1, 3]


def test_what_an_earlier_connection_brought_is_not_acknowledged_on_the_next(field):
    field.intake.auto = False
    field.come(1)
    field.source.on_lost("gone")
    field.connect()
    field.intake.answer(0)
    assert field.turn() == []


def test_a_message_that_the_journal_refused_is_not_acknowledged(field):
    field.intake.auto = False
    field.come(1)
    field.intake.answer(0, Status.BUSY)
    assert field.turn() == []
    assert field.source.status()["waitsForRoom"] is True


def test_a_message_with_an_id_is_known_when_it_comes_again_but_not_by_its_id_alone(field):
    field.come(1, b"x", message_id="same")
    field.come(2, b"y", message_id="same")
    field.come(3, b"x", message_id="same")
    field.come(4, b"x")
    field.come(5, b"x")
    assert [payload for payload, _ in field.intake.received] == [b"x", b"y", b"x", b"x"]
    assert field.turn() == [5]


def test_headers_are_in_the_metadata_but_for_secrets():
    field = Field(device_header="id")
    field.come(1, headers={"id": 7, "table": {"list": ["61", None, 1.5]}, "api-key": "s"})
    facts = field.intake.received[0][1]
    assert facts["device"] == "7"
    assert facts["Header:table"] == {"list": ["61", None, 1.5]}
    assert "Header:api-key" not in facts


def test_a_queue_is_declared_and_bound_before_it_is_read():
    field = Field(declare=True)
    assert field.channel.did == ["queue_declare", "basic_qos"]


def test_a_broker_that_says_the_same_again_and_again_is_told_once(field):
    for _ in range(3):
        field.source.on_lost("no route")
    assert [kind for kind, _ in field.intake.events] == ["connected", "failed"]


def test_whatever_a_publisher_writes_is_metadata_that_can_be_kept(field):
    """What is no UTF-8 comes from the library as bytes."""
    field.come(1, key=b"\xff.b", message_id=b"\xff", content_type=b"\xfe", timestamp=2**64 - 1)
    ((_, facts),) = field.intake.received
    assert msgspec.json.decode(msgspec.json.encode(facts)) == facts
    assert (facts["routingKey"], facts["messageId"], facts["contentType"]) == ("ff2e62", "ff", "fe")
    assert "timestamp" not in facts
    assert field.turn() == [1]
