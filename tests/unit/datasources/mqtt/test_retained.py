"""Retained values are readings once, not with each connection."""

from __future__ import annotations

import msgspec
import pytest

from iotgw.datasources.mqtt.retained import LARGEST_KEPT, LONGEST_TOPIC, MOST, Retained
from iotgw.datasources.mqtt.source_type import MqttSourceType
from iotgw.wire import mqtt
from tests.unit.connect.brokers import CONNACK_WITH_SESSION, Broker, publish
from tests.unit.datasources.fakes import FakeIntake, context
from tests.unit.datasources.mqtt.test_datasource import SUBACK, Field, OneWay

CONNACK_5 = b"\x20\x03\x01\x00\x00"


def retained(topic: str, payload: bytes, id_: int = 0, qos: int = 0) -> bytes:
    data = publish(topic, payload, id_, qos)
    return bytes((data[0] | 1,)) + data[1:]


def test_the_first_value_of_a_topic_is_a_reading_and_the_same_one_with_the_next_connection_is_none():
    field = Field()
    field.up()
    field.wire.say(retained("a", b"20"))
    field.again()
    field.wire.say(retained("a", b"20"))
    assert field.payloads == [b"20"]
    assert field.source.status()["retainedKnown"] == 1


def test_a_value_that_changed_while_away_is_a_reading():
    field = Field()
    field.up()
    field.wire.say(retained("a", b"20"))
    field.again()
    field.wire.say(retained("a", b"21"))
    assert field.payloads == [b"20", b"21"]


def test_what_came_live_last_is_known_when_it_comes_as_retained():
    field = Field()
    field.up()
    field.wire.say(retained("a", b"20") + publish("a", b"21", 1))
    field.again()
    field.wire.say(retained("a", b"21") + publish("a", b"21", 2))
    assert field.payloads == [b"20", b"21", b"21"]  # a live message is always a reading


def test_a_known_value_is_acknowledged():
    field = Field()
    field.up()
    field.wire.say(retained("a", b"20", 1, qos=1))
    field.again()
    field.wire.say(retained("a", b"20", 2, qos=1))
    assert field.turn() == b"\x40\x02\x00\x02"
    assert field.wire.say(retained("a", b"20", 3, qos=2)) + field.turn() == b"\x50\x02\x00\x03"
    assert field.payloads == [b"20"]


def test_a_value_that_is_not_durable_yet_is_not_known():
    field = Field()
    field.intake.auto = False
    field.up()
    field.wire.say(retained("a", b"20", 1, qos=1))
    field.again()
    field.wire.say(retained("a", b"20", 1, qos=1))
    assert field.payloads == [b"20", b"20"]


@pytest.mark.parametrize(
    ("asked", "payloads", "count"),
    [("all", [b"20", b"20"], {}), ("none", [], {"retainedLeftOut": 2})],
)
def test_all_of_them_or_none_are_a_matter_of_settings(asked, payloads, count):
    field = Field(retained=asked)
    field.up()
    field.wire.say(retained("a", b"20"))
    field.again()
    field.wire.say(retained("a", b"20"))
    assert field.payloads == payloads
    assert {name: field.source.counts[name] for name in count} == count


@pytest.mark.parametrize(
    ("settings", "options"),
    [({"retained": "none"}, 0x21), ({}, 1), ({"retained": "all", "qos": 2}, 2)],
)
def test_an_mqtt_5_broker_is_asked_for_none_where_none_is_wanted(settings, options):
    field = Field(version="5", **settings)
    assert field.wire.say(CONNACK_5)[-1] == options


class Disk:
    """A datasource that starts again and again with one directory."""

    def __init__(self, folder):
        self.folder = folder
        self.intake = FakeIntake()

    def run(self, *said, stops=True):
        broker = Broker()
        type_ = MqttSourceType(broker.clock, OneWay(broker))
        about = msgspec.structs.replace(context(self.intake, broker.clock), data_dir=str(self.folder))
        configuration = type_.settings(host="h", topics=["#"])
        source = type_.build(configuration, about)
        source.start()
        broker.wire.say(CONNACK_WITH_SESSION)
        broker.wire.say(SUBACK)
        for each in said:
            broker.wire.say(each)
        if stops:
            source.stop()
        return type_, configuration, about

    @property
    def payloads(self):
        return [payload for payload, _ in self.intake.received]


def test_a_restart_makes_no_readings(tmp_path):
    disk = Disk(tmp_path)
    large = b"x" * (LARGEST_KEPT + 1)
    packet = b"\x31" + mqtt.varint(len(large) + 3) + b"\x00\x01b" + large
    disk.run(retained("a", b"20"), packet)
    disk.run(retained("a", b"20"), packet)
    assert disk.payloads == [b"20", large]


def test_after_a_crash_a_value_comes_once_more_and_none_is_lost(tmp_path):
    disk = Disk(tmp_path)
    disk.run(retained("a", b"20"))
    disk.run(publish("a", b"21", 1), stops=False)
    disk.run(retained("a", b"20"))  # published again while the gateway was down: news
    assert disk.payloads == [b"20", b"21", b"20"]


def test_a_deleted_datasource_leaves_no_file(tmp_path):
    disk = Disk(tmp_path)
    type_, configuration, about = disk.run(retained("a", b"20"))
    assert any(path.name.endswith("-retained.json") for path in tmp_path.iterdir())
    type_.forget(configuration, about, None)
    assert not any(path.name.endswith("-retained.json") for path in tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": "b"}', b"{" * 100_000, b'{"a": 1e400}'])
def test_a_file_that_can_not_be_read_is_told_of_and_costs_repetitions_only(tmp_path, content):
    file = tmp_path / "known.json"
    file.write_bytes(content)
    troubles = []
    known = Retained(file, troubles.append)
    known.load()
    assert len(troubles) == 1 and not known.is_known("a", b"x")


def test_a_directory_that_can_not_be_written_is_told_of(tmp_path):
    troubles = []
    known = Retained(tmp_path / "missing" / "known.json", troubles.append)
    known.note("a", b"x")
    known.save()
    assert len(troubles) == 1


def test_it_remembers_no_more_than_its_bounds():
    known = Retained(None, lambda reason: None)
    for number in range(MOST + 1):
        known.note(str(number), b"x")
    known.note("t" * (LONGEST_TOPIC + 1), b"x")
    assert not known.is_known("0", b"x") and known.is_known("1", b"x") and known.is_known(str(MOST), b"x")
    assert not known.is_known("t" * (LONGEST_TOPIC + 1), b"x")
