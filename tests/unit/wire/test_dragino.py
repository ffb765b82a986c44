"""Dragino frames: manuals' and captured ones, in every form that a transport gives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iotgw.wire.dragino import DraginoFrame, DraginoStream, encode_downlink, metadata, parse, stream
from iotgw.wire.dragino.layout import MODEL_CODES
from iotgw.wire.framing import Fault, Frame
from tests.unit.wire.streams import assert_bounded, assert_cut_does_not_matter, pieces

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "dragino.json").read_text())
FRAMES = [bytes.fromhex(vector["hex"]) for vector in VECTORS]
CPN01, NLMS01, NDDS75, NDDS_UDP, NSE01, NBSN95, NDS01 = FRAMES
# DS03A-NB, wiki; shortened in the middle, the records are no JSON
DS03A = (
    b'{"IMEI":"866207058378443","Model":"DS03A-NB","level status":1,"alarm status":0,"door open num":2,'
    b'"last open time":0,"battery":3.39,"signal":25,"1":{1,4,0,1,3,0,2023/11/15 07:54:30}}'
)
IMSI = "f460113118743732"


def of(data: bytes) -> DraginoFrame:
    frame = parse(data)
    assert isinstance(frame, DraginoFrame), frame
    return frame


def as_g2(data: bytes, extra: str = "", at: int = 2) -> bytes:
    """A G1 frame as the next generation sends it: with the IMSI, and the interrupt's level."""
    text = data.hex()
    body = text[26:]
    return bytes.fromhex(text[:16] + IMSI + text[16:26] + body[: 2 * at] + extra + body[2 * at :])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("form", ["raw", "hex", "HEX"])
def test_every_frame_of_the_facts_tells_its_header(vector, form):
    data = bytes.fromhex(vector["hex"])
    text = {"raw": data, "hex": data.hex().encode(), "HEX": data.hex().upper().encode() + b"\r\n"}[form]
    frame = of(text)
    facts = metadata(frame)
    for key in ("generation", "imei", "deviceId", "firmware", "batteryVolts", "csq"):
        assert facts.get(key) == vector.get(key), key
    assert frame.payload == data
    assert frame.encoding == ("raw" if form == "raw" else "asciihex")
    assert facts["deviceModel"] == vector["model"]
    assert facts.get("deviceModelGuessed", False) == ("candidates" in vector)
    assert facts.get("deviceModelCandidates") == vector.get("candidates")


@pytest.mark.parametrize("told", [("NSPH01",), ("", "NSPH01"), ("NSPH01", "NMDS200")])
def test_the_settings_say_what_the_frame_does_not(told):
    facts = metadata(of(NLMS01), *told)
    assert facts["deviceModel"] == "NSPH01"
    assert "deviceModelGuessed" not in facts and "deviceModelCandidates" not in facts


def test_a_model_of_all_does_not_replace_what_a_frame_tells():
    assert metadata(of(NDDS75), "", "NLMS01")["deviceModel"] == "NDDS75"
    assert metadata(of(NDDS75), "NLMS01")["deviceModel"] == "NLMS01"
    assert metadata(of(NDDS75[:-1]), "", "NLMS01")["deviceModel"] == "NLMS01"


def test_the_next_generation_carries_an_imsi():
    facts = metadata(of(as_g2(NDDS75, "01")))
    assert (facts["generation"], facts["imsi"], facts["deviceModel"]) == ("G2", IMSI[1:], "NDDS75")
    assert (facts["firmware"], facts["dataOffset"]) == ("1.5.2", 21)


def test_a_position_makes_it_the_third_generation():
    first = as_g2(NDDS75[:21], "01")
    located = first + bytes.fromhex("01591a2e06c8d2ff6490804000fa64908040")
    facts = metadata(of(located))
    assert (facts["generation"], facts["deviceModel"]) == ("G3", "NDDS75")


def test_the_version_word_may_name_the_model():
    frame = bytearray(as_g2(bytes.fromhex("f86778705454507800980ce109")) + bytes(8 + 12 + 4 + 4))
    frame[16] = 0x46
    facts = metadata(of(bytes(frame)))
    assert (facts["modelCode"], facts["deviceModel"]) == (0x46, "PS-NB")


