"""Lobaro's envelope with what each transport knows besides."""

from __future__ import annotations

import cbor2
import pytest

from iotgw.core.model import Downlink
from iotgw.envelopes.envelope import Ignored
from iotgw.envelopes.lobaro import LobaroDatagrams, LobaroRequests, LobaroTopics

ENVELOPE = {"i": "123456101550542", "n": 7, "d": {"vbat": 3688}}
DATA = cbor2.dumps(ENVELOPE)


def test_a_repeated_datagram_is_counted_until_its_window_has_passed():
    envelope = LobaroDatagrams(1000, answers=False)
    (first,) = envelope.read(DATA, {}, 0)
    assert list(envelope.read(DATA, {}, 999)) == [Ignored("duplicates", ("123456101550542", 7))]
    envelope.forget(first)
    assert len(envelope.read(DATA, {}, 999)) == 1
    assert list(envelope.read(DATA, {}, 2000)) != [Ignored("duplicates", ("123456101550542", 7))]


@pytest.mark.parametrize(("answers", "identity"), [(True, "123456101550542"), (False, "")])
def test_only_a_device_that_is_answered_is_one_that_downlinks_are_for(answers, identity):
    (reading,) = LobaroDatagrams(0, answers).read(DATA, {}, 5)
    assert (reading.identity, reading.listens) == (identity, answers)
    assert reading.facts.get("device") == (None if answers else "123456101550542")
    assert reading.facts["receivedTime"] == 5 and reading.facts["input"]["q"] == "udp"


@pytest.mark.parametrize(
    ("known", "identity"),
    [
        ({"query": {"i": "1"}, "path": "up/2"}, "123456101550542"),
        ({}, "123456101550542"),
    ],
)
def test_over_coap_the_envelope_outranks_the_query_and_the_path(known, identity):
    (reading,) = LobaroRequests().read(DATA, known, 0)
    assert reading.identity == identity


@pytest.mark.parametrize(
    ("topic", "known", "identity", "query"),
    [
        ("LOB/70b3d5e050020901/up/status", {}, "70b3d5e050020901", "status"),
        ("LOB/urn:dev:mac:70b3d5e050020901/up/", {}, "70b3d5e050020901", ""),
        ("LOB/70b3d5e050020901/up", {}, "70b3d5e050020901", "data"),
        ("LOB/70b3d5e050020901/up/status", {"identity": "level"}, "level", "status"),
        ("LOB//up/status", {}, "123456101550542", "status"),
    ],
)
def test_over_mqtt_the_topic_says_who_and_what(topic, known, identity, query):
    (reading,) = LobaroTopics("LOB/").read(DATA, {"topic": topic, **known}, 0)
    assert (reading.identity, reading.facts["messageName"]) == (identity, query)


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        (b'{"q":"config","d":{}}', cbor2.dumps({"q": "config", "d": {}})),
        (b"{no json", b"{no json"),
        (b"\x01\x02", b"\x01\x02"),
        (b'{"a":' * 100_000, b'{"a":' * 100_000),
    ],
)
def test_a_downlink_of_json_leaves_as_cbor_and_any_other_as_it_is(payload, sent):
    command = LobaroRequests().write(Downlink("1", "d", payload), "d")
    assert (command.payload, command.content_type) == (sent, "application/cbor")
