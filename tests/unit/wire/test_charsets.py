"""Texts are read in the letters that their sender names, or else in those that they must be in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.wire.charsets import charset_of, text_of


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (b"f\xc3\xbcr", "", "für"),
        (b"f\xfcr", "", "für"),
        (b"f\xfcr", "ISO-8859-1", "für"),
        (b"f\xc3\xbcr", "us-ascii", "fÃ¼r"),
        (b"\x80 5", "latin1", "€ 5"),  # as browsers do
        ("für".encode("cp437"), "cp437", "f\ufffdr"),  # none of the web's
        ("Привет".encode("koi8-r"), "KOI8-R", "Привет"),
        (b"\xff", "utf-8", "ÿ"),
    ],
)
def test_a_text_is_in_the_character_set_that_is_said_if_the_web_has_it(data, charset, text):
    assert text_of(data, charset) == text


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        (b"", ""),
        (b"application/json", ""),
        (b"application/json; charset=utf-8", "utf-8"),
        (b'text/plain;CHARSET="ISO-8859-1"; x=y', "ISO-8859-1"),
        (b"text/plain; nocharset=x", ""),
        (b"text/plain; charset=", ""),
    ],
)
def test_a_content_type_may_name_one(content_type, charset):
    assert charset_of(content_type) == charset


@given(
    st.binary(max_size=200),
    st.one_of(st.text(max_size=20), st.sampled_from(["gbk", "big5", "shift_jis", "idna"])),
)
def test_any_bytes_are_some_text(data, charset):
    assert isinstance(text_of(data, charset), str)
    assert isinstance(charset_of(data), str)
