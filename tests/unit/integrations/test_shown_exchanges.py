"""What targets of brokers and clouds show of a message that somebody looks at: what was sent, and what came back."""

from __future__ import annotations

import msgspec
import pytest

from iotgw import testing
from iotgw.core.verdict import Delivered
from iotgw.integrations.kafka import KafkaSettings, KafkaTarget
from iotgw.testing import Verdicts, telemetry
from tests.unit.integrations.test_kinesis import Stream
from tests.unit.integrations.test_rabbitmq import Bench
from tests.unit.integrations.test_sqs import Queue

TEST = -1
"""The position of a test message, which is shown."""


class Shown(list):
    """What was shown, and how many records were settled by then."""

    def on(self, target, verdicts):
        def show(record, request, answer):
            self.append((record.seq, request, answer, len(verdicts.of)))

        target._context = msgspec.structs.replace(target._context, show=show)


@pytest.fixture
def shown():
    return Shown()


def send(target, shown, *seqs):
    verdicts = Verdicts()
    shown.on(target, verdicts)
    target.send([telemetry(seq, "d.1", received_ms=1) for seq in seqs], verdicts)
    return verdicts


def test_a_queue_shows_its_entry_and_the_answer_before_it_settles(shown):
    queue = Queue()
    send(queue.target, shown, TEST, 2)
    queue.answer(good=[0, 1])
    ((seq, request, answer, settled),) = shown
    assert (seq, settled) == (TEST, 0)
    assert request.startswith(
        "POST to https://sqs.eu-central-1.amazonaws.com/123456789012/q, one of 2 messages\n\n{"
    )
    assert '"MessageBody"' in request
    assert '"Successful"' in answer
    assert "secret" not in request


def test_a_queue_that_refuses_shows_why(shown):
    queue = Queue()
    send(queue.target, shown, TEST)
    queue.server.answer({"__type": "AccessDenied", "message": "no"}, status=403)
    assert [answer for _, _, answer, _ in shown] == ["HTTP 403 AccessDenied: no"]


def test_a_stream_shows_its_record(shown):
    stream = Stream()
    send(stream.target, shown, TEST)
    stream.server.answer({"FailedRecordCount": 0, "Records": [{"SequenceNumber": "7", "ShardId": "s"}]})
    ((_, request, answer, _),) = shown
    assert '"PartitionKey"' in request
    assert '"SequenceNumber": "7"' in answer


def test_what_nobody_looks_at_is_not_shown(shown):
    queue = Queue()
    send(queue.target, shown, 1, 2)
    queue.answer(good=[0, 1])
    assert shown == []


def test_a_rabbit_shows_where_a_message_went_and_that_it_was_confirmed(shown):
    bench = Bench()
    send(bench.target, shown, TEST)
    bench.channel.ack(1)
    ((_, request, answer, settled),) = shown
    assert request.startswith(
        "PUBLISH to exchange (default), routing key iotgw.d_1, mandatory\ncontent-type: application/json\n"
    )
    assert (answer, settled) == ("confirmed", 0)
    bench.channel.published.clear()
    send(bench.target, shown, TEST)
    bench.channel.returned(0)
    bench.channel.ack(2)
    assert shown[1][2] == "no queue takes it: NO_ROUTE"


def test_kafka_shows_the_topic_the_key_and_what_became_of_it(shown):
    target = KafkaTarget(
        KafkaSettings(brokers=["h:9092"], topic="t"), testing.integration_context(), testing.FakeConnector()
    )
    put: list[object] = []
    target._writer.put = put.extend
    target._is_up = True
    verdicts = send(target, shown, TEST, 2)
    target.on_delivered([TEST, 2])
    ((_, request, answer, settled),) = shown
    assert request.startswith("PRODUCE t, key d.1\nidempotency-key: ")
    assert (answer, settled, len(put)) == ("all replicas have it", 0, 2)
    assert verdicts.of == {TEST: Delivered(), 2: Delivered()}