def test_json_that_is_none_still_says_whose_it_is():
    facts = metadata(of(DS03A))
    assert (facts["generation"], facts["imei"], facts["deviceModel"]) == (
        "JSON",
        "866207058378443",
        "DS03A-NB JSON",
    )


@pytest.mark.parametrize("told", [("NDS03A",), ("NDS03A JSON",)])
def test_a_model_that_is_set_does_not_send_json_to_a_converter_of_bytes(told):
    assert metadata(of(DS03A), *told)["deviceModel"] == "NDS03A JSON"
    unnamed = of(b'{"IMEI":"866207058378443"}')
    assert metadata(unnamed)["deviceModel"] == "JSON"
    assert metadata(unnamed, "", *told)["deviceModel"] == "NDS03A JSON"


@pytest.mark.parametrize("around", [b"\r\n%b", b"%b\r\n", b" %b\r\n\0", b"%b\0"])
def test_blanks_around_text_are_nothing(around):
    assert of(around % DS03A).payload == DS03A
    assert of(around % NDDS75.hex().encode()).payload == NDDS75
    stream = DraginoStream()
    events = stream.feed(around % DS03A) + stream.pause()
    assert [of(event.data).payload for event in events] == [DS03A]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "at least 11 bytes, got 0"),
        (b"{}", 'expected "IMEI"'),
        (b"GET / HTTP/1.1\r\n\r\n", "digits of an IMEI, got 474554202f204854"),
        (NDDS75[:12], "expected the 13 bytes of a G1 header, got 12"),
        (
            b"F8 67 78 70 52 67 96 14 00 98 0d",
            "expected a G0 frame's battery in mV and CSQ at offset 8, got 8247 and 48",
        ),
        (b"0" * 21, "got 12336 and 48"),
        (NDS01[:30], "expected the 61 bytes of a KW frame, got 30"),
        (NDS01[:-3] + b"xyz", "tail IOT"),
    ],
)
def test_what_is_no_frame_is_told_why(data, reason):
    assert reason in parse(data)


@settings(max_examples=300)
@given(
    st.binary(max_size=200) | st.sampled_from([*FRAMES, DS03A]).flatmap(lambda f: st.binary().map(f.__add__))
)
def test_no_bytes_make_the_decoder_or_the_stream_raise(data):
    frame = parse(data)
    if isinstance(frame, DraginoFrame):
        json.dumps(metadata(frame), allow_nan=False)
    assert_cut_does_not_matter(DraginoStream, data)


# --- where a frame ends ---------------------------------------------------------------------------


