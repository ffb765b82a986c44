"""A Pub/Sub datasource over a subscription in a test's hands: what it acknowledges and puts off."""

from __future__ import annotations

import base64
import json
import sys

import pytest

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.datasources.pubsub.datasource import PubsubSourceType
from iotgw.datasources.pubsub.settings import PubsubSourceSettings
from tests.unit.json_server import JsonServer

PLACE = {"project": "plant", "endpoint": "https://pubsub.example", "subscription": "sub"}
PATH = "/v1/projects/plant/subscriptions/sub:"
PULL, ACKNOWLEDGE, LEND = (PATH + name for name in ("pull", "acknowledge", "modifyAckDeadline"))


class Subscription:
    def __init__(self, **more):
        self.clock = testing.MemoryReactor()
        self.intake = testing.FakeIntake(clock=self.clock)
        connector = testing.FakeConnector()
        context = testing.datasource_context(self.intake, self.clock)
        settings = convert({**PLACE, **more}, PubsubSourceSettings)
        self.source = PubsubSourceType(self.clock, connector).build(settings, context)
        self.server = JsonServer(connector, "pubsub.example")
        self.source.start()

    def bring(self, *ids, **more):
        messages = [
            {"ackId": f"ack-{id}", "message": {"messageId": id, "data": base64.b64encode(id.encode()).decode(), **more}}
            for id in ids
        ]  # fmt: skip
        self.server.answer({"receivedMessages": messages}, PULL)
        self.clock.advance(0)

    def asked(self, path):
        return [body for name, body in self.server.actions() if name == path]


@pytest.fixture
def subscription():
    return Subscription()


def test_durable_messages_are_acknowledged_together(subscription):
    subscription.bring("a", "b")
    assert subscription.asked(ACKNOWLEDGE) == [{"ackIds": ["ack-a", "ack-b"]}]


def test_the_deadline_of_what_waits_for_a_full_gateway_is_put_off(subscription):
    subscription.intake.fill()
    subscription.bring("a")
    subscription.clock.advance(7.5)
    assert subscription.asked(LEND) == [{"ackIds": ["ack-a"], "ackDeadlineSeconds": 20}]
    assert subscription.asked(PULL) == []


def test_a_platform_s_preset_sees_the_attributes():
    subscription = Subscription(preset="chirpstack")
    body = {"deviceInfo": {"devEui": "70b3d57ed0000017"}, "fPort": 2, "data": "AQI="}
    message = {
        "messageId": "1", "data": base64.b64encode(json.dumps(body).encode()).decode(),
        "attributes": {"event": "up", "dev_eui": "70b3d57ed0000017", "application_id": "1"},
    }  # fmt: skip
    subscription.server.answer({"receivedMessages": [{"ackId": "a", "message": message}]}, PULL)
    assert subscription.intake.received[0][1]["device"] == "70b3d57ed0000017"


def test_an_acknowledgement_that_failed_is_counted_and_the_message_known_when_it_comes_again(subscription):
    subscription.bring("a")
    subscription.server.answer({"error": {"status": "UNAVAILABLE"}}, ACKNOWLEDGE, status=503)
    assert subscription.source.status()["failedAcknowledgements"] == 1
    subscription.bring("a")
    assert [payload for payload, _ in subscription.intake.received] == [b"a"]
    assert subscription.asked(ACKNOWLEDGE) == [{"ackIds": ["ack-a"]}]


def test_of_an_ordering_key_nothing_is_acknowledged_before_what_is_ahead_of_it(subscription):
    subscription.intake.auto = False
    subscription.bring("a", "b", orderingKey="meter")
    subscription.intake.answer(1)
    subscription.clock.advance(0)
    assert subscription.asked(ACKNOWLEDGE) == []
    subscription.intake.answer(0)
    subscription.clock.advance(0)
    assert subscription.asked(ACKNOWLEDGE) == [{"ackIds": ["ack-a", "ack-b"]}]


def test_what_was_not_handed_over_goes_to_others_when_it_stops(subscription):
    subscription.intake.fill()
    subscription.bring("a")
    subscription.source.stop()
    assert subscription.asked(LEND) == [{"ackIds": ["ack-a"], "ackDeadlineSeconds": 0}]


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{", b'{"receivedMessages":[{}]}', b'{"receivedMessages":7}']
)
def test_an_answer_of_any_kind_is_no_traceback(subscription, answer):
    subscription.server.answer(answer, PULL)
    subscription.clock.advance(60)
    assert len(subscription.asked(PULL)) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"endpoint": ""}, "credentials"),
        ({"project": "a/b"}, "project"),
        ({"subscription": "../x"}, "subscription"),
        ({"endpoint": "nowhere"}, "endpoint"),
        ({"preset": "nobody"}, "preset"),
    ],
)
def test_what_is_no_subscription_is_refused(more, words):
    with pytest.raises(SettingsError, match=words):
        convert({**PLACE, **more}, PubsubSourceSettings)


def test_without_the_extra_the_type_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.auth", None)
    key = {"type": "service_account", "client_email": "a@b.example", "private_key": "k"}
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[google\]'"):
        Subscription(credentials=json.dumps(key))
