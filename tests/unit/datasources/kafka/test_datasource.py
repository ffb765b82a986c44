"""A Kafka datasource over a reader in a test's hands: what it commits, and when it lets go."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred

from iotgw import testing
from iotgw.core.model import Status
from iotgw.datasources.kafka.datasource import (
    COMMIT_EVERY,
    PATIENCE,
    KafkaDatasource,
    KafkaSourceType,
    header_text,
)
from iotgw.datasources.kafka.settings import KafkaSourceSettings


class Reader:
    """Notes what its owner wants."""

    def __init__(self):
        self.running = Deferred()
        self.said = []
        self.committed = {}

    def run(self, is_new, begun):
        self.is_new, self.begun = is_new, begun
        return self.running

    def end(self):
        self.said.append("end")

    def pause(self, place):
        self.said.append(("pause", place))

    def resume(self, place):
        self.said.append(("resume", place))

    def commit(self, offsets):
        self.committed |= offsets


class Field:
    def __init__(self, checkpoints=None, **settings):
        self.clock = testing.MemoryReactor()
        self.intake = testing.FakeIntake(clock=self.clock)
        self.reader = Reader()
        made = KafkaSourceSettings(brokers=["h"], topics=["t"], **settings)
        context = testing.datasource_context(self.intake, self.clock, checkpoints=checkpoints)
        self.source = KafkaDatasource(made, context, lambda *_: self.reader, header_text)
        self.source.start()
        self.source.on_joined()
        self.source.on_assigned([("t", 0), ("t", 1)])

    def come(self, *offsets, place=("t", 0), key=b"d", value=b"x", headers=()):
        records = [
            SimpleNamespace(offset=offset, key=key, value=value, timestamp=1, headers=list(headers))
            for offset in offsets
        ]
        self.source.on_records({place: records})

    def wait(self, seconds=COMMIT_EVERY):
        self.clock.advance(seconds)
        return self.reader.committed


@pytest.fixture
def field():
    return Field()


def test_commits_are_gathered_and_name_the_offset_behind_the_durable_ones(field):
    field.come(5, 6, 7)
    field.come(40, place=("t", 1))
    assert field.reader.committed == {}
    assert field.wait() == {("t", 0): 8, ("t", 1): 41}


def test_what_is_not_durable_is_not_committed(field):
    field.intake.auto = False
    field.come(5, 6, 7)
    for number in (0, 2):
        field.intake.answer(number)
    assert field.wait() == {("t", 0): 6}


def test_only_the_partitions_whose_messages_wait_are_paused(field):
    field.intake.auto = False
    field.come(1)
    field.intake.answer(0, Status.BUSY)
    assert field.reader.said == [("pause", ("t", 0))]
    assert field.source.status()["pausedPartitions"] == 1
    field.intake.auto = True
    field.clock.advance(1)
    assert field.reader.said == [("pause", ("t", 0)), ("resume", ("t", 0))]


def test_a_partition_that_goes_to_another_member_is_committed_as_far_as_it_is_durable(field):
    field.intake.auto = False
    field.come(1, 2)
    given = []
    field.source.on_revoked([("t", 0), ("t", 1)]).addCallback(given.append)
    field.intake.answer(0)
    assert given == []
    field.intake.answer(1)
    assert given == [{("t", 0): 3}]
    assert field.source.status()["partitions"] == 0


def test_another_member_waits_for_a_slow_gateway_for_some_seconds_only(field):
    field.intake.auto = False
    field.come(1, 2)
    given = []
    field.source.on_revoked([("t", 0)]).addCallback(given.append)
    field.intake.answer(0)
    field.clock.advance(PATIENCE)
    assert given == [{("t", 0): 2}]
    field.intake.answer(1)  # too late, and no harm
    assert field.wait() == {}


def test_what_waits_for_room_goes_to_the_next_owner(field):
    field.intake.fill()
    field.come(1)
    field.source.on_revoked([("t", 0), ("t", 1)])
    field.intake.drain()
    assert field.intake.received == []


def test_messages_that_were_fetched_for_a_partition_given_up_are_dropped(field):
    field.source.on_revoked([("t", 0)])
    field.come(9)
    assert field.intake.received == []


def test_a_partition_that_comes_back_begins_anew(field):
    field.intake.auto = False
    field.come(1, 2)
    field.source.on_revoked([("t", 0), ("t", 1)])
    field.source.on_assigned([("t", 0)])
    field.come(1)
    field.intake.answer(1)  # of the earlier time
    field.intake.answer(2)
    assert field.wait() == {("t", 0): 2}


def test_the_key_names_the_device_unless_a_header_does():
    field = Field(device_header="id")
    field.come(1)
    field.come(2, headers=[("id", b"other"), ("x-api-key", b"s"), ("raw", b"\xfe")])
    field.come(3, key=b"\xff\xfe")
    facts = [facts for _, facts in field.intake.received]
    assert [each.get("device") for each in facts] == ["d", "other", None]
    assert facts[1]["Header:raw"] == "fe"
    assert not any(value == "s" for value in facts[1].values())
    assert "key" not in facts[2]


def test_keys_may_be_no_devices():
    field = Field(key_is_device=False)
    field.come(1)
    assert "device" not in field.intake.received[0][1]


def test_a_deletion_is_no_message_and_is_committed(field):
    field.come(7, value=None)
    assert field.intake.received == []
    assert field.wait() == {("t", 0): 8}
    assert field.source.status()["tombstones"] == 1


def test_no_downlink_is_taken_for_a_message(field):
    field.intake.put("d", b"\x01")
    field.come(1)
    assert field.intake.outcomes == []
    assert field.intake.queue["d"]


def test_a_trouble_is_told_once_and_its_end_too(field):
    for _ in range(3):
        field.source.on_failed("no route")
    assert field.source.status()["state"] == "connecting"
    assert field.source.status()["lastError"] == "no route"
    field.source.on_waiting(17)
    assert field.source.status()["waiting"] == 17
    told = [(kind, text) for kind, text in field.intake.events if kind != "connected" or "again" in text]
    assert told == [("failed", "no route"), ("connected", "the brokers answer again")]


def test_an_outage_with_many_reasons_is_few_events(field):
    for number in range(50):
        field.source.on_failed(f"reason {number % 10}")
    assert [text for kind, text in field.intake.events if kind == "failed"] == [
        "reason 0",
        "reason 1",
        "reason 2",
    ]
    assert field.source.status()["lastError"] == "reason 9"


def test_messages_that_will_not_be_read_are_told(field):
    field.source.on_missed(("t", 0), "12 messages are gone")
    assert field.intake.events[-1] == ("missed", "t, partition 0: 12 messages are gone")


def test_stopping_waits_for_the_group_to_be_left(field):
    stopped = []
    field.come(1)
    field.source.stop().addCallback(stopped.append)
    assert (field.reader.said, stopped) == (["end"], [])
    field.source.on_failed("closed")
    field.reader.running.callback(None)
    assert stopped == [None]
    assert field.source.status()["state"] == "stopped"
    assert "lastError" not in field.source.status()
    field.source.stop().addCallback(stopped.append)
    assert stopped == [None, None]
    assert field.clock.getDelayedCalls() == []


def test_it_keeps_that_its_group_has_begun_and_what_it_reads():
    kept = testing.MemoryCheckpoints()
    field = Field(kept)
    assert field.reader.is_new
    assert Field(kept).reader.is_new
    field.reader.begun()
    assert not Field(kept).reader.is_new
    assert Field(kept, group="another").reader.is_new
    assert Field(testing.MemoryCheckpoints()).reader.is_new


def test_a_group_of_a_datasource_that_is_deleted_is_new_again():
    kept = testing.MemoryCheckpoints()
    field = Field(kept)
    field.reader.begun()
    source_type = KafkaSourceType(field.clock, testing.FakeConnector())
    context = testing.datasource_context(checkpoints=kept)
    assert source_type.forget(None, context, successor=object()) is None
    assert not Field(kept).reader.is_new
    source_type.forget(None, context, successor=None)
    assert Field(kept).reader.is_new
