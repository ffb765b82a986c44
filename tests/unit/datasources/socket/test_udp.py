"""Plain UDP and Lobaro's: handlers, replies, duplicates."""

from __future__ import annotations

import cbor2
import msgspec
import pytest

from iotgw.core.model import Answer, Downlink, Status
from iotgw.datasources.socket.datagram import Replies
from iotgw.datasources.socket.lobaro import LobaroUdpDatasource, LobaroUdpSettings
from iotgw.datasources.socket.udp import UdpDatasource, UdpSettings
from tests.unit.datasources.fakes import FakeIntake, clock, context
from tests.unit.datasources.socket.test_dragino import FakeSocket
from tests.unit.wire import bombs

HERE = ("192.0.2.7", 4000)


class Field:
    def __init__(self, factory, type_, **settings) -> None:
        self.intake = FakeIntake()
        self.clock = clock()
        self.source = factory(msgspec.convert(settings, type_), context(self.intake, self.clock))
        self.socket = FakeSocket()
        self.source._socket = self.socket

    def send(self, data: bytes) -> None:
        self.source._datagram(data, HERE)

    @property
    def payloads(self) -> list[bytes]:
        return [payload for payload, _ in self.intake.received]


def udp(**settings) -> Field:
    return Field(UdpDatasource, UdpSettings, **settings)


def lobaro(**settings) -> Field:
    return Field(LobaroUdpDatasource, LobaroUdpSettings, **settings)


@pytest.mark.parametrize(
    ("handler", "data", "messages"),
    [
        ({"type": "TEXT"}, b"23 C", [b"23 C"]),
        ({"type": "BINARY"}, b"\x00\x05any", [b"\x00\x05any"]),
        ({"type": "JSON"}, b'{"a":1} [2]', [b'{"a":1}', b"[2]"]),
        ({"type": "HEX"}, b"0xCAFE\n", [b"\xca\xfe"]),
    ],
)
def test_the_handlers(handler, data, messages):
    field = udp(handler=handler)
    field.send(data)
    assert field.payloads == messages


def test_a_datagram_has_a_bounded_number_of_documents():
    field = udp(handler={"type": "JSON"})
    field.send(b"[]" * 100)
    assert len(field.payloads) == 100 and not field.intake.rejected
    field.send(b"[]" * 101)
    assert len(field.payloads) == 100
    assert [reason for _, _, reason in field.intake.rejected] == [
        "expected at most 100 documents in a datagram, got 101"
    ]


def test_shared_values_in_cbor_expand_to_nothing():
    field = lobaro()
    field.send(bombs.SHARED)
    ((payload, metadata),) = field.intake.received
    assert payload == bombs.SHARED and metadata["encoding"] == "raw"
    assert len(msgspec.json.encode(metadata)) < 500


@pytest.mark.parametrize("handler", ["TEXT", "JSON", "HEX"])
def test_what_is_no_message_is_kept(handler):
    field = udp(handler={"type": handler})
    field.send(b"\xff\xfe{")
    assert field.payloads == [] and len(field.intake.rejected) == 1


def test_one_downlink_per_uplink_and_the_rest_with_the_next_ones():
    field = udp(identity="address")
    field.intake.auto = False
    field.send(b"one")
    items = tuple(Downlink(str(n), "192.0.2.7", b"%d" % n) for n in range(3))
    field.intake.answers[0](Answer(Status.STORED, "1", 0.0, items))
    assert field.socket.sent == [(b"0", HERE)]
    field.intake.auto = True
    field.send(b"two")
    assert field.socket.sent[1:] == [(b"1", HERE)]
    field.clock.advance(241)
    field.send(b"three")
    assert len(field.socket.sent) == 2
    assert field.intake.outcomes[-1] == ("2", "lost: it waited too long for the client's next datagram")


def test_replies_are_bounded_by_number():
    intake = FakeIntake()
    replies = Replies(2, 60, intake)
    for number in range(4):
        replies.add(HERE, Downlink(str(number), "d", b""), 0)
    assert [name for name, _ in intake.outcomes] == ["0", "1"]
    replies.clear()
    assert [name for name, _ in intake.outcomes] == ["0", "1", "2", "3"]


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
