"""What a message at a broker means: several uplinks, receipts, whose it is; and when it is acknowledged."""

from __future__ import annotations

import json
from pathlib import Path

import cbor2
import msgspec
import pytest
from twisted.internet.defer import Deferred, fail

from iotgw.core.model import Status
from iotgw.datasources.mqtt.arrivals import Arrivals, Era
from iotgw.datasources.mqtt.datasource import MqttDatasource
from iotgw.datasources.mqtt.settings import MqttSourceSettings
from iotgw.envelopes.dragino import DraginoEnvelope
from iotgw.wire.mqtt import Arrived
from tests.unit.datasources.fakes import FakeIntake, clock, context
from tests.unit.datasources.platform import Platform

VECTORS = json.loads((Path(__file__).parents[3] / "data" / "dragino.json").read_text())
NDDS75 = next(vector["hex"] for vector in VECTORS if vector["name"].startswith("D3"))


class Broker:
    """The connection that a message came on."""

    def __init__(self):
        self.acknowledged = []

    def acknowledge(self, arrived):
        self.acknowledged.append(arrived.id)

    def stop_reading(self):
        pass

    def start_reading(self):
        pass


class Field:
    def __init__(self, envelope=None, **settings):
        self.intake = FakeIntake()
        self.clock = clock()
        settings = msgspec.convert({"host": "broker", "topics": ["#"], **settings}, MqttSourceSettings)
        envelope = envelope or settings.envelope()
        self.source = MqttDatasource(settings, context(self.intake, self.clock), None, envelope)
        self.broker = Broker()
        self.sent = []
        self.said = []
        self.source._arrivals = Arrivals(
            self.intake, self.clock, self.broker, Era(), lambda *sent: self.sent.append(sent),
            lambda *said: self.said.append(said),
            self.source.counts, None, is_kept=True, listens=self.source.can_push,
        )  # fmt: skip

    def bring(self, payload, topic="devices/7/up", qos=1, id=1):
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.source.on_message(Arrived(topic, data, qos, False, id))

    @property
    def whose(self):
        return [
            {key: facts[key] for key in ("identity", "device") if key in facts}
            for _, facts in self.intake.received
        ]


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_with_several_uplinks_is_acknowledged_when_all_are_durable(qos):
    field = Field(Platform(), downlinkTopic="down/{identity}")
    field.intake.auto = False
    field.bring([{"device": "a", "data": "1"}, {"device": "b", "data": "2"}], qos=qos)
    assert field.whose == [{"identity": "a"}, {"identity": "b"}]
    field.intake.put("a", b"\x01")
    field.intake.answer(1)
    assert field.broker.acknowledged == []
    field.intake.answer(0)
    assert field.broker.acknowledged == [1]
    ((identity, topic, items),) = field.sent
    assert (identity, topic, items[0].payload) == ("a", "devices/7/up", b"\x01")


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_with_nothing_for_converters_is_acknowledged_at_once(qos):
    field = Field(Platform())
    field.intake.known = {"item"}
    field.bring([{"receipt": "item", "ok": True}, {"receipt": "nobody's", "ok": True}, {"join": 1}], qos=qos)
    assert field.broker.acknowledged == [1] and field.intake.received == []
    assert field.intake.outcomes == [("item", "confirmed"), ("nobody's", "confirmed")]
    assert (field.source.counts["unknownReceipts"], field.source.counts["joins"]) == (1, 1)


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_is_acknowledged_when_its_receipt_is_durable_which_is_tried_until_it_is(qos, monkeypatch):
    field = Field(Platform())
    said = [fail(OSError("the disk is full")), written := Deferred()]
    monkeypatch.setattr(field.intake, "downlink_confirmed", lambda *_: said.pop(0))
    field.bring([{"receipt": "item", "ok": True}, {"device": "a", "data": "1"}], qos=qos)
    assert field.intake.received == []
    field.clock.advance(1)
    assert len(field.intake.received) == 1 and field.broker.acknowledged == []
    written.callback(True)
    assert field.broker.acknowledged == [1]


def test_what_is_no_message_is_kept_as_failed_and_acknowledged():
    field = Field(Platform(), identityLevel=2)
    field.bring(b"rubbish")
    ((payload, facts),) = field.intake.received
    assert (payload, facts["rejected"], facts["device"]) == (b"rubbish", "expected an array of reports", "7")
    assert field.broker.acknowledged == [1] and field.source.counts["faults"] == 1


