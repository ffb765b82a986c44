"""A Tekelek session: stored, answered with commands or the closing line, and closed."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from twisted.internet.defer import Deferred

from iotgw.datasources.socket import connection
from iotgw.datasources.vendors.tekelek import TekelekSettings, TekelekType
from tests.unit.datasources.fakes import FakeDevice, FakeIntake, clock, context

VECTORS = json.loads((Path(__file__).parents[3] / "data" / "tekelek.json").read_text())
FRAMES = [bytes.fromhex(vector["hex"]) for vector in VECTORS]
LOGGER = FRAMES[3]
IMEI = "864431047987054"
REGISTERS = next(
    f for f, v in zip(FRAMES, VECTORS, strict=True) if v["source"].endswith("sheet 822 cell S10")
)
CLOSING = b"TEK822,R3=ACTIVE,R1=80\r\n"


class Field:
    def __init__(self, **settings) -> None:
        self.intake = FakeIntake()
        self.clock = clock()
        converted = msgspec.convert(settings, TekelekSettings)
        self.source = TekelekType(self.clock).build(converted, context(self.intake, self.clock))

    def connect(self) -> FakeDevice:
        return FakeDevice(self.source)


def test_a_device_with_nothing_queued_is_told_to_sleep_and_the_connection_ends():
    field = Field()
    device = field.connect()
    device.send(LOGGER)
    assert device.read() == CLOSING and not device.is_closed
    field.clock.advance(2)
    assert device.is_closed
    device.hang_up()
    assert field.clock.getDelayedCalls() == []


def test_nothing_is_said_before_the_frame_is_stored():
    field = Field()
    field.intake.auto = False
    device = field.connect()
    device.send(LOGGER)
    assert device.read() == b""
    field.intake.answer(0)
    assert device.read() == CLOSING


def test_the_metadata_says_who_and_when():
    field = Field()
    field.connect().send(LOGGER)
    payload, facts = field.intake.received[0]
    assert payload == LOGGER
    assert (facts["identity"], facts["deviceModel"], facts["messageName"]) == (IMEI, "TEK822", "scheduled")
    assert facts["sampleTimes"][0] < facts["receivedTime"]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_every_sample_of_the_vendor_in_one_session(size):
    field = Field()
    device = field.connect()
    device.send(b"".join(FRAMES), size)
    assert [payload for payload, _ in field.intake.received] == FRAMES
    assert device.read().count(b"R1=80") == 1


def test_queued_commands_go_out_in_one_line_and_the_answer_comes_on_the_same_connection():
    field = Field()
    field.intake.put(IMEI, b"R1=02", b"S0=84")
    device = field.connect()
    device.send(LOGGER)
    assert device.read() == b"TEK822,R1=02,S0=84\r\n"
    assert [state for _, state in field.intake.outcomes] == ["sent", "sent"]
    field.clock.advance(30)
    assert not device.is_closed
    device.send(REGISTERS)
    assert [state for _, state in field.intake.outcomes[2:]] == ["delivered", "delivered"]
    assert device.read() == CLOSING
    assert field.intake.received[1][1]["registers"]["S0"] == "81"


def test_commands_that_ask_for_nothing_are_followed_by_the_closing_line():
    field = Field()
    field.intake.put(IMEI, b"S0=84")
    device = field.connect()
    device.send(LOGGER)
    assert device.read() == b"TEK822,S0=84\r\n" + CLOSING


def test_a_command_that_ends_the_session_is_the_last_word():
    field = Field()
    field.intake.put(IMEI, b"S0=84,R1=80")
    device = field.connect()
    device.send(LOGGER)
    assert device.read() == b"TEK822,S0=84,R1=80\r\n"
    field.clock.advance(2)
    assert device.is_closed


def test_an_answer_that_never_comes_is_waited_for_only_so_long():
    field = Field(answerTimeout=20)
    field.intake.put(IMEI, b"R1=02")
    device = field.connect()
    device.send(LOGGER)
    device.read()
    field.clock.advance(20)
    assert device.read() == CLOSING


def test_a_connection_that_breaks_gives_the_command_back():
    field = Field()
    field.intake.put(IMEI, b"R1=02")
    device = field.connect()
    device.send(LOGGER)
    device.vanish()
    assert field.intake.outcomes[-1][1] == "lost: the connection broke"
    assert field.clock.getDelayedCalls() == []


def test_a_device_that_left_before_its_commands_keeps_them_queued():
    field = Field()
    field.intake.auto = False
    field.intake.put(IMEI, b"R1=02")
    device = field.connect()
    device.send(LOGGER)
    device.hang_up()
    field.intake.answer(0)
    assert field.intake.outcomes == [(f"{IMEI}-0", "lost: the device closed the connection")]


def test_a_command_that_a_line_cannot_carry_does_not_hold_up_the_others():
    field = Field()
    field.intake.put(IMEI, b"S15=\xff", b"R1=02\r\nR1=80", b"S0=84")
    device = field.connect()
    device.send(LOGGER)
    assert device.read().startswith(b"TEK822,S0=84\r\n")
    assert "expected a Tekelek command in ASCII" in field.intake.outcomes[0][1]
    assert "expected printable ASCII" in field.intake.outcomes[1][1]


def test_lobaro_s_form_of_a_raw_downlink():
    field = Field()
    field.intake.put(IMEI, b'{"format":"ASCII","data":"R1=20"}')
    device = field.connect()
    device.send(LOGGER)
    assert device.read() == b"TEK822,R1=20\r\n"


def test_passwords_crc_and_line_end_as_set():
    devices = {IMEI: {"password": "secret", "tankHeight": 200, "timeZone": "Europe/Berlin"}}
    field = Field(devices=devices, commandCrc=True, commandCrlf=False, closingCommands="R6=03")
    device = field.connect()
    device.send(LOGGER)
    line = device.read()
    assert line.startswith(b"secret,R6=03,Z=") and len(line) == len(b"secret,R6=03,Z=ABCD")
    facts = field.intake.received[0][1]
    assert facts["tankHeight"] == 200
    # 08:00 on the device's wall clock, in winter
    assert facts["sampleTimes"][0] % 86_400_000 == 7 * 3_600_000
    assert "password" not in facts


def test_frames_after_the_closing_line_are_kept_and_not_answered_again():
    field = Field()
    device = field.connect()
    device.send(LOGGER)
    device.read()
    device.send(REGISTERS)
    assert len(field.intake.received) == 2 and device.read() == b""


def test_bytes_out_of_step_are_kept_and_end_the_session():
    field = Field()
    device = field.connect()
    device.send(LOGGER + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert len(field.intake.received) == 1
    payload, facts, reason = field.intake.rejected[0]
    assert payload.startswith(b"GET /") and facts["identity"] == IMEI and "expected a Tekelek frame" in reason
    assert device.is_closed


def test_a_truncated_frame_is_kept_when_the_device_leaves():
    field = Field()
    device = field.connect()
    device.send(LOGGER[:100])
    device.hang_up()
    assert field.intake.rejected[0][2] == "expected the rest of a frame, got the end after 100 bytes"


def test_a_frame_with_a_wrong_crc_is_taken_and_flagged():
    field = Field()
    field.connect().send(LOGGER[:-1] + b"\x00")
    assert field.intake.received[0][1]["crcOk"] is False


@pytest.mark.parametrize("name", ["../etc/passwd", "a/" * 4000, "x" * 70_000, "\0", ""])
def test_what_is_no_name_of_a_time_zone_is_refused_in_one_short_line(name):
    with pytest.raises(msgspec.ValidationError, match="expected a time zone") as refused:
        msgspec.convert({"timeZone": name}, TekelekSettings)
    assert len(str(refused.value)) < 200


def test_a_wrong_time_zone_is_refused_when_it_is_saved():
    with pytest.raises(
        msgspec.ValidationError, match="expected a time zone such as Europe/Berlin, got 'Mars'"
    ):
        msgspec.convert({"timeZone": "Mars"}, TekelekSettings)


def test_a_command_that_is_queued_while_the_session_is_open_leaves_at_once():
    field = Field()
    field.intake.put(IMEI, b"R1=02")
    device = field.connect()
    device.send(LOGGER)
    device.read()
    field.intake.put(IMEI, b"S0=84")
    field.intake.sessions[IMEI](field.intake.take(IMEI, 1))
    assert device.read() == b"TEK822,S0=84\r\n"
    device.send(REGISTERS)
    assert device.read() == CLOSING
    # from the closing line on it sleeps
    assert field.intake.sessions == {}


@pytest.mark.parametrize(("rest", "outcomes"), [(0, ["sent", "delivered"]), (7, ["sent"])])
def test_what_the_device_s_tcp_did_not_acknowledge_is_only_sent(monkeypatch, rest, outcomes):
    monkeypatch.setattr(connection, "unacknowledged", lambda transport: rest)
    field = Field()
    field.intake.put(IMEI, b"S0=84")
    device = field.connect()
    device.send(LOGGER)
    field.clock.advance(2)
    assert device.is_closed == (not rest)
    field.clock.pump([connection.LOOK] * connection.LOOKS)
    assert device.is_closed
    device.hang_up()
    assert [state for _, state in field.intake.outcomes] == outcomes
    assert field.clock.getDelayedCalls() == []


def test_a_device_that_has_said_everything_still_gets_its_commands():
    field = Field()
    first, rest = Deferred(), field.intake.downlinks
    field.intake.downlinks = lambda device, limit: first.addCallback(lambda _: rest(device, limit))
    field.intake.put(IMEI, b"S0=84", b"S1=05")
    device = field.connect()
    device.send(LOGGER)
    device.half_close()
    assert not device.is_closed
    first.callback(None)
    assert device.read() == b"TEK822,S0=84,S1=05\r\n" + CLOSING
    assert device.is_closed
