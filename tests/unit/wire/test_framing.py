"""Framing of plain TCP and UDP: delimiter, length field, JSON, hexadecimal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iotgw.wire.framing import (
    DelimiterFramer,
    Fault,
    Frame,
    HexFramer,
    JsonFramer,
    PauseFramer,
    as_text,
    unhex,
)
from iotgw.wire.length_fields import HeaderForm, HeaderFormsFramer, LengthFramer
from iotgw.wire.registration import RegistrationFramer, as_name, split
from tests.unit.wire.streams import assert_bounded, assert_cut_does_not_matter, events_of

GT06 = (HeaderForm(b"\x78\x78", 2, 1, 2), HeaderForm(b"\x79\x79", 2, 2, 2))
FRAMERS = {
    "delimiter": DelimiterFramer,
    "delimiter, kept": lambda: DelimiterFramer(strip=False, limit=5),
    "nul": lambda: DelimiterFramer((b"\x00",), limit=4),
    "length": LengthFramer,
    "length, odd": lambda: LengthFramer(40, offset=1, length=1, adjustment=-2, skip=2, byte_order="little"),
    "json": lambda: JsonFramer(limit=64),
    "hex": lambda: HexFramer(limit=8),
    "a mark of two bytes": lambda: DelimiterFramer((b"#;",), limit=6),
    "two headers": lambda: HeaderFormsFramer(GT06, limit=40),
    "json, prefixed": lambda: JsonFramer(limit=64, prefix=6),
    "registered": lambda: RegistrationFramer(DelimiterFramer(limit=9), 5),
    "each registered": lambda: RegistrationFramer(DelimiterFramer(limit=9), 3, each=True),
    "silence": lambda: PauseFramer(limit=2000),
}


def frames(*data: bytes) -> list[Frame]:
    return [Frame(each) for each in data]


@settings(max_examples=500)
@given(
    name=st.sampled_from(sorted(FRAMERS)),
    data=st.binary(max_size=300) | st.text('{}[]"\\,0aF\r\n\x00 ', max_size=200).map(str.encode),
)
def test_no_bytes_make_a_framer_raise_and_the_cut_does_not_matter(name, data):
    assert_cut_does_not_matter(FRAMERS[name], data)


@pytest.mark.parametrize("name", FRAMERS)
def test_what_waits_is_bounded(name):
    for data in (b"a" * 3000, b"{" * 3000, b'["\\' * 1000, b"\x00\xff" * 1500):
        assert_bounded(FRAMERS[name](), data, 2000 if name == "silence" else 200)


def test_lines_end_with_newline_or_carriage_return_newline():
    events = assert_cut_does_not_matter(DelimiterFramer, b"one\r\ntwo\nthree\r\n\nlast")
    assert events == frames(b"one", b"two", b"three", b"", b"last")


def test_delimiters_are_kept_when_asked():
    assert DelimiterFramer(strip=False).feed(b"one\r\ntwo\n") == frames(b"one\r\n", b"two\n")


def test_a_line_of_exactly_the_limit_passes_and_one_more_byte_ends_the_stream():
    framer = DelimiterFramer(limit=4)
    assert framer.feed(b"1234\r\n") == frames(b"1234")
    (fault,) = framer.feed(b"12345\n6\n")
    assert fault == Fault(b"12345\n6\n", "expected a delimiter within 4 bytes", ends=True)
    assert framer.feed(b"more\n") == []


def test_frames_before_an_endless_line_still_come_out():
    first, second, fault = DelimiterFramer(limit=4).feed(b"1\n2\n" + b"x" * 10_000)
    assert [first, second] == frames(b"1", b"2")
    assert isinstance(fault, Fault) and len(fault.data) == 4096


def test_length_field_frames_of_netty_with_all_five_parameters():
    # a magic byte, a length of 2 bytes that counts the whole frame, body; the header is taken off
    framer = LengthFramer(limit=16, offset=1, length=2, adjustment=-3, skip=3)
    events = assert_cut_does_not_matter(
        lambda: LengthFramer(limit=16, offset=1, length=2, adjustment=-3, skip=3),
        b"\xaa\x00\x05hi" + b"\xaa\x00\x03" + b"\xaa\x00\x06yes",
    )
    assert events == frames(b"hi", b"", b"yes")
    (fault,) = framer.feed(b"\xaa\x00\x02")
    assert fault.reason == "expected a frame of 3 to 16 bytes, got the length 2 (2 bytes)"


def test_little_endian_length():
    assert LengthFramer(byte_order="little", skip=2).feed(b"\x02\x00ok") == frames(b"ok")


def test_a_length_over_the_limit_ends_the_stream_at_once():
    (fault,) = LengthFramer(limit=128).feed(b"\xff\xff")
    assert fault.ends and "to 128 bytes, got the length 65535" in fault.reason


def test_a_truncated_frame_is_kept_with_its_reason():
    assert events_of(LengthFramer(), b"\x00\x05abc", 5) == [
        Fault(b"\x00\x05abc", "expected the rest of a frame, got the end after 5 bytes")
    ]


def test_json_documents_one_after_another():
    text = b'{"a":"}{\\"[" }\n[1,[2]]{},\r\n[{"b":"\\\\"}]'
    assert assert_cut_does_not_matter(JsonFramer, text) == frames(
        b'{"a":"}{\\"[" }', b"[1,[2]]", b"{}", b'[{"b":"\\\\"}]'
    )


@settings(max_examples=30)
@given(st.lists(st.recursive(st.none() | st.text(max_size=9), st.lists, max_leaves=5).map(lambda x: [x])))
def test_any_real_json_comes_through(documents):
    texts = [json.dumps(document).encode() for document in documents]
    assert assert_cut_does_not_matter(JsonFramer, b" ".join(texts)) == frames(*texts)


def test_balanced_text_that_is_no_json_passes_for_the_converter_to_judge():
    dragino = b'{"IMEI":"866207058378443","1":{1,4,0,2023/11/15 07:54:30}}'
    assert JsonFramer().feed(dragino) == frames(dragino)


def test_a_scalar_is_no_document():
    (fault,) = JsonFramer().feed(b"42")
    assert fault.reason == "expected a JSON object or array, got '4'"


def test_an_endless_document_is_given_up():
    (fault,) = JsonFramer(limit=10).feed(b'{"a":"bcdefghij')
    assert fault.reason == "expected a JSON object or array of at most 10 bytes"


def test_hexadecimal_lines_in_the_forms_that_people_type():
    text = b"00ff\n0xCAFE\r\nca fe 01\nca:fe\n\n"
    assert assert_cut_does_not_matter(HexFramer, text) == frames(
        b"\0\xff", b"\xca\xfe", b"\xca\xfe\1", b"\xca\xfe"
    )


def test_a_wrong_hexadecimal_line_does_not_end_the_stream():
    fault, frame = HexFramer().feed(b"0xyz\n01\n")
    assert fault == Fault(b"0xyz", "expected an even number of hexadecimal digits", ends=False)
    assert frame == Frame(b"\1")


@given(st.binary(max_size=200))
def test_unhex_undoes_hex(data):
    assert unhex(data.hex().encode()) == unhex(data.hex(" ").upper().encode()) == Frame(data)


def test_text_in_another_charset_becomes_utf_8():
    assert as_text(b"23 \xb0C", "latin-1") == Frame("23 °C".encode())


def test_text_that_is_not_utf_8_is_kept_with_its_reason():
    assert as_text(b"23 \xb0C", "utf-8") == Fault(b"23 \xb0C", "expected text in utf-8", ends=False)


@pytest.mark.parametrize("mark", [b"#", b";", b"\x03", b"\r", b"END", b"##"])
def test_any_bytes_end_a_message(mark):
    def make():
        return DelimiterFramer((mark,))

    assert assert_cut_does_not_matter(make, b"one" + mark + b"two" + mark) == frames(b"one", b"two")


@settings(max_examples=200)
@given(
    mark=st.binary(min_size=1, max_size=4),
    messages=st.lists(st.binary(max_size=20), max_size=6),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=9),
)
def test_messages_come_out_between_any_marks_however_they_are_cut(mark, messages, cuts):
    data = b"".join(message + mark for message in messages)
    framer, events, at = DelimiterFramer((mark,)), [], 0
    for step in range(len(data) + 1):
        size = cuts[step % len(cuts)]
        events += framer.feed(data[at : at + size])
        at += size
    assert events + framer.close() == [Frame(part) for part in data.split(mark)[:-1]]


def test_a_pause_ends_a_line_that_nothing_else_ends():
    framer = DelimiterFramer()
    assert framer.feed(b"one\ntw") == frames(b"one")
    assert framer.pause() == frames(b"tw") and framer.pause() == []
    assert framer.feed(b"o\n") == frames(b"o")
    assert framer.feed(b"x\r") == [] and framer.pause() == frames(b"x\r")


def test_a_pause_ends_bytes_without_any_framing():
    framer = PauseFramer(limit=9)
    assert framer.feed(b"\x01\x03") + framer.feed(b"\x04") == []
    assert framer.pending == 3
    assert framer.pause() == frames(b"\x01\x03\x04") and framer.pause() == []
    (fault,) = framer.feed(b"x" * 10)
    assert fault.ends and fault.reason == "expected a pause within 9 bytes"
    assert framer.feed(b"more") == [] and framer.close() == []


@pytest.mark.parametrize("make", [LengthFramer, JsonFramer])
def test_a_pause_ends_nothing_that_says_itself_where_it_ends(make):
    framer = make()
    assert framer.feed(b"{" if make is JsonFramer else b"\x00") == []
    assert framer.pause() == [] and framer.pending == 1


def test_two_forms_of_header_on_one_connection():
    short = bytes.fromhex("78780d0108600000000000170001674e0d0a")
    long = bytes.fromhex("79790006940000010203" + "0d0a")
    events = assert_cut_does_not_matter(lambda: HeaderFormsFramer(GT06), short + long + short)
    assert events == frames(short, long, short)


def test_a_header_of_no_form_ends_the_stream():
    (fault,) = HeaderFormsFramer(GT06).feed(b"\x78\x79\x00")
    assert fault == Fault(b"\x78\x79\x00", "expected a frame that begins with 7878, 7979, got 787900")


def test_the_longest_start_that_fits_counts():
    forms = (HeaderForm(b"\x01", 1, 1), HeaderForm(b"\x01\x02", 2, 1), HeaderForm(b"", 0, 1))
    events = assert_cut_does_not_matter(lambda: HeaderFormsFramer(forms), b"\x01\x01a\x01\x02\x01b\x02cd")
    assert events == frames(b"\x01\x01a", b"\x01\x02\x01b", b"\x02cd")


@settings(max_examples=200)
@given(
    packets=st.lists(st.tuples(st.booleans(), st.binary(max_size=60)), max_size=8),
    size=st.integers(1, 30),
)
def test_packets_with_any_of_two_headers_come_through_any_cut(packets, size):
    whole = [
        b"\x79\x79" + len(body).to_bytes(2, "big") + body + b"\r\n"
        if is_long
        else b"\x78\x78" + bytes((len(body),)) + body + b"\r\n"
        for is_long, body in packets
    ]
    assert events_of(HeaderFormsFramer(GT06), b"".join(whole), size) == frames(*whole)


def test_a_registration_at_the_start_belongs_to_every_message():
    def make():
        return RegistrationFramer(DelimiterFramer(), 5)

    assert assert_cut_does_not_matter(make, b"DTU-1one\ntwo\n") == [
        Frame(b"one", b"DTU-1"),
        Frame(b"two", b"DTU-1"),
    ]
    assert make().feed(b"DTU") == [] and make().pause() == []
    framer = make()
    framer.feed(b"DTU")
    assert framer.close() == [Fault(b"DTU", "expected a registration of 5 bytes, got the end after 3 bytes")]


def test_a_prefix_of_each_message_is_taken_off():
    def make():
        return RegistrationFramer(DelimiterFramer(), 2, each=True)

    assert assert_cut_does_not_matter(make, b"01one\n02two\nx\n") == [
        Frame(b"one", b"01"),
        Frame(b"two", b"02"),
        Fault(b"x", "expected a prefix of 2 bytes, got 1 in all", ends=False),
    ]


def test_a_prefix_before_json_ends_with_the_bracket():
    def make():
        return JsonFramer(prefix=15)

    data = b'860000000000017{"t":1}\r\n8600[2]{"t":3}\n860000000000017\r\n{}'
    assert assert_cut_does_not_matter(make, data) == [
        Frame(b'{"t":1}', b"860000000000017"),
        Frame(b"[2]", b"8600"),
        Frame(b'{"t":3}'),
        Frame(b"{}", b"860000000000017"),
    ]


def test_what_is_longer_than_a_prefix_and_no_json_ends_the_stream():
    (fault,) = JsonFramer(prefix=4).feed(b"12345{}")
    assert fault.ends and fault.reason == "expected a JSON object or array, got '1'"


def test_a_registration_is_its_text_or_else_hexadecimal():
    assert as_name(b"860000000000017\r\n") == "860000000000017"
    assert as_name(b"\x01\x02") == "0102" and as_name(b"\xff" * 3) == "ffffff" and as_name(b"\0\0") == ""
    assert split(b"abc", 3) == Frame(b"", b"abc")
