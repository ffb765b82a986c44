"""Framing that users set up without code: marks, silence, registrations, headers, over TCP and UDP."""

from __future__ import annotations

import msgspec
import pytest

from iotgw.core.model import Answer, Status
from iotgw.datasources.socket.handlers import Handler, end_marks
from iotgw.datasources.socket.tcp import TcpSettings
from iotgw.datasources.socket.udp import UdpType
from tests.unit.datasources.fakes import UdpField
from tests.unit.datasources.socket.test_stream import Field


def field(**settings) -> Field:
    made = msgspec.convert(settings, TcpSettings)
    return Field(
        **{name: getattr(made, name) for name in ("handler", "registration", "heartbeat", "identity")}
    )


def whose(made) -> list[str]:
    return [facts.get("identity", "") for _, facts in made.intake.received]


@pytest.mark.parametrize(
    ("setting", "marks"),
    [
        ("newline", (b"\r\n", b"\n")),
        ("nul", (b"\0",)),
        ("none", ()),
        ("#", (b"#",)),
        ("\\x03", (b"\x03",)),
        ("\x03", (b"\x03",)),
        ("\\r", (b"\r",)),
        ("\\xFF\\x00", (b"\xff\x00",)),
        ("\\\\n", (b"\\n",)),
        ("€", ("€".encode(),)),
    ],
)
def test_what_a_delimiter_means(setting, marks):
    assert end_marks(setting) == marks


@pytest.mark.parametrize("setting", ["", "x" * 17])
def test_a_delimiter_has_1_to_16_bytes(setting):
    with pytest.raises(msgspec.ValidationError, match="expected newline, nul, none, or 1 to 16 bytes"):
        msgspec.convert({"type": "TEXT", "delimiter": setting}, Handler)


def test_without_any_end_there_must_be_a_pause():
    with pytest.raises(msgspec.ValidationError, match="expected a pause where no delimiter ends a line"):
        msgspec.convert({"type": "TEXT", "delimiter": "none"}, Handler)


def test_messages_that_end_with_a_number_sign():
    made = field(handler={"type": "TEXT", "delimiter": "#"})
    made.connect().send(
        b"@LEN:0045STQ2:24000000017NEX:4WSTA:21BANK:2011#@LEN:0045STQ2:24000000017NEX:4WSTA:22BANK:2011#", 9
    )
    assert made.lines == [
        b"@LEN:0045STQ2:24000000017NEX:4WSTA:21BANK:2011",
        b"@LEN:0045STQ2:24000000017NEX:4WSTA:22BANK:2011",
    ]


def test_a_line_that_nothing_ends_is_a_message_after_a_pause():
    made = field(handler={"type": "TEXT", "maxFrameLength": 200, "pause": 2})
    device = made.connect()
    device.send(b"#860000000000017,CMD-T,V,DATE:200831,")
    made.clock.advance(1.9)
    device.send(b"TIME:152920,80")
    made.clock.advance(1.9)
    assert made.lines == []
    made.clock.advance(0.1)
    assert made.lines == [b"#860000000000017,CMD-T,V,DATE:200831,TIME:152920,80"] and not device.is_closed
    device.send(b"next\n")
    made.clock.advance(10)
    assert made.lines[1:] == [b"next"]


def test_what_we_do_not_read_is_no_silence():
    made = field(handler={"type": "RAW"})
    made.intake.auto, made.intake.sets_facts = False, True
    device = made.connect()
    for data in (b"one", b"two", b"thr"):
        device.send(data)
        if data != b"thr":
            made.clock.advance(1)
    assert device.is_paused
    made.clock.advance(5)
    device.send(b"ee")
    made.intake.answers[0](Answer(Status.STORED))
    made.intake.answers[1](Answer(Status.STORED))
    made.clock.advance(1)
    assert made.lines == [b"one", b"two", b"three"]


def test_a_closed_connection_leaves_no_timer():
    made = field(handler={"type": "RAW"})
    device = made.connect()
    device.send(b"one")
    device.hang_up()
    assert made.lines == [b"one"] and made.clock.getDelayedCalls() == []


def test_a_dtu_s_registration_names_the_device_and_its_heartbeat_is_no_message():
    made = field(handler={"type": "RAW", "pause": 0.3}, registration={"length": 15}, heartbeat="00")
    device = made.connect()
    for data in (b"860000000000017", b"\x00", bytes.fromhex("0103040001000a2a32")):
        device.send(data)
        made.clock.advance(1)
    assert made.lines == [bytes.fromhex("0103040001000a2a32")] and whose(made) == ["860000000000017"]
    assert made.source.counts["heartbeats"] == 1 and set(made.intake.sessions) == {"860000000000017"}


