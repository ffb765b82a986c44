"""Plain UDP: handlers and replies."""

from __future__ import annotations

import pytest

from iotgw.core.model import Answer, Downlink, Status
from iotgw.datasources.socket.datagram import DatagramType, WaitingReplies
from iotgw.datasources.socket.udp import UdpSettings, UdpType
from tests.unit.datasources.fakes import FakeIntake, UdpField
from tests.unit.datasources.platform import Platform

HERE = ("192.0.2.7", 4000)


def udp(**settings) -> UdpField:
    return UdpField(UdpType, **settings)


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


def test_a_downlink_is_exactly_its_bytes():
    field = udp(identity="address", handler={"type": "BINARY"})
    field.intake.auto = False
    field.send(b"one")
    downlink = Downlink("1", "192.0.2.7", bytes.fromhex("7ea0"))
    field.intake.answers[0](Answer(Status.STORED, "1", 0.0, (downlink,)))
    assert field.socket.sent == [(bytes.fromhex("7ea0"), HERE)]


def test_replies_are_bounded_by_number():
    intake = FakeIntake()
    replies = WaitingReplies(2, 60, intake)
    for number in range(4):
        replies.add(HERE, Downlink(str(number), "d", b""), 0)
    assert [name for name, _ in intake.outcomes] == ["0", "1"]
    replies.clear()
    assert [name for name, _ in intake.outcomes] == ["0", "1", "2", "3"]


def test_a_datagram_has_a_bounded_number_of_documents():
    field = udp(handler={"type": "JSON"})
    field.send(b"[]" * 100)
    assert len(field.payloads) == 100 and not field.intake.rejected
    field.send(b"[]" * 101)
    assert len(field.payloads) == 100
    assert [reason for _, _, reason in field.intake.rejected] == [
        "expected at most 100 documents in a datagram, got 101"
    ]


class PlatformType(DatagramType):
    name = "platform"
    settings = UdpSettings

    def envelope(self, settings):
        return Platform()


def test_a_datagram_may_say_several_things():
    field = UdpField(PlatformType)
    field.intake.known = {"item"}
    field.send(
        b'[{"device": "a", "data": "1", "n": 9}, {"receipt": "item", "ok": true}, {"join": 1}, {"join": 2}]'
    )
    ((payload, facts),) = field.intake.received
    assert (payload, facts["identity"], facts["counter"], facts["protocol"]) == (b"1", "a", 9, "udp")
    assert field.intake.outcomes == [("item", "confirmed")]
    assert field.source.status() == {
        "state": "listening",
        "address": "udp 127.0.0.1:1",
        "urls": ["udp://127.0.0.1:1"],
        "datagrams": 1,
        "joins": 2,
    }


def test_a_downlink_that_never_fits_is_lost_with_the_reason():
    field = UdpField(PlatformType)
    field.intake.put("a", b"too long")
    field.send(b'[{"device": "a", "data": "1"}]')
    assert field.socket.sent == []
    assert field.intake.outcomes == [("a-0", "lost: expected at most 4 bytes")]
