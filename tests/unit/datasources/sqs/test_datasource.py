"""An SQS datasource over a queue in a test's hands: what it deletes, hides and asks for."""

from __future__ import annotations

import pytest

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.datasources.sqs.datasource import SqsSourceType
from iotgw.datasources.sqs.settings import SqsSourceSettings
from tests.unit.json_server import JsonServer

PLACE = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
KEYS = {"accessKeyId": "id", "secretAccessKey": "not so secret"}
RECEIVE, DELETE, HIDE = "ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"


def settings(queue="q", **more):
    return convert({"queueUrl": PLACE + queue, **KEYS, **more}, SqsSourceSettings)


class Queue:
    def __init__(self, **more):
        self.clock = testing.MemoryReactor()
        self.intake = testing.FakeIntake(clock=self.clock)
        connector = testing.FakeConnector()
        context = testing.datasource_context(self.intake, self.clock)
        self.source = SqsSourceType(self.clock, connector).build(settings(**more), context)
        self.server = JsonServer(connector, "sqs.eu-central-1.amazonaws.com")
        self.source.start()

    def bring(self, *ids, **attributes):
        messages = [
            {"MessageId": id, "ReceiptHandle": f"handle-{id}", "Body": id, "Attributes": attributes} for id in ids
        ]  # fmt: skip
        self.server.answer({"Messages": messages}, RECEIVE)
        self.clock.advance(0)

    def asked(self, action):
        return [body for name, body in self.server.actions() if name == action]

    def handles(self, action):
        return [[entry["ReceiptHandle"] for entry in body["Entries"]] for body in self.asked(action)]

    @property
    def status(self):
        return self.source.status()


@pytest.fixture
def queue():
    return Queue()


def test_a_platform_s_preset_sees_the_attributes():
    queue = Queue(preset="chirpstack")
    body = '{"deviceInfo": {"devEui": "70b3d57ed0000017"}, "fPort": 2, "data": "AQI="}'
    said = {"event": {"StringValue": "up", "DataType": "String"}}
    message = {"MessageId": "1", "ReceiptHandle": "h", "Body": body, "MessageAttributes": said}
    queue.server.answer({"Messages": [message]}, RECEIVE)
    assert queue.intake.received[0][1]["device"] == "70b3d57ed0000017"


def test_it_waits_at_the_queue_for_ten_messages(queue):
    (body,) = queue.asked(RECEIVE)
    assert (body["QueueUrl"], body["MaxNumberOfMessages"], body["WaitTimeSeconds"]) == (f"{PLACE}q", 10, 20)
    assert body["VisibilityTimeout"] == 60


def test_durable_messages_are_deleted_in_tens(queue):
    queue.intake.auto = False
    queue.bring(*(f"a{n}" for n in range(10)))
    queue.bring("a10", "a11")
    for number in range(12):
        queue.intake.answer(number)
    queue.clock.advance(0)
    assert [len(each) for each in queue.handles(DELETE)] == [10]
    queue.server.answer({}, DELETE)
    assert [len(each) for each in queue.handles(DELETE)] == [2]


def test_deletes_that_are_few_go_together_when_the_one_before_is_answered_or_lost(queue):
    for name in "abc":
        queue.bring(name)
    assert queue.handles(DELETE) == [["handle-a"]]
    queue.server.lose(DELETE)
    queue.clock.advance(0)
    assert queue.handles(DELETE) == [["handle-b", "handle-c"]]
    assert queue.status["failedDeletes"] == 1
    stopped = []
    queue.source.stop().addCallback(stopped.append)
    assert stopped == []
    queue.server.answer({}, DELETE)
    queue.clock.advance(5)
    assert stopped == [None]


def test_few_messages_in_an_answer_call_for_no_more_requests(queue):
    queue.bring(*(f"a{n}" for n in range(5)))
    assert len(queue.asked(RECEIVE)) == 2
    queue.bring("b")
    assert len(queue.asked(RECEIVE)) == 1
    queue.bring("c")
    assert len(queue.asked(RECEIVE)) == 1


def test_what_the_queue_could_not_delete_is_counted_and_known_when_it_comes_again(queue):
    queue.bring("a", "b")
    failed = [{"Id": "1", "SenderFault": False, "Code": "InternalError"}]
    queue.server.answer({"Successful": [{"Id": "0"}], "Failed": failed}, DELETE)
    assert queue.status["failedDeletes"] == 1
    queue.bring("b")
    assert [payload for payload, _ in queue.intake.received] == [b"a", b"b"]
    assert queue.handles(DELETE) == [["handle-b"]]


