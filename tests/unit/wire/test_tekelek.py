"""Tekelek frames against the vendor's own samples (CF-5018-20 workbook and 9-5988 manual)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.wire.framing import Fault, Frame
from iotgw.wire.tekelek import TekelekFramer, command_line, crc16, expected_answers, metadata
from iotgw.wire.tekelek.clock import nearest_past
from iotgw.wire.tekelek.command import ends_session
from iotgw.wire.tekelek.report import gps, registers
from tests.unit.wire.streams import assert_bounded, assert_cut_does_not_matter

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "tekelek.json").read_text())
FRAMES = [bytes.fromhex(vector["hex"]) for vector in VECTORS]
NOON = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)
MINUTE = 60_000

# 9-5988 manual §2.2.1, a sample that was edited by hand: its CRC belongs to another frame
WRONG_CRC = bytearray(FRAMES[3])
WRONG_CRC[-1] ^= 0xFF

KEYS = {
    "productCode": "product",
    "contactReason": "contact",
    "alarm": "alarm",
    "csq": "csq",
    "rtcSet": "rtcSet",
    "imei": "imei",
    "messageType": "msgType",
    "crcOk": "crcOk",
    "firmware": "fw",
    "batteryPercent": "batteryPct",
    "batteryVolts": "batteryV",
    "messageCount": "msgCount",
    "triesRemaining": "tries",
    "rtcTime": "rtc",
    "word20": "word20",
    "byte22": "b22",
    "loggerMinutes": "loggerMin",
    "loginTimeSeconds": "loginSec",
    "text": "ascii",
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["source"][-22:])
def test_every_sample_of_the_vendor_decodes_to_the_stated_values(vector):
    facts = metadata(bytes.fromhex(vector["hex"]), NOON)
    stated = vector["decoded"]
    for ours, theirs in KEYS.items():
        if theirs in stated:
            assert facts[ours] == stated[theirs], ours


def test_all_samples_in_one_stream_whole_and_by_one_and_seven_bytes():
    assert assert_cut_does_not_matter(TekelekFramer, b"".join(FRAMES)) == [Frame(frame) for frame in FRAMES]


def test_the_high_length_bits_count():
    assert max(len(frame) for frame in FRAMES) == 300


@given(
    st.binary(max_size=400) | st.sampled_from(FRAMES).flatmap(lambda f: st.binary(max_size=30).map(f.__add__))
)
def test_no_bytes_make_the_framer_or_the_decoder_raise(data):
    for event in assert_cut_does_not_matter(TekelekFramer, data):
        metadata(event.data, NOON)
    json.dumps(metadata(data, NOON), allow_nan=False)


@given(st.sampled_from(FRAMES), st.integers(0, 139), st.integers(0, 255), st.integers(0, 1 << 60))
def test_no_changed_frame_makes_the_decoder_raise(frame, position, byte, received_ms):
    changed = bytearray(frame)
    changed[position % len(frame)] = byte
    json.dumps(metadata(bytes(changed), received_ms), allow_nan=False)


def test_what_waits_is_bounded():
    assert_bounded(TekelekFramer(), b"\x18" * 5000, 17 + 1023)
    assert_bounded(TekelekFramer(), FRAMES[3][:15] + b"\xc4\xff" + b"\x00" * 4000, 17 + 1023)


def test_a_wrong_crc_is_flagged_and_kept():
    (event,) = TekelekFramer().feed(bytes(WRONG_CRC))
    assert isinstance(event, Frame)
    assert metadata(event.data, NOON)["crcOk"] is False


def test_an_unknown_product_with_a_right_crc_is_a_frame():
    body = b"\x63" + FRAMES[3][1:-2]
    frame = body + crc16(body).to_bytes(2, "big")
    assert TekelekFramer().feed(frame) == [Frame(frame)]
    assert metadata(frame, NOON)["deviceModel"] == "product 99"


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", b"\xee" * 200, b"\xf8" + b"\x67" * 60], ids=repr
)
def test_other_protocols_are_out_of_step_at_once(data):
    (fault,) = TekelekFramer().feed(data)
    assert fault.ends and fault.reason.startswith("expected a Tekelek frame")


def test_a_good_frame_before_rubbish_still_comes_out():
    frame, fault = TekelekFramer().feed(FRAMES[3] + b"rubbish that is long enough")
    assert frame == Frame(FRAMES[3])
    assert fault.data == b"rubbish that is long enough"


def test_a_truncated_frame_is_kept_with_its_reason():
    framer = TekelekFramer()
    framer.feed(FRAMES[3][:60])
    assert framer.close() == [
        Fault(FRAMES[3][:60], "expected the rest of a frame, got the end after 60 bytes")
    ]


def test_the_text_answer_to_a_firmware_upgrade_is_a_frame_of_its_own():
    stream = FRAMES[3] + b"RDY,0\r\n" + FRAMES[0]
    events = assert_cut_does_not_matter(TekelekFramer, stream)
    assert events == [Frame(FRAMES[3]), Frame(b"RDY,0"), Frame(FRAMES[0])]
    assert metadata(b"RDY,0", NOON) == {"messageName": "ready", "text": "RDY,0"}


def test_names_of_contact_and_alarm_bits():
    facts = metadata(FRAMES[3], NOON)
    assert facts["contactReasons"] == ["scheduled", "dynamicLimit1"]
    assert facts["alarms"] == ["limit1", "bundClosed", "active"]
    assert (facts["deviceModel"], facts["productName"], facts["hardware"]) == (
        "TEK822",
        "TEK822 V2 NB",
        "2.0",
    )
    assert facts["network"] == "NB-IoT" and facts["rssiDbm"] == -63


def test_the_signal_of_a_tek811():
    tek811 = next(
        f for f, v in zip(FRAMES, VECTORS, strict=True) if v["source"].endswith("sheet 811 cell S8")
    )
    assert metadata(tek811, NOON)["signalDbm"] == -89


# --- times ----------------------------------------------------------------------------------------


def times(frame: bytes, received: str, zone: str = "UTC") -> list[str]:
    received_ms = int(datetime.fromisoformat(received).timestamp() * 1000)
    at = metadata(frame, received_ms, ZoneInfo(zone))["sampleTimes"]
    return [datetime.fromtimestamp(ms / 1000, UTC).strftime("%d %H:%M") for ms in at]


def test_scheduled_samples_are_an_interval_apart_and_the_newest_is_at_the_device_s_clock():
    assert times(FRAMES[3], "2026-11-21T08:03:00+00:00")[:3] == ["21 08:00", "21 07:45", "21 07:30"]


def test_alarm_samples_are_a_sampling_period_apart():
    assert times(FRAMES[4], "2026-11-21T07:00:40+00:00")[:2] == ["21 07:00", "21 06:45"]
    assert len(times(FRAMES[4], "2026-11-21T07:00:40+00:00")) == 10


def test_a_magnet_wake_up_is_one_moment():
    magnet = next(f for f in FRAMES if f[0] == 5)  # TEK733, contact reason manual, clock 12:22
    assert set(times(magnet, "2026-11-21T12:30:00+00:00")) == {"21 12:22"}


def test_a_clock_ahead_of_now_was_yesterday_s():
    assert times(FRAMES[3], "2026-11-21T06:00:00+00:00")[0] == "20 08:00"
    # up to an hour ahead is a clock that goes wrong, not yesterday
    assert times(FRAMES[3], "2026-11-21T07:10:00+00:00")[0] == "21 08:00"


def test_a_clock_just_past_midnight_may_be_tomorrow_s():
    late = int(datetime(2026, 11, 20, 23, 58, tzinfo=UTC).timestamp() * 1000)
    assert nearest_past(0, 1, late, UTC) == late + 3 * MINUTE


def test_a_local_clock_is_read_in_its_zone_on_both_sides_of_daylight_saving():
    assert times(FRAMES[3], "2026-07-01T06:05:00+00:00", "Europe/Berlin")[0] == "01 06:00"
    assert times(FRAMES[3], "2026-12-01T07:05:00+00:00", "Europe/Berlin")[0] == "01 07:00"


def test_without_a_set_clock_the_time_of_receipt_stands_in():
    unset = bytearray(FRAMES[3])
    unset[6] &= ~0x20
    facts = metadata(bytes(unset), NOON)
    assert facts["timeSource"] == "receipt"
    assert facts["sampleTimes"][:2] == [NOON, NOON - 15 * MINUTE]


# --- texts ----------------------------------------------------------------------------------------


def test_registers_without_the_passwords():
    assert registers("S0=80,S1=05,S11=TEK822,S14=secret,S15=level.example,S29=") == {
        "S0": "80",
        "S1": "05",
        "S15": "level.example",
        "S29": "",
    }


def test_a_position():
    facts = gps(",95,134442.0,5255.9950N,00832.4417W,1.9,127.8,2,0.00,0.0,0.0,021015,04,")
    assert (facts["latitude"], facts["longitude"]) == (52.93325, -8.540695)
    assert facts["gpsTime"] == int(datetime(2015, 10, 2, 13, 44, 42, tzinfo=UTC).timestamp() * 1000)
    assert (facts["gpsSeconds"], facts["satellites"], facts["gpsDimensions"], facts["hdop"]) == (
        95,
        4,
        2,
        1.9,
    )


def test_no_position():
    assert gps(",0,0,0,0,0,0,0,0,0,0,0,0,")["gpsFix"] is False
    assert gps("") == {"gpsFix": False}


@pytest.mark.parametrize(
    "text", ["1e300", "1e308", "infinity", "nan", "1_0", "9" * 400, "0." + "9" * 400, "٣"]
)
def test_a_gps_field_is_a_short_decimal_number_or_nothing(text):
    assert (
        gps(f",{text},134442.0,5255.9950N,00832.4417W,1.9,127.8,2,0.00,0.0,0.0,021015,04,")["gpsSeconds"]
        is None
    )


# --- commands -------------------------------------------------------------------------------------


def test_a_line_carries_the_password_once_and_all_settings():
    assert command_line("TEK822", ["R1=02", "TEK822,S0=84,S1=00"]) == b"TEK822,R1=02,S0=84,S1=00\r\n"


def test_the_crc_of_the_workbook_s_own_example():
    assert crc16(b"TEK822,R1=02,Z") == 0x4D32
    assert command_line("TEK822", ["R1=02"], with_crc=True) == b"TEK822,R1=02,Z=4D32\r\n"
    assert (
        command_line("Tek643", ["S1-02,S3=04"], with_crc=True, with_crlf=False)
        == b"Tek643,S1-02,S3=04,Z=0892"
    )


def test_a_crc_that_came_with_the_text_is_replaced():
    assert command_line("TEK822", ["TEK822,R1=02,Z=FFFF"], with_crc=True) == b"TEK822,R1=02,Z=4D32\r\n"


@pytest.mark.parametrize("text", ["R1=02\r\nR1=80", "S15=ü", "\x00"])
def test_text_that_a_line_cannot_carry_is_refused(text):
    with pytest.raises(ValueError, match="expected printable ASCII"):
        command_line("TEK822", [text])


def test_which_commands_are_answered_and_which_end_the_session():
    assert expected_answers(["R1=01,R1=02", "R6=02", "S0=80", "R1=80"]) == 3
    assert ends_session(["R3=ACTIVE,R1=80"]) and ends_session(["R6=03"]) and not ends_session(["R1=02"])
