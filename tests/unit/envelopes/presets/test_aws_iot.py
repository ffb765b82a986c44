"""AWS IoT over MQTT: shadows, jobs, presence, and downlinks as publishes and shadow updates."""

from __future__ import annotations

import json

import pytest

from iotgw.core.model import Downlink
from iotgw.envelopes.envelope import Happened, Ignored, Malformed, Reading, Receipt
from iotgw.envelopes.presets.aws_iot import AwsIotTopics, alpn

UPDATE = "$aws/things/pump-1/shadow/update"
NAMED = "$aws/things/pump-1/shadow/name/config/update"
ITEM = "dl" + "0" * 16


def read(topic, body, **settings):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    (event,) = AwsIotTopics(**settings).read(data, {"topic": topic}, 0)
    return event


def test_a_topic_of_the_device_s_own_is_taken_as_it_is():
    assert read("fleet/pump-1/data", b"\x01\x02") == Reading(b"\x01\x02")


@pytest.mark.parametrize(("topic", "shadow"), [(UPDATE, ""), (NAMED, "config")])
def test_what_a_device_reported_to_its_shadow_is_a_reading(topic, shadow):
    body = {"state": {"reported": {"rpm": 900}}, "metadata": {}, "version": 7, "timestamp": 1795262400}
    facts = {"deviceName": "pump-1", "shadow": shadow, "shadowVersion": 7, "time": 1795262400000}
    assert read(f"{topic}/accepted", body) == Reading(b'{"rpm":900}', facts, "pump-1")
    whole = read(f"{topic}/accepted", body, whole=True)
    assert json.loads(whole.payload) == body and whole.facts == facts


def test_documents_are_readings_where_they_are_subscribed_to():
    body = {"previous": {}, "current": {"state": {"reported": {"rpm": 1}}, "version": 2}, "timestamp": 1}
    assert read(f"{UPDATE}/documents", body).payload == b'{"rpm":1}'


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        (f"{UPDATE}/accepted", {"state": {"desired": {"rpm": 1}}}),
        (f"{UPDATE}/accepted", {"state": {"desired": {}}, "clientToken": "somebody's"}),
        (f"{UPDATE}/accepted", {"state": [1]}),
        (f"{UPDATE}/accepted", {}),
        (f"{UPDATE}/documents", {"current": 1}),
        (f"{UPDATE}/delta", {"state": {"rpm": 1}}),
        ("$aws/things/pump-1/shadow/get/accepted", {"state": {"reported": {"rpm": 1}}}),
        ("$aws/things/pump-1/shadow", {}),
        ("$aws/things/pump-1/shadow/update", {}),
        ("$aws/things/pump-1/streams/1/data/json", {}),
        ("$aws/rules/mine", {}),
        ("$aws", {}),
    ],
)
def test_what_others_do_is_no_reading(topic, body):
    assert isinstance(read(topic, body), Ignored)


@pytest.mark.parametrize("body", [b"", b"rubbish", b"[1]", b"[" * 100_000])
def test_what_is_no_document_is_kept_as_malformed(body):
    assert isinstance(read(f"{UPDATE}/accepted", body), Malformed)


def test_an_accepted_update_of_ours_is_a_receipt():
    body = {"state": {"desired": {"rpm": 1}}, "clientToken": f"iotgw:{ITEM}"}
    assert read(f"{NAMED}/accepted", body) == Receipt("pump-1", "sent", "AWS IoT: the shadow has it", ITEM)


@pytest.mark.parametrize(
    ("code", "became"),
    [
        (400, "refused"),
        (404, "refused"),
        (413, "refused"),
        (429, "lost"),
        (409, "lost"),
        (500, "lost"),
        ("x", "refused"),
    ],
)
def test_a_rejected_update_of_ours_is_a_receipt_with_the_reason(code, became):
    body = {"code": code, "message": "Version\nconflict", "clientToken": f"iotgw:{ITEM}"}
    assert read(f"{UPDATE}/rejected", body) == Receipt(
        "pump-1", became, f"AWS IoT: {code} Version conflict", ITEM
    )


