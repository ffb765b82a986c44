"""An SQS target over a queue in a test's hands: whose answer is whose."""

from __future__ import annotations

import pytest

from iotgw import testing
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
from iotgw.core.verdict import Delivered, Rejected, Retry, Unavailable
from iotgw.integrations.sqs import SqsSettings, SqsType
from iotgw.testing import Verdicts, telemetry
from tests.unit.json_server import JsonServer

PLACE = "https://sqs.eu-central-1.amazonaws.com/123456789012/"


class Queue:
    def __init__(self, queue="q", format="standard", template="", **more):
        self.clock = testing.MemoryReactor()
        connector = testing.FakeConnector()
        settings = convert(
            {"queueUrl": PLACE + queue, "accessKeyId": "id", "secretAccessKey": "secret", **more}, SqsSettings
        )
        spec = IntegrationSpec(name="out", type="aws-sqs", format=format, template=template)
        context = testing.integration_context(spec, self.clock)
        self.target = SqsType(self.clock, connector=connector).build(settings, context)
        self.server = JsonServer(connector, "sqs.eu-central-1.amazonaws.com")

    def send(self, *seqs, device="d"):
        verdicts = Verdicts()
        self.target.send([telemetry(seq, device, received_ms=1) for seq in seqs], verdicts)
        return verdicts

    def requests(self):
        return [body["Entries"] for _, body in self.server.actions()]

    def answer(self, good=(), failed=(), **more):
        self.server.answer(
            {
                "Successful": [{"Id": str(n)} for n in good],
                "Failed": [{"Id": str(n), **why} for n, why in failed],
            },
            **more,
        )


@pytest.fixture
def queue():
    return Queue()


def test_of_a_request_that_failed_in_part_each_message_has_its_own_verdict(queue):
    verdicts = queue.send(1, 2, 3, 4)
    theirs = {"Code": "InternalError", "Message": "again", "SenderFault": False}
    ours = {"Code": "InvalidMessageContents", "Message": "no", "SenderFault": True}
    queue.answer(good=[0], failed=[(1, theirs), (2, ours)])
    assert verdicts.of == {
        1: Delivered(),
        2: Unavailable("InternalError: again"),
        3: Retry("InvalidMessageContents: no"),
        4: Unavailable("the queue's answer doesn't name it"),
    }


def test_more_than_ten_messages_are_several_requests(queue):
    queue.send(*range(1, 21))
    assert [len(each) for each in queue.requests()] == [10, 10]


def test_fewer_messages_go_together_once_no_request_is_under_way(queue):
    verdicts = [queue.send(number) for number in range(1, 13)]
    assert [len(each) for each in queue.requests()] == [1, 10]
    assert queue.target.capacity >= 12
    queue.answer(good=[0])
    assert [len(each) for each in queue.requests()] == [10]
    queue.answer(good=range(10))
    assert [len(each) for each in queue.requests()] == [1]
    queue.answer(good=[0])
    assert queue.requests() == []
    assert [each.of for each in verdicts] == [{number: Delivered()} for number in range(1, 13)]


def test_messages_that_wait_for_an_answer_go_also_when_none_comes(queue):
    lost, waiting = queue.send(1), queue.send(2)
    queue.server.lose()
    queue.answer(good=[0])
    assert isinstance(lost.of[1], Unavailable)
    assert waiting.of == {2: Delivered()}


def test_what_was_not_answered_when_the_target_stops_is_settled(queue):
    verdicts = [queue.send(1), queue.send(2)]
    queue.target.stop()
    assert [type(each.of[number]) for number, each in enumerate(verdicts, 1)] == [Unavailable] * 2


def test_a_request_is_no_larger_than_the_queue_takes():
    queue = Queue(largest=1024)
    queue.send(1, 2, 3, 4, 5)
    assert [len(each) for each in queue.requests()] == [2, 2]


def test_a_message_that_is_larger_is_a_dead_letter():
    queue = Queue(largest=1024)
    verdicts = queue.send(1, device="d" * 1000)
    assert isinstance(verdicts.of[1], Rejected)
    assert queue.requests() == []


def test_a_request_that_is_refused_as_a_whole_is_sent_again_one_by_one(queue):
    verdicts = queue.send(1, 2)
    refused = {"__type": "com.amazonaws.sqs#InvalidMessageContents", "message": "no"}
    queue.server.answer(refused, status=400)
    assert [len(each) for each in queue.requests()] == [1, 1]
    queue.server.answer(refused, status=400)
    queue.answer(good=[0])
    assert verdicts.of == {1: Retry("HTTP 400 InvalidMessageContents: no"), 2: Delivered()}


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (503, ""),
        (400, "RequestThrottled"),
        (403, "InvalidClientTokenId"),
        (400, "QueueDoesNotExist"),
        (403, ""),
    ],
)
def test_a_queue_that_is_away_or_does_not_let_us_in_charges_no_message(queue, status, name):
    verdicts = queue.send(1, 2)
    queue.server.answer({"__type": f"com.amazonaws.sqs#{name}"}, status=status)
    assert {type(verdict) for verdict in verdicts.of.values()} == {Unavailable}
    assert queue.target.status()["lastError"].startswith(f"HTTP {status}")


def test_a_connection_that_breaks_charges_no_message(queue):
    verdicts = queue.send(1)
    queue.server.lose()
    assert isinstance(verdicts.of[1], Unavailable)


@pytest.mark.parametrize("answer", [b"[]", b"7", b"null", b'{"Successful":[7,{"Id":"99"}],"Failed":{}}'])
def test_an_answer_of_any_kind_is_no_traceback_and_no_delivery(queue, answer):
    verdicts = queue.send(1)
    queue.server.answer(answer)
    assert not isinstance(verdicts.of[1], Delivered)


def test_messages_of_a_fifo_queue_have_a_group_of_their_device_and_the_key_of_the_delivery():
    queue = Queue("q.fifo")
    queue.send(1, device="Zähler 7")
    ((entry,),) = queue.requests()
    assert entry["MessageGroupId"] == "Z_hler_7"
    assert entry["MessageDeduplicationId"] == entry["MessageAttributes"]["iotgw-key"]["StringValue"]


def test_messages_of_other_queues_have_no_group(queue):
    queue.send(1)
    ((entry,),) = queue.requests()
    assert "MessageGroupId" not in entry


def test_what_is_no_text_is_refused_unless_it_goes_as_base64():
    template = "{{ deviceName }}\x01"
    assert isinstance(Queue(format="template", template=template).send(1).of[1], Rejected)
    queue = Queue(format="template", template=template, body="base64")
    queue.send(1)
    ((entry,),) = queue.requests()
    assert entry["MessageBody"] == "ZAE="
