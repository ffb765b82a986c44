"""A Pub/Sub target over a topic in a test's hands: whose answer is whose."""

from __future__ import annotations

import json
import sys

import pytest

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
from iotgw.core.verdict import Delivered, Rejected, Retry, Unavailable
from iotgw.integrations.pubsub import LONGEST_KEY, PubsubSettings, PubsubType
from iotgw.testing import Verdicts, telemetry
from tests.unit.json_server import JsonServer

PLACE = {"project": "meters", "topic": "readings", "endpoint": "http://emulator:8085"}


class Topic:
    def __init__(self, **more):
        clock, connector = testing.MemoryReactor(), testing.FakeConnector()
        settings = convert({**PLACE, **more}, PubsubSettings)
        spec = IntegrationSpec(name="out", type="google-pubsub")
        context = testing.integration_context(spec, clock)
        self.target = PubsubType(clock, connector=connector).build(settings, context)
        self.server = JsonServer(connector, "emulator", 8085)

    def send(self, *seqs, device="d"):
        verdicts = Verdicts()
        self.target.send([telemetry(seq, device, received_ms=1) for seq in seqs], verdicts)
        return verdicts

    def messages(self):
        return [message for _, body in self.server.actions() for message in body["messages"]]


@pytest.fixture
def topic():
    return Topic()


def test_a_request_is_delivered_as_a_whole(topic):
    verdicts = topic.send(1, 2)
    topic.server.answer({"messageIds": ["7", "8"]})
    assert verdicts.of == {1: Delivered(), 2: Delivered()}


def test_an_answer_that_names_too_few_messages_delivers_none(topic):
    verdicts = topic.send(1, 2)
    topic.server.answer({"messageIds": ["7"]})
    assert verdicts.of == {seq: Unavailable("the answer names 1 of 2 messages") for seq in (1, 2)}


def test_of_a_request_that_is_refused_for_a_message_the_others_get_through(topic):
    verdicts = topic.send(1, 2)
    refused = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "no"}}
    topic.server.answer(refused, status=400)
    assert verdicts.of == {}, "one of them is at fault"
    topic.server.answer({"messageIds": ["7"]})
    topic.server.answer(refused, status=400)
    assert verdicts.of == {1: Delivered(), 2: Retry("HTTP 400 INVALID_ARGUMENT: no")}


def test_a_topic_that_is_not_there_charges_no_message(topic):
    verdicts = topic.send(1)
    topic.server.answer({"error": {"code": 404, "status": "NOT_FOUND", "message": "no topic"}}, status=404)
    assert verdicts.of == {1: Unavailable("HTTP 404 NOT_FOUND: no topic")}


def test_messages_of_a_device_have_its_name_as_their_ordering_key_unless_there_is_to_be_none(topic):
    topic.send(1)
    unordered = Topic(orderingKey="")
    unordered.send(1)
    assert [message.get("orderingKey") for message in topic.messages() + unordered.messages()] == ["d", None]


def test_an_ordering_key_that_is_too_long_is_a_dead_letter(topic):
    assert isinstance(topic.send(1, device="d" * (LONGEST_KEY + 1)).of[1], Rejected)


@pytest.mark.parametrize("topic", ["", "9", "goog/x", "a" * 256])
def test_what_is_no_topic_s_name_is_refused(topic):
    with pytest.raises(SettingsError, match="topic"):
        Topic(topic=topic)


def test_without_the_extra_the_type_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.auth", None)
    key = {"type": "service_account", "client_email": "a@b.example", "private_key": "k"}
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[google\]'"):
        Topic(credentials=json.dumps(key))
