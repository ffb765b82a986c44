"""A Kinesis datasource over a stream in a test's hands: what it asks for, and the places that it keeps."""

from __future__ import annotations

import base64

import pytest

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.datasources.kinesis.datasource import KinesisSourceType
from iotgw.datasources.kinesis.settings import KinesisSourceSettings
from iotgw.datasources.pulled_source import PATIENCE
from tests.unit.json_server import JsonServer
from tests.unit.tracebacks import logged

PLACE = {"stream": "s", "region": "eu-central-1", "accessKeyId": "id", "secretAccessKey": "not so secret"}
LIST, ITERATOR, RECORDS = "ListShards", "GetShardIterator", "GetRecords"


class Stream:
    def __init__(self, checkpoints=None, **more):
        self.clock = testing.MemoryReactor()
        self.intake = testing.FakeIntake(clock=self.clock)
        connector = testing.FakeConnector()
        self.checkpoints = checkpoints or testing.MemoryCheckpoints()
        self.context = testing.datasource_context(self.intake, self.clock, checkpoints=self.checkpoints)
        self.type = KinesisSourceType(self.clock, connector)
        self.source = self.type.build(convert({**PLACE, **more}, KinesisSourceSettings), self.context)
        self.server = JsonServer(connector, "kinesis.eu-central-1.amazonaws.com")
        self.source.start()

    def list(self, *shards):
        """Each is a name, or a name with its parents."""
        named = [each if isinstance(each, tuple) else (each,) for each in shards]
        keys = ("ShardId", "ParentShardId", "AdjacentParentShardId")
        self.server.answer({"Shards": [dict(zip(keys, each, strict=False)) for each in named]}, LIST)

    def iterators(self):
        """Answer each request for an iterator with the shard's name; returns what was asked."""
        asked = {}
        while any(name == ITERATOR for name, _ in self.server.actions()):
            shard = next(body["ShardId"] for name, body in self.server.actions() if name == ITERATOR)
            body = self.server.answer({"ShardIterator": shard}, ITERATOR)
            asked[shard] = tuple(
                body[key]
                for key in ("ShardIteratorType", "StartingSequenceNumber", "Timestamp")
                if key in body
            )
        return asked

    def bring(self, *numbers, next="go on", behind=0, **more):
        """Answer the oldest request for records, each with what is said of all."""
        records = [
            {"SequenceNumber": str(n), "Data": base64.b64encode(b"%d" % n).decode(), "PartitionKey": "meter", **more}
            for n in numbers
        ]  # fmt: skip
        answer = {"Records": records, "NextShardIterator": next, "MillisBehindLatest": behind}
        return self.server.answer(answer, RECORDS)["ShardIterator"]

    def fail(self, name, status=400, action=RECORDS):
        self.server.answer({"__type": name}, action, status)

    def asked(self, action=RECORDS):
        return [body for name, body in self.server.actions() if name == action]

    def keep(self):
        self.clock.advance(1)
        return {shard: place for shard, place in self.checkpoints.positions.items() if shard != "started"}

    @property
    def payloads(self):
        return [payload for payload, _ in self.intake.received]


@pytest.fixture
def stream():
    made = Stream()
    made.list("a")
    assert made.iterators() == {"a": ("TRIM_HORIZON",)}
    return made


def test_records_come_with_what_the_stream_says_of_them(stream):
    stream.bring(7)
    facts = stream.intake.received[0][1]
    assert (facts["stream"], facts["shard"], facts["sequenceNumber"]) == ("s", "a", "7")
    assert (facts["partitionKey"], facts["device"], facts["uplinkKey"]) == ("meter", "meter", "s/a/7")


@pytest.mark.parametrize(("said", "date"), [(1.5e9, 1_500_000_000_000), (1e308, None), (-1.0, None)])
def test_a_record_s_time_is_a_date_or_left_out(stream, said, date):
    stream.bring(7, ApproximateArrivalTimestamp=said)
    assert stream.intake.received[0][1].get("timestamp") == date


def test_the_place_that_is_kept_is_the_durable_prefix(stream):
    stream.intake.auto = False
    stream.bring(1, 2, 3)
    stream.intake.answer(0)
    stream.intake.answer(2)
    assert stream.keep() == {"a": "1"}
    stream.intake.answer(1)
    assert stream.keep() == {"a": "3"}


def test_places_are_written_together_and_only_when_they_changed(stream):
    stream.keep()
    writes = stream.checkpoints.writes
    stream.bring(1, 2, 3)
    stream.keep()
    assert stream.checkpoints.writes == writes + 1
    stream.clock.advance(10)
    assert stream.checkpoints.writes == writes + 1


def test_a_restart_reads_on_after_its_places(stream):
    stream.bring(1, 2)
    stream.source.stop()
    again = Stream(stream.checkpoints)
    again.list("a")
    assert again.iterators() == {"a": ("AFTER_SEQUENCE_NUMBER", "2")}


def test_the_shards_of_a_split_are_read_when_their_parent_is_durable_to_its_end(stream):
    stream.intake.auto = False
    stream.bring(1, next=None)
    assert stream.asked(LIST) == []
    stream.intake.answer(0)
    stream.clock.advance(0)
    stream.list("a", ("b", "a"), ("c", "a"))
    assert stream.iterators() == {"b": ("TRIM_HORIZON",), "c": ("TRIM_HORIZON",)}
    assert stream.keep() == {"a": "done"}
    assert stream.source.status()["shards"] == 2


