"""Lobaro's devices over legacy UDP: duplicates, and downlinks when they are asked for."""

from __future__ import annotations

import cbor2
import msgspec

from iotgw.core.model import Status
from iotgw.datasources.vendors.lobaro import LobaroUdpType
from tests.unit.datasources.fakes import UdpField
from tests.unit.wire import bombs

HERE = ("192.0.2.7", 4000)


def lobaro(**settings) -> UdpField:
    return UdpField(LobaroUdpType, **settings)


def envelope(n: int = 7, **more) -> bytes:
    return cbor2.dumps({"i": "123456101550542", "n": n, "d": {"vbat": 3688}, **more})


def test_a_lobaro_message_is_silent_and_its_envelope_ready_for_parse():
    field = lobaro()
    field.intake.put("123456101550542", b'{"q":"config","d":{}}')
    field.send(envelope())
    facts = field.intake.received[0][1]
    assert facts["input"] == {"i": "123456101550542", "n": 7, "q": "udp", "d": {"vbat": 3688}}
    assert "identity" not in facts and field.socket.sent == []


def test_a_repeated_message_is_counted_and_not_taken_again():
    field = lobaro()
    field.send(envelope())
    field.send(envelope())
    field.send(envelope(8))
    assert len(field.payloads) == 2 and field.source.counts["duplicates"] == 1
    field.clock.advance(301)
    field.send(envelope())
    assert len(field.payloads) == 3


def test_the_repetition_of_a_message_that_was_not_taken_is_welcome():
    field = lobaro()
    field.intake.auto = False
    field.send(envelope())
    field.intake.answer(0, Status.BUSY)
    field.send(envelope())
    assert len(field.payloads) == 2


def test_a_downlink_in_cbor_when_it_is_asked_for():
    field = lobaro(reply="cbor")
    field.intake.put("123456101550542", b'{"q":"config","d":{"cmodeDurSec":123}}')
    field.send(envelope())
    ((data, address),) = field.socket.sent
    assert cbor2.loads(data) == {"q": "config", "d": {"cmodeDurSec": 123}} and address == HERE


def test_anything_else_on_the_port_is_a_raw_message_for_the_converter():
    field = lobaro()
    field.send(b"\x01\x02")
    payload, facts = field.intake.received[0]
    assert payload == b"\x01\x02" and facts["encoding"] == "raw" and "input" not in facts


def test_shared_values_in_cbor_expand_to_nothing():
    field = lobaro()
    field.send(bombs.SHARED)
    ((payload, metadata),) = field.intake.received
    assert payload == bombs.SHARED and metadata["encoding"] == "raw"
    assert len(msgspec.json.encode(metadata)) < 500
