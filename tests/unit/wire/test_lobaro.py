"""Lobaro's envelope: the documented example, and what a reconstruction has to bear."""

from __future__ import annotations

import base64
import json

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.wire.lobaro import DuplicateFilter, downlink, metadata, parse

from . import bombs

# The documented example (Lobaro/docs, "Using Raw UDP / CBOR messages over UDP"), encoded with cbor2.
DOCUMENTED = bytes.fromhex(
    "a36164a6647273736938626476626174190e68676d6f6e69746f727890636f6e6e65637465643a312c20636f6e4d6f64653a"
    "312c207265673a352c207461633a443731452c2063693a30313943313330372c2070736d3a31313130303030302c20746175"
    "3a30303030313130302c20525352503a353628322f34292c20525352513a323428332f34292c20534e523a333728332f3429"
    "2c20636f6e54696d653a332c20636f6e4661696c733a306874656c656772616d584a49449344790501883408780dff5f3500"
    "82670035c8bf55ad3c5b1ed6661c65940b88f47f6ae8c5f5ee3a99e101e82224c4998750477ac4f7409a8a77baa22de3258c"
    "81bc046d3a0a88276974696d657374616d701a5f0595c06b74656d706572617475726518f061696f31323334353631303135"
    "3530353432616e07"
)
TELEGRAM = (
    "SUSTRHkFAYg0CHgN/181AIJnADXIv1WtPFse1mYcZZQLiPR/aujF9e46meEB6CIkxJmHUEd6xPdAmop3uqIt4yWMgbwEbToKiCc="
)


def test_the_documented_example():
    envelope = parse(DOCUMENTED)
    assert (envelope.encoding, envelope.identity, envelope.counter) == ("cbor", "123456101550542", 7)
    data = envelope.value["d"]
    assert data["telegram"] == TELEGRAM and len(base64.b64decode(TELEGRAM)) == 74
    assert (data["rssi"], data["vbat"], data["timestamp"], data["temperature"]) == (
        -99,
        3688,
        1594201536,
        240,
    )
    facts = metadata(envelope, "udp")
    assert (facts["messageName"], facts["messageCount"], facts["input"]["q"]) == ("udp", 7, "udp")


def test_json_is_understood_too():
    envelope = parse(b' {"i":"70b3d5e050020901","n":2,"q":"config","d":{"WAN":"lte"}}')
    assert (envelope.encoding, envelope.identity, envelope.query) == ("json", "70b3d5e050020901", "config")
    assert metadata(envelope)["messageName"] == "config"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"hello",
        b"{}" + b"\xff",
        cbor2.dumps({"n": 7}),
        cbor2.dumps({"i": 5}),
        cbor2.dumps({"i": "x"}) + b"\x00",
        DOCUMENTED[:-1],
        b"\xa1" * 5000,
        b"\xbf" + b"\x9f" * 500_000,
        b"\xa1\x61\x69\x9b" + b"\xff" * 8,
        b"\xbb" + b"\xff" * 8,
        cbor2.dumps({"i": "x", "d": cbor2.CBORTag(9999, b"")}),
        bombs.SHARED,
        bombs.REFERENCES,
        b'{"i":"x","d":' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"i":"x","d":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"i":"x","d":' + b"1" * 10_000 + b"}",
        b'{"i":"x","d":1e400}',
    ],
    ids=lambda data: data[:12].hex(),
)
def test_anything_else_is_raw(data):
    assert parse(data).encoding == "raw" and parse(data).identity == ""


@given(st.binary() | st.binary().map(lambda tail: b"\xa2\x61\x69\x61\x78" + tail))
def test_no_bytes_make_the_decoder_raise(data):
    json.dumps(metadata(parse(data)), allow_nan=False)


_INTEGERS = st.integers(-(2**64), 2**64 - 1)
_VALUES = st.recursive(
    st.none() | st.booleans() | _INTEGERS | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.dictionaries(_INTEGERS, inner),
    max_leaves=10,
)


@given(_VALUES)
def test_every_plain_cbor_value_becomes_json(value):
    envelope = parse(cbor2.dumps({"i": "1", "d": value}))
    assert envelope.encoding == "cbor"
    json.dumps(envelope.value, allow_nan=False)


def test_downlinks_are_cbor_as_the_devices_expect_them():
    assert downlink({"q": "reboot"}).hex() == "a16171667265626f6f74"
    assert cbor2.loads(downlink({"d": {"cmodeDurSec": 123}, "q": "config"}))["d"] == {"cmodeDurSec": 123}


def test_a_message_counts_once_within_the_window():
    seen = DuplicateFilter(window_ms=1000)
    assert seen.is_new("a", 1, 0)
    assert not seen.is_new("a", 1, 999)
    assert seen.is_new("a", 2, 999) and seen.is_new("b", 1, 999)
    # the counter starts again with a reboot
    assert seen.is_new("a", 1, 2000)


def test_messages_without_a_counter_are_never_duplicates():
    seen = DuplicateFilter()
    assert (
        seen.is_new("a", None, 0)
        and seen.is_new("a", None, 0)
        and seen.is_new("", 1, 0)
        and seen.is_new("", 1, 0)
    )


def test_a_message_that_was_not_taken_may_come_again():
    seen = DuplicateFilter()
    seen.is_new("a", 1, 0)
    seen.forget("a", 1)
    assert seen.is_new("a", 1, 0)


def test_the_filter_is_bounded():
    seen = DuplicateFilter(size=100)
    for counter in range(1000):
        seen.is_new("a", counter, 0)
    assert len(seen) <= 101
