"""The codec: real vectors, every malformed form, and round trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import (
    Decoder,
    FormatError,
    Message,
    Options,
    decode,
    encode,
    options,
    uri_options,
)

# RFC 7252 appendix A, figure 16: GET /temperature, MID 0x7d34
GET_TEMPERATURE = bytes.fromhex("40017d34bb") + b"temperature"
# its answer: 2.05 "22.3 C"
ANSWER = bytes.fromhex("60457d34ff") + b"22.3 C"


def test_the_example_of_the_rfc_is_read():
    message = decode(GET_TEMPERATURE)
    assert message == Message(n.GET, b"", options((n.URI_PATH, "temperature")), n.CON, 0x7D34)
    assert message.options.path == ("temperature",)
    assert decode(ANSWER) == Message(n.CONTENT, b"22.3 C", Options(), n.ACK, 0x7D34)


def test_the_example_of_the_rfc_is_written():
    assert encode(n.CON, n.GET, 0x7D34, b"", options((n.URI_PATH, "temperature"))) == GET_TEMPERATURE
    assert encode(n.ACK, n.CONTENT, 0x7D34, payload=b"22.3 C") == ANSWER


MALFORMED = {
    "no bytes": b"",
    "three bytes": bytes.fromhex("400112"),
    "version 0": bytes.fromhex("00011234"),
    "version 2": bytes.fromhex("80011234"),
    "version 3": bytes.fromhex("c0011234"),
    "token length 9": bytes.fromhex("49011234") + b"A" * 9,
    "token length 15": bytes.fromhex("4f011234") + b"A" * 15,
    "token beyond the end": bytes.fromhex("48011234") + b"AB",
    "empty with token": bytes.fromhex("4100123441"),
    "empty with payload": bytes.fromhex("40001234ff61"),
    "empty with option": bytes.fromhex("40001234b0"),
    "delta 15": bytes.fromhex("40011234b169f0"),
    "length 15": bytes.fromhex("400112340f") + b"x" * 20,
    "delta and length 15 without payload": bytes.fromhex("40011234ff"),
    "option beyond the end": bytes.fromhex("40011234b5") + b"ab",
    "extended delta missing": bytes.fromhex("40011234d0"),
    "extended delta of two bytes cut": bytes.fromhex("40011234e001"),
    "extended length missing": bytes.fromhex("400112344e01"),
    "marker without payload": bytes.fromhex("40011234b169ff"),
    "option number over 65535": bytes.fromhex("40011234e0ffffe0ffff"),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_messages_are_refused(data):
    with pytest.raises(FormatError):
        decode(data)


@pytest.mark.parametrize(
    ("data", "mid"),
    [
        ("49011234" + "41" * 9, 0x1234),  # CON with a header that can be read
        ("59011234" + "41" * 9, None),  # NON: ignored silently
        ("80011234", None),  # another version: not a word about it
        ("40011234b169ff", 0x1234),
        ("50011234b169ff", None),
        ("40011234b5ab", 0x1234),
        ("70011234b5ab", None),
    ],
)
def test_only_a_confirmable_message_with_a_header_is_to_be_reset(data, mid):
    with pytest.raises(FormatError) as caught:
        decode(bytes.fromhex(data))
    assert caught.value.mid == mid


def test_a_marker_byte_inside_an_option_value_ends_nothing():
    data = encode(
        n.CON, n.POST, 1, b"t", options((n.URI_PATH, b"a\xffb"), (n.ECHO, b"\xff\xff")), b"\xff\xff"
    )
    decoder = Decoder()
    for _ in range(3):  # the second time its options are known
        message = decoder.decode(data)
        assert message.options == ((n.URI_PATH, b"a\xffb"), (n.ECHO, b"\xff\xff"))
        assert message.payload == b"\xff\xff"


def test_known_options_are_the_same_object_and_unknown_ones_do_not_push_them_out():
    decoder = Decoder(keep=8)
    first = decoder.decode(GET_TEMPERATURE).options
    for number in range(1000):
        decoder.decode(encode(n.CON, n.GET, 1, b"", options((n.URI_QUERY, f"q={number}"))))
        if number % 4 == 0:
            assert decoder.decode(GET_TEMPERATURE).options is first


def test_leading_zeros_of_a_uint_do_not_matter():
    assert options((n.CONTENT_FORMAT, b"\0\x32")).get_uint(n.CONTENT_FORMAT) == 50
    assert options((n.CONTENT_FORMAT, 0)) == ((n.CONTENT_FORMAT, b""),)


def test_a_malformed_elective_option_counts_as_absent():
    bad = options((n.CONTENT_FORMAT, b"\0\0\1"))
    assert bad.get(n.CONTENT_FORMAT) is None
    assert bad.flaw is None


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([(9999, b"x")], n.BAD_OPTION),
        ([(n.URI_PORT, 1), (n.URI_PORT, 2)], n.BAD_OPTION),
        ([(n.ACCEPT, b"\0\0\1")], n.BAD_OPTION),
        ([(n.BLOCK1, b"\0\0\0\1")], n.BAD_OPTION),
        ([(n.URI_PATH, b"a" * 256)], n.BAD_OPTION),
        ([(n.URI_PATH, b"\xff\xfe\x80")], n.BAD_OPTION),
        ([(n.URI_PATH, "..")], n.BAD_OPTION),
        ([(n.PROXY_URI, "coap://example.com")], n.PROXYING_NOT_SUPPORTED),
        ([(n.PROXY_SCHEME, "http")], n.PROXYING_NOT_SUPPORTED),
        ([(n.HOP_LIMIT, b"\0")], n.BAD_REQUEST),
    ],
)
def test_a_flaw_in_the_options_names_its_code(pairs, code):
    flaw = options(*pairs).flaw
    assert flaw is not None and flaw[0] == code and flaw[1]


@pytest.mark.parametrize(
    "pairs",
    [[(9998, b"x")], [(350, b"t")], [(n.URI_PATH, "")], [(n.URI_HOST, "example.org"), (n.URI_PORT, 5683)]],
)
def test_unknown_elective_options_and_odd_paths_are_no_flaw(pairs):
    assert options(*pairs).flaw is None


def test_the_cache_key_keeps_bodies_apart_and_their_blocks_together():
    def key(*pairs):
        return options(*uri_options("i/k?a=1"), *pairs).cache_key

    assert key((n.BLOCK1, 8), (n.SIZE1, 300)) == key((n.BLOCK1, 24))
    assert key((n.REQUEST_TAG, b"1")) != key((n.REQUEST_TAG, b"2"))
    assert key() != options(*uri_options("i/k?a=2")).cache_key


numbers = st.integers(0, 0xFFFF)
pairs = st.lists(st.tuples(numbers, st.binary(max_size=300)), max_size=20)


@given(
    st.integers(0, 3),
    st.integers(1, 255),
    st.integers(0, 0xFFFF),
    st.binary(max_size=8),
    pairs,
    st.binary(max_size=100),
)
def test_what_is_encoded_decodes_to_the_same(type_, code, mid, token, pairs, payload):
    opts = options(*pairs)
    data = encode(type_, code, mid, token, opts, payload)
    decoder = Decoder()
    for _ in range(2):
        assert decoder.decode(data) == Message(code, payload, opts, type_, mid, token)


SHARED = Decoder(keep=16)


@given(st.binary(max_size=40) | st.binary(max_size=36).map(lambda tail: b"\x41\x02\x12\x34" + tail))
def test_any_bytes_decode_or_are_refused_and_a_memory_of_others_changes_nothing(data):
    try:
        expected: object = decode(data)
    except FormatError as error:
        expected = str(error)
    try:
        found: object = SHARED.decode(data)
    except FormatError as error:
        found = str(error)
    assert found == expected
    if isinstance(found, Message):
        assert (
            decode(encode(found.type, found.code, found.mid, found.token, found.options, found.payload))
            == found
        )


@pytest.mark.parametrize("location", [n.LOCATION_PATH, n.LOCATION_QUERY])
@pytest.mark.parametrize("reserved", [128, 132, 136, 140])
def test_an_unknown_part_of_a_location_is_refused_beside_a_known_one_only(location, reserved):
    code, reason = options((location, b"a"), (reserved, b"b")).flaw
    assert (code, reason) == (n.BAD_OPTION, f"unknown part of a location, option {reserved}")
    assert options((reserved, b"b")).flaw is None
    assert options((location, b"a"), (reserved + 2, b"b")).flaw is None