@pytest.mark.parametrize("data", [*FRAMES, DS03A], ids=[*(v["name"] for v in VECTORS), "DS03A"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_frame_ends_by_itself_or_at_a_pause(data, size):
    stream = DraginoStream()
    events = [event for piece in pieces(data, size) for event in stream.feed(piece)]
    assert events + stream.pause() == [Frame(data)]
    assert stream.pending == 0


def test_a_whole_frame_is_known_before_the_pause():
    stream = DraginoStream()
    stream.feed(NDDS75[:-1])
    assert not stream.is_whole
    stream.feed(NDDS75[-1:])
    assert stream.is_whole


def test_text_frames_end_without_a_pause():
    assert DraginoStream().feed(DS03A + NDS01) == [Frame(DS03A), Frame(NDS01)]


def test_two_generations_on_one_connection():
    stream = DraginoStream()
    assert stream.feed(NDDS75 + DS03A + as_g2(NDDS75, "01")) == [Frame(NDDS75), Frame(DS03A)]
    assert stream.pause() == [Frame(as_g2(NDDS75, "01"))]


def test_two_frames_of_one_device_in_one_segment():
    events = assert_cut_does_not_matter(DraginoStream, NDDS75 + NDDS75 + NDDS75)
    assert events == [Frame(NDDS75)] * 3
    text = NDDS75.hex().encode()
    assert assert_cut_does_not_matter(DraginoStream, text + text) == [Frame(text)] * 2


def test_frames_of_several_devices_in_one_segment():
    sent = [NDDS75, NLMS01, as_g2(NDDS75, "01"), CPN01, NDDS_UDP]
    assert assert_cut_does_not_matter(DraginoStream, b"".join(sent)) == [Frame(frame) for frame in sent]


def test_what_looks_like_a_device_within_a_frame_does_not_cut_it():
    # distances and times that happen to be a nibble f and 15 digits
    frame = NDDS75[:17] + bytes.fromhex("f012 34567890 1234 64908040".replace(" ", ""))
    events = assert_cut_does_not_matter(DraginoStream, frame)
    assert events == [Frame(frame)]


def test_an_endless_frame_is_given_up():
    assert_bounded(DraginoStream(), b"\xf8" + b"\x01" * 5000, 2048)
    (fault,) = DraginoStream().feed(b"x" * 3000)
    assert fault.ends and fault.reason == "expected a Dragino frame of at most 2048 bytes"


def test_an_unfinished_document_is_a_fault():
    stream = DraginoStream()
    assert stream.feed(DS03A[:-1]) == []
    (fault,) = stream.pause()
    assert isinstance(fault, Fault) and "closing bracket" in fault.reason


# --- downlinks ------------------------------------------------------------------------------------


def test_downlinks_in_the_form_that_the_node_wants():
    every_900_seconds = bytes.fromhex("01000384")
    assert encode_downlink(every_900_seconds) == every_900_seconds
    assert encode_downlink(every_900_seconds, "asciihex") == b"01000384"
    assert encode_downlink(b"AT+TDC=90;ATZ", "text") == b'{"Config":"[AT+TDC=90;ATZ]"}'
    assert encode_downlink(b'{"Config":"[AT+TDC=90]"}', "text") == b'{"Config":"[AT+TDC=90]"}'


FIELD = bytes.fromhex(
    "f860000000000033f001010000000033506e0cba16010104000000000100fe01fd6756bb09015a775a06cf35d66682595d"
)
"""A frame with a model code that nobody knows, and the length of one of PS-NB's layouts."""


def test_a_model_code_that_nobody_knows_is_of_no_other_model():
    facts = metadata(of(FIELD))
    assert facts["modelCode"] == 0x50 and facts["deviceModelSource"] == "unknown"
    assert "deviceModel" not in facts and "deviceModelCandidates" not in facts
    assert (facts["batteryVolts"], facts["csq"], facts["generation"]) == (3.258, 22, "G2")
    assert metadata(of(FIELD), "SN50v3-CB")["deviceModel"] == "SN50v3-CB"
    assert metadata(of(FIELD), "", "SN50v3-CB")["deviceModel"] == "SN50v3-CB"


@pytest.mark.parametrize("code", sorted(set(range(1, 256)) - set(MODEL_CODES)))
def test_no_unknown_code_makes_a_model_of_any_length(code):
    for size in range(21, len(FIELD) + 60):
        frame = bytearray(FIELD + bytes(60))[:size]
        frame[16] = code
        assert "deviceModel" not in metadata(of(bytes(frame)))


@pytest.mark.parametrize("code", MODEL_CODES)
def test_a_known_code_is_never_of_another_model(code):
    for size in range(21, len(FIELD) + 60):
        frame = bytearray(FIELD + bytes(60))[:size]
        frame[16] = code
        facts = metadata(of(bytes(frame)))
        assert facts.get("deviceModel", MODEL_CODES[code]) == MODEL_CODES[code]
        assert facts.get("productName", MODEL_CODES[code]) == MODEL_CODES[code]


def test_sn50v3_cb_is_told_by_its_code():
    frame = bytearray(FIELD)
    frame[16] = 0x4C
    facts = metadata(of(bytes(frame)))
    assert (facts["deviceModel"], facts["generation"]) == ("SN50v3-CB", "G3")


@pytest.mark.parametrize(
    "piece",
    [
        bytes.fromhex("f86778705040150 08e0e10ed".replace(" ", "")),
        bytes.fromhex("f867787050401500"),
        b"((((((",
    ],
)
def test_what_looks_like_many_frames_is_not_tried_as_every_one_of_them(monkeypatch, piece):
    tried = []
    monkeypatch.setattr(stream, "parse", lambda data: tried.append(len(data)) or parse(data))
    DraginoStream().feed(piece * (8192 // len(piece)))
    assert len(tried) <= 8192 // 12 * 2