def test_a_prefix_before_each_document_names_it():
    made = field(handler={"type": "JSON"}, registration={"length": 15, "each": True})
    device = made.connect()
    device.send(b'860000000000017{"t":1}860000000000033{"t":2}{"t":3}', 7)
    assert made.lines == [b'{"t":1}', b'{"t":2}', b'{"t":3}']
    assert whose(made) == ["860000000000017", "860000000000033", "860000000000033"]


def test_an_address_outranks_a_registration():
    made = field(handler={"type": "TEXT"}, registration={"length": 3}, identity="address")
    made.connect().send(b"abcone\n")
    assert made.lines == [b"one"] and whose(made) == ["192.0.2.7"]


def test_a_registration_outranks_what_a_converter_states():
    made = field(handler={"type": "TEXT"}, registration={"length": 3})
    made.intake.sets_facts = True
    made.intake.says = Answer(Status.STORED, facts={"identity": "other", "fw": "1"})
    made.connect().send(b"abcone\ntwo\n")
    assert whose(made) == ["abc", "abc"] and made.intake.received[1][1]["fw"] == "1"
    assert set(made.intake.sessions) == {"abc"}


def test_a_tracker_s_two_headers():
    headers = [
        {"start": "7878", "lengthFieldOffset": 2, "lengthFieldLength": 1, "lengthAdjustment": 2},
        {"start": "7979", "lengthFieldOffset": 2, "lengthFieldLength": 2, "lengthAdjustment": 2},
    ]
    made = field(handler={"type": "BINARY", "headers": headers})
    short, long = (
        bytes.fromhex("78780d0108600000000000170001674e0d0a"),
        bytes.fromhex("797900080102030405060d0a0d0a"),
    )
    made.connect().send(short + long + short, 5)
    assert made.lines == [short, long, short]


def test_a_length_of_one_byte_at_the_beginning_and_padding_behind_the_message():
    made = field(handler={"type": "BINARY", "lengthFieldLength": 1, "initialBytesToStrip": 1})
    made.connect().send(bytes.fromhex("11534e2d30303264656661756c7432352e37000000"), 3)
    assert made.lines[0] == b"SN-002default25.7" and set(made.lines[1:]) <= {b""}


CELLULAR = bytes.fromhex(
    "020001005f000000013031303130313030363734384431313239303132303030333836303030303030303030303031373030"
    "31303130303030303030303137383930303030303030303030303030303030313710000E01750103677D000482FDFF050000"
)


@pytest.mark.parametrize("size", [1, 50, 1000])
def test_a_milesight_s_cellular_frame_has_its_length_at_the_fourth_byte(size):
    made = field(handler={"type": "BINARY", "lengthFieldOffset": 3, "lengthFieldLength": 2})
    made.connect().send(CELLULAR + CELLULAR, size)
    assert made.lines == [CELLULAR, CELLULAR]


@pytest.mark.parametrize("wrong", ["", "7", "zz", "78" * 17])
def test_a_header_begins_with_1_to_16_bytes_in_hexadecimal(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "BINARY", "headers": [{"start": wrong}]}, Handler)


# --- UDP ---


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0", b"\n\0", b""])
def test_a_datagram_of_text_has_no_end_of_line(end):
    made = UdpField(UdpType, handler={"type": "TEXT"})
    made.send(b"SN-001" + end)
    assert made.payloads == [b"SN-001"]


def test_the_end_of_a_datagram_stays_when_asked():
    made = UdpField(UdpType, handler={"type": "TEXT", "stripDelimiter": False})
    made.send(b"SN-001\n")
    assert made.payloads == [b"SN-001\n"]


def test_a_datagram_s_own_mark_is_taken_off_once():
    made = UdpField(UdpType, handler={"type": "TEXT", "delimiter": "#"})
    made.send(b"SN-001##")
    assert made.payloads == [b"SN-001#"]


def test_a_datagram_that_is_nothing_but_an_end_of_line_is_no_message():
    made = UdpField(UdpType, handler={"type": "TEXT"})
    made.send(b"\r\n")
    assert made.payloads == [] and made.intake.rejected == []


def test_a_prefix_of_each_datagram_names_the_device():
    made = UdpField(UdpType, handler={"type": "RAW"}, registration={"length": 15})
    made.send(b"860000000000017\x01\x03")
    made.send(b"86")
    assert made.payloads == [b"\x01\x03"] and whose(made) == ["860000000000017"]
    assert made.intake.rejected[0][2] == "expected a prefix of 15 bytes, got 2 in all"
