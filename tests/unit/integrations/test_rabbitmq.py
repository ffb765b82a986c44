"""A RabbitMQ target over a channel in a test's hands: whose confirmation is whose."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from iotgw import testing
from iotgw.core.verdict import Delivered, Retry, Unavailable
from iotgw.integrations.rabbitmq import RabbitSettings, RabbitType
from iotgw.testing import Verdicts, telemetry


class Channel:
    """Notes what is published, and confirms when a test says so."""

    is_open = True

    def __init__(self):
        self.published = []

    def add_on_return_callback(self, callback):
        self.give_back = callback

    def confirm_delivery(self, confirmed, callback):
        self.confirmed = confirmed
        callback(None)

    def basic_publish(self, exchange, key, body, properties, mandatory):
        self.published.append((key, properties))

    def ack(self, tag, multiple=False, name="Basic.Ack"):
        self.confirmed(
            SimpleNamespace(method=SimpleNamespace(NAME=name, delivery_tag=tag, multiple=multiple))
        )

    def returned(self, number):
        method = SimpleNamespace(reply_text="NO_ROUTE")
        self.give_back(self, method, self.published[number][1], b"")


class Bench:
    def __init__(self):
        made = RabbitType(testing.MemoryReactor(), connector=testing.FakeConnector())
        self.target = made.build(RabbitSettings(host="h"), testing.integration_context())
        self.connect()

    def connect(self):
        self.channel, ready = Channel(), []
        self.target.set_up(self.channel, lambda: ready.append(True))
        assert ready
        self.target._client.channel = self.channel
        self.target.on_up()

    def send(self, *seqs):
        verdicts = Verdicts()
        self.target.send([telemetry(seq, f"d.{seq}", received_ms=1) for seq in seqs], verdicts)
        return verdicts


@pytest.fixture
def bench():
    return Bench()


def test_a_confirmation_of_several_is_for_all_of_them(bench):
    verdicts = bench.send(1, 2, 3)
    bench.channel.ack(2, multiple=True)
    assert set(verdicts.of) == {1, 2}
    bench.channel.ack(3)
    assert set(verdicts.of) == {1, 2, 3}
    assert bench.target.status()["unconfirmed"] == 0


def test_of_several_that_are_confirmed_together_only_the_returned_one_is_refused(bench):
    verdicts = bench.send(1, 2, 3)
    bench.channel.returned(1)
    bench.channel.ack(3, multiple=True)
    assert verdicts.of == {1: Delivered(), 2: Retry("no queue takes it: NO_ROUTE"), 3: Delivered()}


def test_a_refusal_is_for_the_messages_that_it_names(bench):
    verdicts = bench.send(1, 2)
    bench.channel.ack(1, name="Basic.Nack")
    bench.channel.ack(2)
    assert isinstance(verdicts.of[1], Retry)
    assert verdicts.of[2] == Delivered()


def test_a_confirmation_of_nothing_is_nothing(bench):
    verdicts = bench.send(1)
    bench.channel.ack(7)
    assert verdicts.of == {}


def test_what_was_not_confirmed_goes_back_when_the_connection_ends_and_tags_begin_anew(bench):
    verdicts = bench.send(1, 2)
    bench.target.on_lost("gone")
    assert verdicts.of == {1: Unavailable("gone"), 2: Unavailable("gone")}
    bench.connect()
    again = bench.send(1)
    bench.channel.ack(1)
    assert again.of == {1: Delivered()}


def test_nothing_is_sent_to_a_blocked_broker(bench):
    bench.target.on_blocked("the broker is blocked: low on memory")
    assert bench.send(1).of == {1: Unavailable("the broker is blocked: low on memory")}
    bench.target.on_blocked("")
    assert bench.send(2).of == {}


def test_values_in_a_routing_key_make_no_parts_of_it(bench):
    bench.send(1)
    assert bench.channel.published[0][0] == "iotgw.d_1"


def test_what_the_broker_says_of_many_messages_is_no_message_without_an_end(bench):
    connection = bench.target._client._connection = SimpleNamespace(received=0)
    bench.send(1, 2)
    for said in (lambda: bench.channel.returned(0), lambda: bench.channel.ack(1)):
        connection.received = 1 << 20
        said()
        assert connection.received == 0
