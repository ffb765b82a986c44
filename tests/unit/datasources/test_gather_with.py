"""One frame that comes through several network servers: over a broker, and over another way to another datasource of the same group."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.model import STORED
from iotgw.core.shared import SharedResources
from iotgw.core.validate import convert
from iotgw.datasources.frames import FrameGroups, HeldFrames
from iotgw.datasources.kafka.datasource import COMMIT_EVERY, KafkaDatasource, header_text
from iotgw.datasources.kafka.settings import KafkaSourceSettings
from iotgw.datasources.kinesis.settings import KinesisSourceSettings
from iotgw.datasources.mqtt.settings import MqttSourceSettings
from iotgw.datasources.pubsub.settings import PubsubSourceSettings
from iotgw.datasources.rabbitmq.settings import RabbitSourceSettings
from iotgw.datasources.sqs.settings import SqsSourceSettings
from tests.unit.connect.brokers import publish
from tests.unit.datasources.kinesis.test_datasource import PLACE as KINESIS
from tests.unit.datasources.mqtt.test_datasource import Field
from tests.unit.datasources.pubsub.test_datasource import PLACE as PUBSUB
from tests.unit.datasources.sqs.test_datasource import KEYS
from tests.unit.datasources.sqs.test_datasource import PLACE as SQS

ROOF = {"gatewayId": "roof", "rssi": -40, "snr": 9}
CHIRPSTACK = json.dumps({
    "deduplicationId": "x", "deviceInfo": {"devEui": "70b3d57ed0000017"}, "fPort": 2, "fCnt": 1, "data": "AOc=",
    "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -50, "snr": 9}],
}).encode()  # fmt: skip
TOPIC = "application/a/device/70b3d57ed0000017/event/up"


class Network:
    """A datasource of another network, in the same group."""

    def __init__(self, clock, groups):
        self.received, self.answers = [], []
        self.frames = HeldFrames(clock, 1.0, self.receive, groups.group("default", "fields"))

    def receive(self, payload, metadata, answer, listens, key):
        self.received.append(metadata)
        answer(STORED)

    def hears(self):
        facts = {"devEui": "70b3d57ed0000017", "fCnt": 1, "fPort": 2, "frame": "00e7", **ROOF}
        self.frames.take(b"tts", facts, self.answers.append, False, "tts")


class Mqtt(Field):
    def __init__(self, **settings):
        self.groups = FrameGroups()
        super().__init__(shares=SharedResources(self.groups), preset="chirpstack", **settings)
        self.up()
        self.network = Network(self.broker.clock, self.groups)

    def comes(self):
        self.wire.say(publish(TOPIC, CHIRPSTACK, 7))

    def waits(self):
        self.broker.clock.advance(1.0)


def test_a_frame_over_mqtt_goes_with_the_message_of_the_network_that_was_first():
    field = Mqtt(gather_with="fields")
    field.network.hears()
    field.comes()
    assert field.turn() == b""  # it is acknowledged when that message is stored
    field.waits()
    assert field.turn() == b"\x40\x02\x00\x07"
    assert field.payloads == []
    (metadata,) = field.network.received
    assert [each["gatewayId"] for each in metadata["gateways"]] == ["roof", "0016c001f153a14c"]
    assert field.source.status()["gatheredElsewhere"] == 1


def test_a_frame_over_mqtt_takes_the_other_network_s_gateways():
    field = Mqtt(gather_with="fields")
    field.comes()
    field.network.hears()
    field.waits()
    assert field.network.received == [] and len(field.network.answers) == 1
    ((_, metadata),) = field.intake.received
    assert [each["gatewayId"] for each in metadata["gateways"]] == ["roof", "0016c001f153a14c"]
    assert field.turn() == b"\x40\x02\x00\x07"


def test_a_frame_that_is_held_goes_on_when_the_connection_ends():
    field = Mqtt(gather_with="fields")
    field.comes()
    assert field.payloads == []
    field.wire.lose()
    assert field.payloads == [CHIRPSTACK]


def test_without_a_group_nothing_is_held():
    field = Mqtt()
    field.comes()
    assert field.payloads == [CHIRPSTACK]
    assert field.turn() == b"\x40\x02\x00\x07"


def test_an_offset_is_committed_when_the_message_that_the_frame_went_with_is_stored():
    clock, groups = testing.MemoryReactor(), FrameGroups()
    intake, committed = testing.FakeIntake(clock=clock), {}
    reader = SimpleNamespace(run=lambda *_: Deferred(), commit=committed.update, resume=lambda place: None)
    settings = KafkaSourceSettings(brokers=["h"], topics=["t"], preset="chirpstack", gather_with="fields")
    context = testing.datasource_context(intake, clock, shares=SharedResources(groups))
    source = KafkaDatasource(settings, context, lambda *_: reader, header_text)
    source.start()
    source.on_joined()
    source.on_assigned([("t", 0)])
    network = Network(clock, groups)
    network.hears()
    record = SimpleNamespace(
        offset=5,
        key=b"application.a.device.70b3d57ed0000017.event.up",
        value=CHIRPSTACK,
        timestamp=1,
        headers=[],
    )
    source.on_records({("t", 0): [record]})
    clock.advance(0.5)
    assert committed == {}
    clock.advance(0.5)
    clock.advance(COMMIT_EVERY)
    assert committed == {("t", 0): 6}
    assert intake.received == [] and len(network.received) == 1
    assert source.status()["gatheredElsewhere"] == 1


@pytest.mark.parametrize(
    ("type_", "given"),
    [
        (MqttSourceSettings, {"host": "h", "topics": ["#"]}),
        (KafkaSourceSettings, {"brokers": ["h"], "topics": ["t"]}),
        (RabbitSourceSettings, {"host": "h", "queue": "q", "username": "u", "password": "p"}),
        (KinesisSourceSettings, KINESIS),
        (SqsSourceSettings, {"queueUrl": SQS + "q", **KEYS}),
        (PubsubSourceSettings, PUBSUB),
    ],
)
def test_every_way_refuses_what_could_not_be_gathered(type_, given):
    with pytest.raises(SettingsError, match="gatherWith: expected a preset"):
        convert({**given, "gatherWith": "fields"}, type_, "configuration")
    with pytest.raises(SettingsError, match="gatherSeconds: expected more than 0"):
        convert(
            {**given, "preset": "chirpstack", "gatherWith": "fields", "gatherSeconds": 0},
            type_,
            "configuration",
        )