@pytest.mark.parametrize(
    ("settings", "topic", "whose"),
    [
        ({}, "devices/7/up", {}),
        ({"identityLevel": 2}, "devices/7/up", {"device": "7"}),
        ({"identityLevel": 2, "downlinkTopic": "d"}, "devices/7/up", {"identity": "7"}),
        ({"identityLevel": 9, "downlinkTopic": "d"}, "devices/7/up", {}),
        ({"identityLevel": 2, "downlinkTopic": "d"}, "devices//up", {}),
    ],
)
def test_a_level_of_the_topic_names_the_device(settings, topic, whose):
    field = Field(**settings)
    field.bring(b"23", topic)
    assert field.whose == [whose] and field.intake.received[0][0] == b"23"


def test_lobaro_s_device_is_the_topic_s_unless_the_settings_name_a_level():
    data = cbor2.dumps({"i": "123456101550542", "d": {}})
    for more, identity in (({}, "70b3d5e050020901"), ({"identityLevel": 1}, "LOB")):
        field = Field(preset="lobaro", downlinkTopic="d", **more)
        field.bring(data, "LOB/70b3d5e050020901/up/status")
        assert field.whose == [{"identity": identity}]
        assert field.intake.received[0][1]["messageName"] == "status"


def test_a_dragino_frame_says_itself_whose_it_is():
    field = Field(DraginoEnvelope({}, "", "asciihex"), identityLevel=2)
    field.bring(NDDS75.encode())
    field.bring(b"hello", id=2)
    assert field.whose == [{"device": "867787054545078"}, {"device": "7"}]
    assert field.intake.received[0][0] == bytes.fromhex(NDDS75)
    assert "rejected" in field.intake.received[1][1]


def test_a_refused_message_waits_and_is_acknowledged_later():
    field = Field(Platform())
    field.intake.auto = False
    field.bring([{"device": "a", "data": "1"}, {"device": "b", "data": "2"}])
    field.intake.answer(0)
    field.intake.answer(1, Status.BUSY)
    assert field.broker.acknowledged == []
    field.clock.advance(2)
    field.intake.answer(2)
    assert field.broker.acknowledged == [1]


UP = {"deviceInfo": {"devEui": "70b3d57ed0000017", "deviceName": "probe-7"}, "fPort": 2, "data": "AOc="}
TOPIC = "application/a1/device/70b3d57ed0000017/event/"


def test_a_preset_reads_a_platform_s_topics_and_needs_no_topic_for_downlinks():
    field = Field(preset="chirpstack")
    assert field.source.can_push and field.source.keeps_downlinks
    field.bring(UP, TOPIC + "up")
    field.bring({"deviceInfo": UP["deviceInfo"]}, TOPIC + "join", id=2)
    assert field.whose == [{"identity": "70b3d57ed0000017"}]
    assert field.intake.received[0][1]["frame"] == "00e7"
    assert [type for type, _ in field.intake.events] == ["network.join"]
    assert field.broker.acknowledged == [2, 1] or field.broker.acknowledged == [1, 2]


def test_a_receipt_names_the_item_that_was_published():
    field = Field(preset="chirpstack")
    field.intake.known = {"dl0123456789abcde0"}
    receipt = {"queueItemId": "01234567-89ab-8cde-8067-6f7467770000", "deviceInfo": UP["deviceInfo"]}
    field.bring(receipt, TOPIC + "txack")
    field.bring({**receipt, "acknowledged": True}, TOPIC + "ack")
    field.bring({**receipt, "acknowledged": False}, TOPIC + "ack")
    assert field.intake.outcomes == [
        ("dl0123456789abcde0", "confirmed as sent"),
        ("dl0123456789abcde0", "confirmed"),
        ("dl0123456789abcde0", "not confirmed: ChirpStack: ack: not acknowledged by the device"),
    ]


def test_what_a_platform_publishes_twice_is_one_message_and_acknowledged_twice():
    field = Field(preset="chirpstack")
    for id in (1, 2):
        field.bring(UP | {"deduplicationId": "3ac7"}, TOPIC + "up", id=id)
    assert (field.intake.keys, len(field.intake.received)) == (["3ac7"], 1)
    assert field.broker.acknowledged == [1, 2]


def test_an_identifier_that_counts_anew_with_each_start_of_the_device_is_no_key():
    field = Field(preset="lobaro", downlinkTopic="d")
    for id in (1, 2):
        field.bring(cbor2.dumps({"i": "1", "n": 1, "d": {}}), "LOB/1/up/data", id=id)
    assert field.intake.keys == []


def test_what_waits_for_a_network_leaves_when_the_broker_is_there_again():
    for preset, wakes in (({"preset": "chirpstack"}, 1), ({}, 0)):
        field = Field(**preset)
        field.source.on_up(None)
        assert field.intake.wakes == wakes