@pytest.mark.parametrize("code", [[409], {"409": 1}, None, 409.5])
def test_a_rejected_update_whose_code_is_none_is_a_refusal(code):
    body = {"code": code, "message": "no", "clientToken": f"iotgw:{ITEM}"}
    receipt = read(f"{UPDATE}/rejected", body)
    assert (receipt.became, receipt.item) == ("refused", ITEM)


def test_a_rejected_update_of_somebody_else_s_is_an_event():
    event = read(f"{UPDATE}/rejected", {"code": 400, "message": "Invalid JSON"})
    assert event == Happened(
        "shadow-rejected", "pump-1", {"shadow": "", "code": 400, "message": "Invalid JSON"}
    )


@pytest.mark.parametrize(
    ("topic", "kind", "device"),
    [
        ("$aws/events/presence/connected/pump-1", "connected", "pump-1"),
        ("$aws/events/presence/disconnected/pump-1", "disconnected", "pump-1"),
        ("$aws/things/pump-1/jobs/notify", "job-notify", "pump-1"),
        ("$aws/things/pump-1/jobs/j-1/update/accepted", "job-accepted", "pump-1"),
        ("$aws/events/job/j-1/completed", "job-completed", ""),
        ("$aws/events/jobExecution/j-1/succeeded", "jobExecution-succeeded", ""),
        ("$aws/events/thing/pump-1/created", "thing-created", ""),
    ],
)
def test_presence_and_jobs_are_events(topic, kind, device):
    assert read(topic, {"clientId": "pump-1"}) == Happened(kind, device, {"clientId": "pump-1"})


def test_an_event_keeps_no_more_than_it_should():
    event = read("$aws/things/" + "t" * 1000 + "/jobs/" + "k" * 1000, {"x": "y" * 10_000})
    assert (len(event.device), len(event.kind), event.detail) == (128, 64, {})


def test_a_downlink_is_published_as_it_is_and_the_broker_s_acknowledgement_counts():
    command = AwsIotTopics().publish(Downlink(ITEM, "d", b"\x01"), "pump-1", "t")
    assert (command.payload, command.topic, command.awaits_receipt) == (b"\x01", "", False)


@pytest.mark.parametrize(("shadow", "topic"), [(True, UPDATE), ("", UPDATE), ("config", NAMED)])
def test_a_downlink_for_a_shadow_is_an_update_with_our_token(shadow, topic):
    item = Downlink(ITEM, "d", b'{"rpm": 900}', metadata={"shadow": shadow})
    command = AwsIotTopics().publish(item, "pump-1", "t")
    assert (command.topic, command.awaits_receipt) == (topic, True)
    body = json.loads(command.payload)
    assert body == {"state": {"desired": {"rpm": 900}}, "clientToken": f"iotgw:{ITEM}"}
    assert len(body["clientToken"]) <= 64


def test_without_a_subscription_to_the_answer_none_is_waited_for():
    item = Downlink(ITEM, "d", b"{}", metadata={"shadow": True})
    assert AwsIotTopics(["fleet/+"]).publish(item, "pump-1", "t").awaits_receipt is False
    assert AwsIotTopics(["$aws/things/+/shadow/#"]).publish(item, "pump-1", "t").awaits_receipt is True


@pytest.mark.parametrize(
    ("payload", "identity", "shadow"),
    [
        (b"on", "pump-1", True),
        (b"[1]", "pump-1", True),
        (b"{}", "pump/1", True),
        (b"{}", "", True),
        (b"{}", "pump-1", "a/b"),
        (b"{}", "pump-1", 7),
        (b'{"x": "' + b"y" * 9000 + b'"}', "pump-1", True),
    ],
)
def test_what_no_shadow_takes_is_refused(payload, identity, shadow):
    item = Downlink(ITEM, "d", payload, metadata={"shadow": shadow})
    with pytest.raises(ValueError, match="expected"):
        AwsIotTopics().publish(item, identity, "t")


@pytest.mark.parametrize(
    ("port", "has_certificate", "protocol"),
    [(443, True, "x-amzn-mqtt-ca"), (443, False, "mqtt"), (8883, True, ""), (8883, False, "")],
)
def test_port_443_is_told_apart_by_alpn(port, has_certificate, protocol):
    assert alpn(port, has_certificate) == protocol
