"""An MQTT subscription against a broker in memory: what becomes durable, and what leaves for devices."""

from __future__ import annotations

import json

import pytest

from iotgw.core.model import Downlink, Status
from iotgw.datasources.mqtt.settings import MqttSourceSettings
from iotgw.datasources.mqtt.source_type import MqttSourceType
from iotgw.datasources.pieces import PIECE
from iotgw.envelopes.envelope import Command, Envelope, Malformed, Reading
from tests.unit.connect.brokers import CONNACK, CONNACK_WITH_SESSION, Broker, publish
from tests.unit.datasources.fakes import FakeIntake, context

SUBACK = b"\x90\x03\x00\x01\x01"


class OneWay:
    """A connector whose every endpoint is the broker."""

    forbid = ()

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def endpoint(self, *args, **more):
        return self._broker


class Field:
    def __init__(self, type_=MqttSourceType, shares=None, **settings) -> None:
        self.broker = Broker()
        self.intake = FakeIntake()
        made = type_(self.broker.clock, OneWay(self.broker))
        configuration = made.settings(**{"host": "h", "topics": ["#"], **settings})
        self.source = made.build(configuration, context(self.intake, self.broker.clock, shares=shares))
        self.source.start()

    @property
    def wire(self):
        return self.broker.wire

    def up(self, connack: bytes = CONNACK) -> None:
        self.wire.say(connack)
        self.wire.say(SUBACK)
        assert self.source.is_connected
        self.wire.heard()

    def again(self, connack: bytes = CONNACK_WITH_SESSION) -> None:
        """The connection breaks, and another one is made."""
        self.wire.lose()
        self.broker.wait(5)
        self.up(connack)

    def turn(self) -> bytes:
        """What the datasource says in one turn of the reactor."""
        self.broker.clock.advance(0)
        return self.wire.heard()

    @property
    def payloads(self) -> list[bytes]:
        return [payload for payload, _ in self.intake.received]


def test_a_message_is_acknowledged_when_it_is_durable_and_not_before():
    field = Field()
    field.intake.auto = False
    field.up()
    field.wire.say(publish("a", b"x", 7))
    assert field.turn() == b""
    field.intake.answer(0)
    assert field.turn() == b"\x40\x02\x00\x07"


def test_a_message_that_was_answered_after_its_connection_ended_is_acknowledged_to_nobody():
    field = Field()
    field.intake.auto = False
    field.up()
    field.wire.say(publish("a", b"x", 7))
    field.again()
    field.intake.answer(0)
    assert field.turn() == b""


def test_a_qos_2_message_that_comes_again_while_it_is_being_stored_is_the_same():
    field = Field()
    field.intake.auto = False
    field.up()
    field.wire.say(publish("a", b"x", 7, qos=2))
    field.again()
    field.wire.say(publish("a", b"x", 7, qos=2, duplicate=True))
    assert field.payloads == [b"x"]
    field.intake.answer(0)
    assert field.turn() == b"\x50\x02\x00\x07"


def test_a_qos_2_message_that_was_stored_while_away_is_known_when_it_comes_again():
    field = Field()
    field.intake.auto = False
    field.up()
    field.wire.say(publish("a", b"x", 7, qos=2))
    field.wire.lose()
    field.intake.answer(0)
    field.broker.wait(5)
    field.up(CONNACK_WITH_SESSION)
    assert field.wire.say(publish("a", b"x", 7, qos=2, duplicate=True)) == b"\x50\x02\x00\x07"
    assert field.payloads == [b"x"]


def test_an_answer_that_comes_after_the_broker_forgot_the_session_hides_no_new_message():
    field = Field()
    field.intake.auto = False
    field.up()
    field.wire.say(publish("a", b"old", 7, qos=2))
    field.again(CONNACK)
    field.intake.answer(0)
    field.wire.say(publish("a", b"new", 7, qos=2))
    assert field.payloads == [b"old", b"new"]


@pytest.mark.parametrize(("clean", "kept"), [(None, [b"1"]), (True, [b"1", b"2"])])
def test_what_waits_for_room_is_the_broker_s_to_bring_again_if_it_keeps_it(clean, kept):
    field = Field(clean_session=clean)
    field.up()
    field.wire.say(publish("a", b"1", 1))
    field.intake.fill()
    field.wire.say(publish("a", b"2", 2))
    assert not field.wire.is_read
    field.wire.lose()
    field.intake.drain()
    assert field.payloads == kept


