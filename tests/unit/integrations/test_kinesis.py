"""A Kinesis target over a stream in a test's hands: whose answer is whose."""

from __future__ import annotations

import pytest

from iotgw import testing
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
from iotgw.core.verdict import Delivered, Rejected, Retry, Unavailable
from iotgw.integrations.kinesis import LONGEST_KEY, KinesisSettings, KinesisType
from iotgw.testing import Verdicts, telemetry
from tests.unit.json_server import JsonServer

PLACE = {"stream": "readings", "region": "eu-central-1", "accessKeyId": "id", "secretAccessKey": "secret"}


class Stream:
    def __init__(self, **more):
        clock, connector = testing.MemoryReactor(), testing.FakeConnector()
        settings = convert({**PLACE, **more}, KinesisSettings)
        spec = IntegrationSpec(name="out", type="aws-kinesis")
        context = testing.integration_context(spec, clock)
        self.target = KinesisType(clock, connector=connector).build(settings, context)
        self.server = JsonServer(connector, "kinesis.eu-central-1.amazonaws.com")

    def send(self, *seqs, device="d"):
        verdicts = Verdicts()
        self.target.send([telemetry(seq, device, received_ms=1) for seq in seqs], verdicts)
        return verdicts

    def requests(self):
        return [body["Records"] for _, body in self.server.actions()]


@pytest.fixture
def stream():
    return Stream()


def test_of_a_request_that_failed_in_part_each_record_has_its_own_verdict_and_none_is_charged(stream):
    verdicts = stream.send(1, 2, 3)
    busy = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
    stream.server.answer({"FailedRecordCount": 1, "Records": [{"SequenceNumber": "7"}, busy]})
    assert verdicts.of == {
        1: Delivered(),
        2: Unavailable("ProvisionedThroughputExceededException: Rate exceeded"),
        3: Unavailable("the stream's answer doesn't name it"),
    }


def test_of_a_request_that_is_refused_for_a_record_the_others_get_through(stream):
    verdicts = stream.send(1, 2)
    stream.server.answer({"__type": "ValidationException", "message": "no"}, status=400)
    assert verdicts.of == {}, "one of them is at fault"
    stream.server.answer({"Records": [{"SequenceNumber": "7"}]})
    stream.server.answer({"__type": "ValidationException", "message": "no"}, status=400)
    assert verdicts.of == {1: Delivered(), 2: Retry("HTTP 400 ValidationException: no")}


def test_a_service_that_does_not_let_us_in_charges_no_record(stream):
    verdicts = stream.send(1, 2)
    stream.server.answer({"__type": "AccessDeniedException", "message": "no"}, status=400)
    assert verdicts.of == {seq: Unavailable("HTTP 400 AccessDeniedException: no") for seq in (1, 2)}


def test_records_of_one_key_are_of_one_shard_and_a_key_is_no_longer_than_kinesis_takes(stream):
    stream.send(1, device="d" * 300)
    ((record,),) = stream.requests()
    assert record["PartitionKey"] == "d" * LONGEST_KEY


def test_a_record_that_is_larger_than_the_stream_takes_is_a_dead_letter():
    stream = Stream(largest=1024)
    assert isinstance(stream.send(1, device="d" * 1000).of[1], Rejected)


def test_a_request_has_no_more_records_than_is_said():
    stream = Stream(batchSize=2)
    stream.send(1, 2, 3, 4)
    assert [len(each) for each in stream.requests()] == [2, 2]