def test_a_connection_that_breaks_while_deleting_costs_no_more_than_that(queue):
    queue.bring("a")
    queue.server.lose(DELETE)
    assert queue.status["failedDeletes"] == 1
    assert queue.status["state"] == "connected"


def test_what_waits_for_a_full_gateway_stays_hidden(queue):
    queue.intake.fill()
    queue.bring("a")
    queue.clock.advance(45)
    (body,) = queue.asked(HIDE)
    assert body["Entries"] == [{"Id": "0", "ReceiptHandle": "handle-a", "VisibilityTimeout": 60}]
    assert queue.status["extended"] == 1
    assert queue.status["waitsForRoom"] is True
    assert queue.asked(RECEIVE) == []


def test_a_datasource_that_stops_gives_back_what_it_did_not_hand_over(queue):
    queue.intake.fill()
    queue.bring("a")
    stopped = queue.source.stop()
    (body,) = queue.asked(HIDE)
    assert body["Entries"][0]["VisibilityTimeout"] == 0
    queue.server.answer({}, HIDE)
    queue.clock.advance(5)
    queue.clock.advance(5)
    assert stopped.called
    assert queue.status["state"] == "stopped"


def test_what_comes_while_it_stops_is_given_back(queue):
    queue.intake.auto = False
    queue.bring("a")
    queue.source.stop()
    queue.bring("b")
    assert queue.handles(HIDE) == [["handle-b"]]
    assert [payload for payload, _ in queue.intake.received] == [b"a"]


def test_an_outage_is_told_once_and_so_is_its_end(queue):
    for _ in range(3):
        queue.server.answer({"__type": "com.amazonaws#ServiceUnavailable"}, RECEIVE, status=503)
        queue.clock.advance(60)
    assert queue.status["state"] == "connecting"
    assert queue.status["lastError"] == "HTTP 503 ServiceUnavailable"
    queue.server.answer({}, RECEIVE)
    assert [kind for kind, _ in queue.intake.events] == ["failed", "connected"]
    assert "lastError" not in queue.status


def test_a_queue_that_asks_for_time_gets_it(queue):
    queue.server.answer({"__type": "RequestThrottled"}, RECEIVE, status=400, headers="Retry-After: 300\r\n")
    queue.clock.advance(299)
    assert queue.asked(RECEIVE) == []
    queue.clock.advance(1)
    assert len(queue.asked(RECEIVE)) == 1


@pytest.mark.parametrize("answer", [b"", b"[]", b"{", b'{"Messages":7}', b'{"Messages":[7,{"Body":1}]}'])
def test_an_answer_of_any_kind_is_no_traceback(queue, answer):
    queue.server.answer(answer, RECEIVE)
    queue.clock.advance(60)
    assert len(queue.asked(RECEIVE)) == 1
    assert queue.intake.received == []


def test_no_secret_is_told(queue):
    queue.server.answer({"__type": "AccessDenied", "message": "key not so secret"}, RECEIVE, status=403)
    assert "not so secret" not in queue.status["lastError"]


def test_a_group_is_a_device_of_a_fifo_queue_only():
    for name, device in (("q", None), ("q.fifo", "meter")):
        queue = Queue(queue=name)
        queue.bring("a", MessageGroupId="meter", SequenceNumber="18849496460467696128")
        facts = queue.intake.received[0][1]
        assert (facts.get("device"), facts["messageGroup"]) == (device, "meter")
        assert facts["sequenceNumber"] == "18849496460467696128"


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/1/q", "eu-central-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1"),
        ("https://us-gov-west-1.queue.amazonaws.com/1/q", "us-gov-west-1"),
    ],
)
def test_a_queue_s_url_says_its_region(url, region):
    assert convert({"queueUrl": url, **KEYS}, SqsSourceSettings).queue_region() == region


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"queueUrl": "https://sqs.example/1/q"}, "region: expected one"),
        ({"queueUrl": "https://sqs.eu-central-1.amazonaws.com"}, "queueUrl"),
        ({"queueUrl": "sqs://x/1/q"}, "queueUrl"),
        ({"queueUrl": "https://u:p@sqs.example/1/q"}, "queueUrl"),
        ({"region": "mars"}, "region"),
        ({"preset": "nobody"}, "preset"),
    ],
)
def test_what_is_no_queue_is_refused(more, words):
    with pytest.raises(SettingsError, match=words):
        convert({"queueUrl": f"{PLACE}q", **KEYS, **more}, SqsSourceSettings)