def test_a_group_that_the_journal_refused_comes_again_in_its_order():
    field = Field()
    field.intake.auto = False
    field.up()
    field.wire.say(b"".join(publish("a", b"%d" % n, n) for n in (1, 2, 3)))
    for n in range(3):
        field.intake.answer(n, Status.BUSY)
    assert not field.wire.is_read
    field.broker.wait(2)
    assert field.payloads == [b"1", b"2", b"3"] * 2 and field.wire.is_read


@pytest.mark.parametrize(
    ("settings", "fact"),
    [
        ({}, {}),
        ({"identity_level": 2}, {"device": "d1"}),
        ({"identity_level": 9}, {}),
        ({"identity_level": 2, "downlink_topic": "x"}, {"identity": "d1"}),
        ({"preset": "lobaro"}, {"device": "70b3"}),
        ({"preset": "lobaro", "identity_level": 1}, {"device": "LOB"}),
    ],
)
def test_who_a_message_is_of(settings, fact):
    field = Field(**settings)
    field.up()
    topic = "LOB/70b3/up/data" if "preset" in settings else "a/d1"
    field.wire.say(publish(topic, b'{"n": 1}', 1))
    facts = field.intake.received[0][1]
    assert {name: facts[name] for name in ("identity", "device") if name in facts} == fact


def test_an_envelope_of_a_vendor_reads_and_writes():
    class Shouting(Envelope):
        def read(self, data, facts, now_ms):
            if data == b"?":
                return [Malformed(data, "no word")]
            return [Reading(data.upper(), {"at": now_ms}, "loud")]

        def write(self, item, identity):
            if not item.payload:
                raise ValueError("nothing to shout")
            return Command(item.payload.lower() + identity.encode())

    class ShoutingType(MqttSourceType):
        def envelope(self, settings):
            return Shouting()

    field = Field(ShoutingType, downlink_topic="to/{identity}")
    field.up()
    field.wire.say(publish("a", b"hi", 1) + publish("a", b"?", 2))
    (_, first), (_, second) = field.intake.received
    assert (field.payloads[0], first["identity"], first["at"]) == (b"HI", "loud", 0)
    assert second["rejected"] == "no word" and field.source.counts["faults"] == 1
    assert field.turn() == b"\x40\x02\x00\x01\x40\x02\x00\x02"
    field.source.push(first, (Downlink("1", "loud", b"YES"), Downlink("2", "loud", b"")))
    assert field.wire.heard().endswith(b"yesloud")
    assert field.intake.outcomes == [("1", "sent"), ("2", "refused: nothing to shout")]


def test_a_device_of_chirpstack_is_told_by_a_level_of_its_topic_and_gets_its_downlinks_at_another():
    field = Field(identity_level=4, downlink_topic="application/app-1/device/{identity}/command/down")
    field.up()
    field.wire.say(publish("application/app-1/device/70b3d57ed0000017/event/up", b"{}", 1))
    (_, facts) = field.intake.received[0]
    field.turn()
    command = b'{"devEui":"70b3d57ed0000017","fPort":10,"data":"AQ=="}'
    field.source.push(facts, (Downlink("1", "70b3d57ed0000017", command),))
    sent = field.wire.heard()
    assert b"application/app-1/device/70b3d57ed0000017/command/down" in sent and sent.endswith(command)


def downlink(payload: bytes = b"x", **metadata) -> tuple[Downlink, ...]:
    return (Downlink("1", "d1", payload, metadata=metadata),)


@pytest.mark.parametrize(
    ("settings", "sent", "problem"),
    [
        (
            {"downlink_topic": "a/{identity}"},
            downlink(topic="a/#"),
            "expected a topic for downlinks, got 'a/#'",
        ),
        ({"downlink_topic": "a"}, downlink(topic="a\x01"), "expected a topic for downlinks, got 'a\\x01'"),
        (
            {"downlink_topic": "a"},
            downlink(topic="a\ud800"),
            "expected a topic for downlinks, got 'a\\ud800'",
        ),
        ({"downlink_topic": "a"}, downlink(topic="x" * 65536), "at most 65535 bytes, got 65536"),
    ],
)
def test_a_downlink_that_can_not_be_published_is_told_of(settings, sent, problem):
    field = Field(**settings)
    field.up()
    field.source.push({"identity": "d1"}, sent)
    assert field.intake.outcomes[0][1].startswith("lost: ") and problem in field.intake.outcomes[0][1]