def test_a_shard_that_ends_without_more_is_done_at_once(stream):
    stream.bring(next=None)
    assert stream.keep() == {"a": "done"}


def test_an_iterator_that_expired_is_replaced_by_one_after_what_was_read(stream):
    stream.intake.auto = False
    stream.bring(1, 2)
    stream.clock.advance(0.2)
    stream.fail("ExpiredIteratorException")
    stream.clock.advance(0.2)
    assert stream.iterators() == {"a": ("AFTER_SEQUENCE_NUMBER", "2")}
    assert stream.source.status()["state"] == "connected"


def test_a_place_that_is_not_kept_any_more_is_said_and_the_oldest_record_is_next():
    checkpoints = testing.MemoryCheckpoints()
    checkpoints.write("https://kinesis.eu-central-1.amazonaws.com/s", {"a": "7", "started": "1"})
    stream = Stream(checkpoints)
    stream.list("a")
    stream.fail("InvalidArgumentException", action=ITERATOR)
    stream.clock.advance(0.2)
    assert stream.iterators() == {"a": ("TRIM_HORIZON",)}
    assert "missed" in [kind for kind, _ in stream.intake.events]


def test_a_shard_with_more_is_asked_at_once_and_one_without_after_the_interval(stream):
    stream.bring(1)
    stream.clock.advance(0.2)
    assert len(stream.asked()) == 1
    stream.bring()
    stream.clock.advance(0.9)
    assert stream.asked() == []
    stream.clock.advance(0.1)
    assert len(stream.asked()) == 1


def test_a_shard_that_is_asked_too_often_is_asked_later_and_that_is_no_outage(stream):
    stream.bring()
    for _ in range(3):
        stream.clock.advance(60)
        stream.fail("ProvisionedThroughputExceededException")
    assert stream.source.status()["throttled"] == 3
    assert "lastError" not in stream.source.status()


def test_a_full_gateway_asks_a_shard_for_no_more(stream):
    stream.intake.fill()
    stream.bring(1, 2)
    stream.clock.advance(10)
    assert stream.asked() == []
    assert stream.source.status()["pausedShards"] == 1
    stream.intake.drain()
    assert len(stream.asked()) == 1
    assert stream.payloads == [b"1", b"2"]


def test_an_outage_is_over_when_no_shard_fails(stream):
    stream.fail("InternalFailure", status=500)
    assert stream.source.status()["state"] == "connecting"
    stream.clock.advance(60)
    stream.iterators()
    stream.bring()
    assert [kind for kind, _ in stream.intake.events] == ["connected", "failed", "connected"]


def test_the_latest_are_those_since_the_first_start():
    checkpoints = testing.MemoryCheckpoints()
    for _ in range(2):
        stream = Stream(checkpoints, **{"from": "latest"})
        stream.list("a")
        assert stream.iterators() == {"a": ("AT_TIMESTAMP", testing.START)}
        stream.keep()
        stream.clock.advance(100)
        stream.source.stop()


def test_many_shards_are_listed_page_by_page():
    stream = Stream()
    stream.server.answer({"Shards": [{"ShardId": "a"}], "NextToken": "more"}, LIST)
    assert stream.asked(LIST) == [{"NextToken": "more"}]
    stream.list("b")
    assert set(stream.iterators()) == {"a", "b"}


def test_a_datasource_that_is_deleted_leaves_no_places(stream):
    stream.bring(1)
    stream.keep()
    stream.type.forget(None, stream.context, successor=object())
    assert stream.checkpoints.positions != {}
    stream.type.forget(None, stream.context, successor=None)
    assert stream.checkpoints.positions == {}


def test_the_places_of_another_stream_do_not_count(stream):
    stream.bring(1)
    stream.source.stop()
    other = Stream(stream.checkpoints, stream="other")
    other.list("a")
    assert other.iterators() == {"a": ("TRIM_HORIZON",)}


def test_a_stop_keeps_what_is_durable_and_leaves_no_timer(stream):
    stream.bring(1)
    stopped = stream.source.stop()
    stream.clock.advance(2)
    assert stopped.called
    assert stream.checkpoints.positions["a"] == "1"
    assert stream.clock.getDelayedCalls() == []


def test_a_stop_waits_no_longer_than_it_should_and_leaves_no_traceback():
    with logged() as failures:
        stream = Stream()
        stream.list("a")
        stream.iterators()
        stream.intake.auto = False
        stream.bring(1)
        stopped = stream.source.stop()
        stream.clock.advance(PATIENCE)
        stream.clock.advance(2)
        assert stopped.called
        del stream, stopped
    assert failures == []


@pytest.mark.parametrize(
    "answer", [b"[]", b"{", b'{"Records":7}', b'{"Records":[{"Data":"!"}]}', b'{"Records":[{}]}']
)
def test_an_answer_of_any_kind_is_no_traceback(stream, answer):
    stream.server.answer(answer, RECORDS)
    assert stream.source.status()["state"] == "connecting"
    stream.clock.advance(60)
    assert set(stream.iterators()) == {"a"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"stream": "a b"}, "stream"),
        ({"region": "x"}, "region"),
        ({"endpoint": "nowhere"}, "endpoint"),
        ({"preset": "nobody"}, "preset"),
    ],
)
def test_what_is_no_stream_is_refused(more, words):
    with pytest.raises(SettingsError, match=words):
        convert({**PLACE, **more}, KinesisSourceSettings)
