"""The MQTT client that targets and subscriptions share: when it is up, what it owes its owner, and its patience."""

from __future__ import annotations

import pytest

from iotgw.connect.mqtt_client import BrokerAccess, MqttClient
from iotgw.connect.mqtt_engines import engine_maker, holding
from iotgw.connect.mqtt_owner import ArrivalSource, Greeting, MqttOwner, Topics
from iotgw.connect.mqtt_probe import check
from iotgw.wire import mqtt
from tests.unit.connect.brokers import BYE, CONNACK, PINGREQ, Broker, publish


class Owner(MqttOwner):
    """Notes what it hears."""

    def __init__(self, topics: Topics = Topics()) -> None:  # noqa: B008
        self.topics = topics
        self.said: list[tuple] = []
        self.reader: ArrivalSource | None = None
        self.messages: list[mqtt.Arrived] = []

    def on_greeted(self, limits, reader):
        self.reader = reader
        return self.topics

    def on_up(self, limits):
        self.said.append(("up",))

    def on_acknowledged(self, numbers):
        self.said.append(("acknowledged", numbers))

    def on_refused(self, number, code, reason):
        self.said.append(("refused", number, reason))

    def on_lost(self, numbers, reason):
        self.said.append(("lost", numbers, reason))

    def on_message(self, message):
        self.messages.append(message)

    def on_unsubscribed(self, refused):
        self.said.append(("unsubscribed", refused))

    def on_trouble(self, reason):
        self.said.append(("trouble", reason))

    def hint(self, refused):
        return "try another name" if refused.code == 2 else ""


class World:
    def __init__(self, topics: Topics = Topics(), version: int = mqtt.V311, **greeting) -> None:  # noqa: B008
        self.broker = Broker()
        self.owner = Owner(topics)
        self.retries: list[int] = []

        def retry(failures: int) -> float:
            self.retries.append(failures)
            return 1.0

        way = BrokerAccess(self.broker, Greeting("me", **greeting), holding(version, set()), retry)
        self.client = MqttClient(self.broker.clock, way, self.owner)
        self.client.start()

    @property
    def wire(self):
        return self.broker.wire


def test_without_topics_it_is_up_when_the_broker_said_yes():
    world = World()
    assert world.wire.heard()[:1] == b"\x10" and world.client.up is None
    world.wire.say(CONNACK)
    assert world.owner.said == [("up",)] and world.client.up is not None


def test_with_topics_it_is_up_when_they_stand_and_hears_what_comes_before():
    world = World(Topics([("a/+", 1)]))
    subscribe = world.wire.say(CONNACK)
    assert subscribe == b"\x82\x08\x00\x01\x00\x03a/+\x01"
    world.wire.say(publish("a/b", b"kept", 7))
    assert [message.payload for message in world.owner.messages] == [b"kept"]
    assert world.owner.said == []
    world.wire.say(b"\x90\x03\x00\x01\x01")
    assert world.owner.said == [("up",)]


def test_a_topic_that_is_refused_ends_the_connection_and_backs_off():
    world = World(Topics([("a", 1), ("b", 1)]))
    world.wire.say(CONNACK)
    world.wire.say(b"\x90\x04\x00\x01\x01\x80")
    assert world.wire.disconnected
    assert world.owner.said == [("lost", [], "the broker refused the subscription to b")]
    assert world.retries == [1]


@pytest.mark.parametrize(
    ("version", "connack", "unsuback", "refused"),
    [
        (mqtt.V311, CONNACK, b"\xb0\x02\x00\x01", []),
        (mqtt.V5, b"\x20\x03\x00\x00\x00", b"\xb0\x05\x00\x01\x00\x00\x87", ["old/b"]),
    ],
)
def test_stale_topics_are_dropped_and_those_that_stay_are_told(version, connack, unsuback, refused):
    world = World(Topics([("a", 1)], ("old/a", "old/b")), version=version)
    assert world.wire.say(connack)[:1] == b"\xa2"
    world.wire.say(unsuback)
    assert world.owner.said == [("unsubscribed", refused)]


def test_a_refused_greeting_is_told_with_what_to_do():
    world = World()
    world.wire.say(b"\x20\x02\x00\x02")
    assert world.owner.said == [
        ("lost", [], "the broker refused: client identifier rejected. try another name")
    ]


def test_failures_in_a_row_are_counted_until_it_was_up():
    world = World()
    for _ in range(2):
        world.wire.say(b"\x20\x02\x00\x05")
        world.broker.wait(1)
    world.broker.is_there = False
    world.wire.lose()
    world.broker.wait(1)
    assert world.retries == [1, 2, 3, 4]
    world.broker.is_there = True
    world.broker.wait(1)
    world.wire.say(CONNACK)
    world.wire.lose()
    assert world.retries[-1] == 1


def test_what_was_published_and_not_acknowledged_is_handed_back():
    world = World()
    world.wire.say(CONNACK)
    world.client.up.publish([(n, b"t", b"x", b"") for n in (11, 12, 13)], 1, False)
    world.wire.say(b"\x40\x02\x00\x02")
    world.wire.lose()
    assert world.owner.said[1:2] == [("acknowledged", [12])]
    assert world.owner.said[2][:2] == ("lost", [11, 13]) and world.client.up is None


def test_qos_0_is_done_when_it_left_and_not_while_the_transport_is_full():
    world = World()
    world.wire.say(CONNACK)
    up = world.client.up
    up.publish([(1, b"t", b"x", b"")], 0, False)
    up.pauseProducing()
    up.publish([(2, b"t", b"x", b"")], 0, False)
    assert world.owner.said[1:] == [("acknowledged", [1])]
    up.resumeProducing()
    assert world.owner.said[2:] == [("acknowledged", [2])]


