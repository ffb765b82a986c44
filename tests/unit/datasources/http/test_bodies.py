"""What a request carries: compressed bodies within bounds, and forms and queries as objects."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.datasources.http.bodies import UnreadableBody, as_json, decoded, form, query

BODY = b'{"a":1}'
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xyz"


def zipped(body):
    """The same bytes whenever it is called: they name tests."""
    return gzip.compress(body, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", BODY), ("identity", BODY), ("gzip", zipped(BODY)), (" GZip ", zipped(BODY)),
        ("x-gzip", zipped(BODY)), ("deflate", zlib.compress(BODY)), ("deflate", raw_deflate(BODY)),
        ("identity, gzip", zipped(BODY)), (",gzip", zipped(BODY)), ("gzip", zipped(BODY[:3]) + zipped(BODY[3:])), ("gzip", zipped(BODY) + zipped(b"")),
    ],
)  # fmt: skip
def test_a_body_is_read_without_its_coding(coding, body):
    assert decoded(body, coding, 100) == BODY


def test_an_empty_body_that_is_compressed_is_empty():
    assert decoded(zipped(b""), "gzip", 100) == b""


@pytest.mark.parametrize(
    ("coding", "body", "status", "is_kept"),
    [
        ("br", BODY, 415, False),
        ("zstd", BODY, 415, False),
        ("gzip, gzip", BODY, 415, False),
        ("gzip", BODY, 400, True),
        ("gzip", b"", 400, True),
        ("gzip", zipped(BODY)[:-3], 400, True),
        ("gzip", zipped(BODY) + b"more", 400, True),
        ("gzip", zipped(b"") * 17, 400, True),
        ("deflate", b"\x78\x9c\xff\xff", 400, True),
        ("gzip", zipped(bytes(101)), 413, False),
        ("gzip", zipped(bytes(10 << 20)), 413, False),
        ("gzip", zipped(bytes(60)) + zipped(bytes(60)), 413, False),
    ],
)
def test_what_can_not_be_read_says_why(coding, body, status, is_kept):
    with pytest.raises(UnreadableBody) as caught:
        decoded(body, coding, 100)
    assert (caught.value.status, caught.value.is_kept) == (status, is_kept)


def test_a_body_of_exactly_the_most_is_taken():
    assert len(decoded(zipped(bytes(100)), "gzip", 100)) == 100


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"PASSKEY=AABB&dateutc=2023-05-20+19%3A40%3A43&tempf=91.8",
         {"PASSKEY": "AABB", "dateutc": "2023-05-20 19:40:43", "tempf": "91.8"}),
        (b"a=1&a=2&b=&c", {"a": ["1", "2"], "b": "", "c": ""}),
        (b"a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        (b"caf%C3%A9=%C3%BC", {"café": "ü"}),
        ("unit=°C&t=21".encode(), {"unit": "°C", "t": "21"}),
        (b"\xef\xbb\xbft=21", {"t": "21"}),
        (b"a=1\r\n", {"a": "1"}),
        (b"a=1\nb=2", None),
        (b'{"a": "b=c"}', None),
        (b'  ["a=b"]', None),
        (b"<x a='b'/>", None),
        (b"\x01=\x02", None),
        (b"t=\xb0C", None),
        (b"21.5", None),
        (b"", None),
    ],
)  # fmt: skip
def test_a_form_is_an_object_and_what_is_only_called_so_is_not(body, fields):
    assert form(body, FORM) == fields
    assert form(body, f"{FORM}; charset=UTF-8") == fields
    assert form(body, "application/octet-stream") is form(body, "") is None


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        (b"t=%B0C", "", "°C"),
        (b"t=%80", "", "€"),
        (b"t=%B0C", "; charset=ISO-8859-1", "°C"),
        (b"t=\xb0C", "; charset=iso-8859-1", "°C"),
        (b"t=%A4", '; charset="ISO-8859-15"', "€"),
        (b"t=%C4%E3", "; charset=GB2312", "你"),
        (b"t=\x82\xa0", "; charset=Shift_JIS", "あ"),
        (b"t=%C2%B0C", "; charset=nobody-knows", "°C"),
        (b"t=%C2%B0C", "; charset=rot13", "°C"),
        (b"t=xn--a", "; charset=idna", "xn--a"),
        (b"t=%81", "", "�"),
    ],
)
def test_a_form_is_in_the_character_set_that_it_says_or_looks_like(body, charset, text):
    assert form(body, FORM + charset) == {"t": text}


@pytest.mark.parametrize(("text", "value"), [(b"t=%C2%B0C", "°C"), (b"t=%B0C", "°C"), (b"t=%81", "�")])
def test_a_query_is_in_utf_8_or_looks_western(text, value):
    assert query(text) == {"t": value}


@pytest.mark.parametrize("kind", ["text/plain; charset=iso-8859-1", "text/plain", ""])
def test_a_part_is_in_its_own_character_set(kind):
    assert form(part('name="t"', b"\xb0C", kind) + b"--xyz--\r\n", MULTIPART) == {"t": "°C"}


def part(disposition: str, content: bytes, kind: str = "") -> bytes:
    more = f"\r\nContent-Type: {kind}" if kind else ""
    return (
        f"--xyz\r\nContent-Disposition: form-data; {disposition}{more}\r\n\r\n".encode() + content + b"\r\n"
    )


def test_a_multipart_body_is_an_object_with_its_files():
    body = (
        part('name="station"', "Süd".encode())
        + part('name="event"', b'{"door": true}', "application/json; charset=utf-8")
        + part('name="photo"; filename="p.jpg"', b"\xff\xd8\r\n--xy", "image/jpeg")
        + part('name="station"', b"2")
        + part('name="none"', b"")
        + b"--xyz--\r\n"
    )
    assert form(body, MULTIPART) == {
        "station": ["Süd", "2"],
        "event": {"door": True},
        "photo": {"filename": "p.jpg", "contentType": "image/jpeg", "base64": "/9gNCi0teHk="},
        "none": "",
    }


def test_a_thousand_fields_with_plain_headers_are_taken():
    body = b"".join(part(f'name="field-{number}"', b"1") for number in range(1000)) + b"--xyz--\r\n"
    assert len(form(body, MULTIPART)) == 1000


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        (MULTIPART, b""),
        (MULTIPART, b"no boundary"),
        (MULTIPART, part('name="a"', b"1")),
        (MULTIPART, part('name="a"', b"{", "application/json") + b"--xyz--\r\n"),
        (MULTIPART, b"--xyz\r\n\r\n1\r\n--xyz--\r\n"),
        (MULTIPART, part('name="a"', b"1") * 1001 + b"--xyz--\r\n"),
        (MULTIPART, part('name="a"' + "; p=1" * 700, b"1") * 50 + b"--xyz--\r\n"),
        (MULTIPART, b"--xyz\r\n" + b"A: b\r\n" * 100 + b"\r\n1\r\n--xyz--\r\n"),
        (
            MULTIPART,
            b"--xyz\r\nContent-Disposition: form-data; name=" + b"a" * 10_000 + b"\r\n\r\n1\r\n--xyz--\r\n",
        ),
        (FORM, b"&".join(b"a=1" for _ in range(1001))),
    ],
)
def test_a_form_that_is_broken_or_without_end_is_kept_with_a_reason(kind, body):
    with pytest.raises(UnreadableBody, match="expected a form: ") as caught:
        form(body, kind)
    assert (caught.value.status, caught.value.is_kept) == (400, True)


def test_a_query_is_an_object():
    assert query(b"a=1&b=x%20y+z&a=2") == {"a": ["1", "2"], "b": "x y z"}
    with pytest.raises(UnreadableBody, match="at most 1000 parameters"):
        query(b"a=1&" * 1001)


@given(
    st.binary(max_size=200),
    st.sampled_from([FORM, MULTIPART, "multipart/form-data", "", 'a/b; c="', "=;=;="]),
)
def test_whatever_comes_is_an_object_or_refused(body, kind):
    try:
        found = form(b"--xyz\r\n" + body if kind == MULTIPART else body, kind)
        as_json(found or {})
    except UnreadableBody as error:
        assert error.status == 400


@given(st.binary(max_size=100), st.sampled_from(["gzip", "deflate", "x", ""]))
def test_whatever_is_compressed_is_read_within_its_bounds_or_refused(body, coding):
    try:
        assert len(decoded(body, coding, 500)) <= 500
    except UnreadableBody as error:
        assert error.status in (400, 413, 415)