def test_downlinks_keep_to_the_broker_s_limits():
    field = Field(version="5", downlink_topic="a", downlink_qos=2)
    # receive maximum 1, maximum QoS 1, packets of at most 100 bytes
    connack = b"\x20\x0d\x00\x00\x0a\x21\x00\x01\x24\x01\x27\x00\x00\x00\x64"
    field.wire.say(connack)
    field.wire.say(b"\x90\x04\x00\x01\x00\x01")
    field.wire.heard()
    field.source.push({}, downlink(bytes(100)))
    field.source.push({}, downlink())
    assert field.wire.heard()[0] == 0x32
    field.source.push({}, downlink())
    assert [said for _, said in field.intake.outcomes] == [
        "lost: 100 bytes; the broker takes packets of 100", "sent", "lost: the broker accepts no more unacknowledged messages",
    ]  # fmt: skip


def test_a_downlink_is_delivered_when_the_broker_has_it_and_lost_with_the_connection():
    field = Field(downlink_topic="a")
    field.up()
    field.source.push({}, downlink())
    field.wire.say(b"\x40\x02\x00\x02")
    field.source.push({}, downlink())
    field.wire.lose()
    field.source.push({}, downlink())
    said = [said for _, said in field.intake.outcomes]
    assert said[:3] == ["sent", "delivered", "sent"]
    assert (
        said[3].startswith("lost: the connection was lost") and said[4] == "lost: the broker is not connected"
    )


def test_a_broker_that_is_away_is_told_of_once_and_found_again():
    field = Field()
    field.broker.is_there = False
    field.up()
    field.wire.lose()
    field.broker.wait(60)
    field.broker.is_there = True
    while len(field.broker.wires) == 1:
        field.broker.wait(1)
    field.up()
    kinds = [kind for kind, _ in field.intake.events]
    assert kinds == ["connected", "failed", "failed", "session-lost", "connected"]
    assert field.source.status()["state"] == "connected" and "lastError" not in field.source.status()


def test_stopping_leaves_nothing_behind():
    field = Field()
    field.intake.fill()
    field.up()
    field.wire.say(publish("a", b"x", 1))
    assert field.source.stop().called
    assert field.wire.disconnected and field.broker.clock.getDelayedCalls() == []
    assert [kind for kind, _ in field.intake.events] == ["connected"]


def test_settings_know_their_broker():
    assert MqttSourceSettings(host="h", topics=["#"]).broker.place == "h:1883"


MANY = json.dumps([{"devEui": f"{n:016x}", "fCntUp": n, "payload": "00"} for n in range(250)]).encode()
MANY_TOPIC = "sensor/a/b/payload"


def test_a_message_of_many_parts_is_handed_over_some_at_a_time_and_what_comes_behind_it_waits():
    field = Field(preset="netmore", clean_session=True)
    field.up()
    field.wire.say(publish(MANY_TOPIC, MANY, 7))
    behind = json.dumps({"devEui": "00000000000000ff", "fCntUp": 250, "payload": "00"}).encode()
    field.wire.say(publish(MANY_TOPIC, behind, 8))
    assert len(field.payloads) == PIECE and not field.wire.is_read
    after_a_turn = []
    field.broker.clock.callLater(0, lambda: after_a_turn.append(len(field.payloads)))
    assert field.turn() == b"\x40\x02\x00\x07\x40\x02\x00\x08"
    assert after_a_turn == [2 * PIECE]
    assert [json.loads(each)["fCntUp"] for each in field.payloads] == [*range(251)]
    assert field.wire.is_read


@pytest.mark.parametrize(("qos", "handed_over"), [(0, 250), (1, PIECE)])
def test_when_the_connection_ends_the_rest_of_a_message_is_dropped_if_it_comes_again(qos, handed_over):
    field = Field(preset="netmore")
    field.up(CONNACK_WITH_SESSION)
    field.wire.say(publish(MANY_TOPIC, MANY, 7, qos=qos))
    field.wire.lose()
    field.broker.clock.advance(0)
    assert len(field.payloads) == handed_over