def test_acknowledgements_of_one_turn_leave_in_one_write_and_none_after_the_end():
    world = World()
    world.wire.say(CONNACK)
    world.wire.say(publish("t", b"1", 1) + publish("t", b"2", 2) + publish("t", b"3", 3, qos=2))
    assert world.wire.heard() == b""
    for message in world.owner.messages:
        world.owner.reader.acknowledge(message)
    assert world.wire.heard() == b""
    world.broker.clock.advance(0)
    assert world.wire.heard() == b"\x40\x02\x00\x01\x40\x02\x00\x02\x50\x02\x00\x03"
    late = world.owner.messages[0]
    world.wire.lose()
    world.owner.reader.acknowledge(late)
    world.broker.clock.advance(0)
    assert world.wire.heard() == b""


def test_goodbye_comes_after_the_last_acknowledgement():
    world = World()
    world.wire.say(CONNACK)
    world.wire.say(publish("t", b"1", 1))
    world.owner.reader.acknowledge(world.owner.messages[0])
    stopped = world.client.stop()
    assert world.wire.heard() == b"\x40\x02\x00\x01" + BYE
    assert stopped.called and world.broker.clock.getDelayedCalls()[1:] == []


def test_a_broker_that_says_nothing_is_left():
    world = World()
    world.broker.wait(15)
    assert not world.wire.disconnected
    world.broker.clock.advance(1)
    assert world.owner.said == [
        (
            "lost",
            [],
            "the broker accepted the connection but did not answer. The port may want TLS (mqtts://) or a WebSocket (ws://)",
        )
    ]


def test_a_quiet_connection_is_kept_up_by_pings_and_a_dead_one_is_left():
    world = World(keepalive=60)
    world.wire.say(CONNACK)
    world.broker.wait(46)
    assert world.wire.heard() == PINGREQ
    world.wire.say(b"\xd0\x00")
    world.broker.wait(46)
    assert world.wire.heard() == PINGREQ
    world.broker.wait(31)
    assert world.owner.said[1:] == [("lost", [], "the broker does not answer pings")]


def test_a_broker_that_acknowledges_nothing_is_left():
    world = World()
    world.wire.say(CONNACK)
    world.client.up.publish([(1, b"t", b"x", b"")], 1, False)
    world.broker.wait(31)
    assert world.owner.said[1:] == [("lost", [1], "the broker acknowledged nothing for 30 s")]


def test_answers_to_pings_and_messages_are_no_acknowledgements():
    world = World(keepalive=20)
    world.wire.say(CONNACK)
    world.client.up.publish([(1, b"t", b"x", b"")], 1, False)
    for _ in range(31):
        world.broker.wait(1)
        world.wire.say(b"\xd0\x00" + publish("t", b"1"))
    assert world.owner.said[1:] == [("lost", [1], "the broker acknowledged nothing for 30 s")]


def test_a_message_that_stays_unacknowledged_among_others_is_handed_back():
    world = World()
    world.wire.say(CONNACK)
    world.client.up.publish([(1, b"t", b"forgotten", b"")], 1, False)
    number = 1
    while len(world.owner.said) == 0 or world.owner.said[-1][0] != "lost":
        assert number < 200
        number += 1
        world.client.up.publish([(number, b"t", b"x", b"")], 1, False)
        world.wire.say(b"\x40\x02" + number.to_bytes(2, "big"))
        world.broker.wait(1)
    assert world.owner.said[-1] == (
        "lost", [1], "the broker left a message unacknowledged for 120 s"
    )  # fmt: skip
    assert 120 <= number <= 124


def test_silence_is_our_own_doing_while_we_do_not_read_and_pings_go_on():
    world = World(Topics([("a", 1)]), keepalive=60)
    world.wire.say(CONNACK)
    world.owner.reader.stop_reading()
    assert not world.wire.is_read
    world.wire.heard()
    world.broker.wait(300)
    assert not world.wire.disconnected
    assert world.wire.heard().count(PINGREQ) == 6
    world.owner.reader.start_reading()
    assert world.wire.is_read
    world.wire.say(b"\x90\x03\x00\x01\x01")
    assert world.owner.said == [("up",)]


def test_nothing_that_goes_wrong_while_reading_loses_what_is_in_flight():
    world = World()
    world.wire.say(CONNACK)
    world.client.up.publish([(1, b"t", b"x", b"")], 1, False)
    world.owner.on_message = lambda message: 1 / 0
    world.wire.say(publish("t", b"1", 1))
    (_, numbers, reason) = world.owner.said[-1]
    assert numbers == [1] and "could not be read: ZeroDivisionError" in reason


def test_stopping_while_it_connects_ends_it():
    world = World()
    assert world.client.stop().called
    assert world.wire.disconnected
    assert [call for call in world.broker.clock.getDelayedCalls() if call.active()] == []


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (CONNACK, {"ok": True, "detail": "connected and logged in", "untried": ["whether it may publish"]}),
        (
            b"\x20\x02\x00\x05",
            {
                "ok": False,
                "detail": "the broker refused: not authorized. Check username and password, and what the broker allows the client id 'me'",
                "untried": [],
            },
        ),
        (b"", {"ok": False, "detail": "no answer", "untried": []}),
    ],
)
def test_a_look_at_a_broker_tells_its_first_word_and_leaves(said, result):
    broker = Broker()
    way = BrokerAccess(broker, Greeting("me"), engine_maker("iotgw", mqtt.V311, 1), lambda failures: 100.0)
    results: list[dict] = []
    check(broker.clock, way, 10.0).addCallback(results.append)
    broker.wire.say(said)
    broker.wait(11)
    assert results == [result] and broker.wire.disconnected
    assert broker.clock.getDelayedCalls() == []
