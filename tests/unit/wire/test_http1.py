from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.errors import ProtocolError
from iotgw.wire.http1 import KEPT, MAX_BODY, MAX_FRAMING, Reader, request_head

RESPONSES = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 201 \r\ncontent-length:0\r\n\r\n", 201, b"", True),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
     200, b"abc0123456789", True),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
     200, b"a", True),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno",
     503, b"no", True),
    (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
]  # fmt: skip


@given(st.sampled_from(RESPONSES), st.lists(st.integers(0, 200), max_size=8))
def test_responses_are_read_however_they_are_cut(response, cuts):
    data, status, body, reusable = response
    reader = Reader()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    found = [reader.receive(data[a:b]) for a, b in pairwise(places)]
    assert [one is None for one in found] == [True] * (len(found) - 1) + [False]
    response = found[-1]
    assert (response.status, response.body, response.reusable) == (status, body, reusable)
    assert reader.idle


def test_one_response_after_the_other():
    reader = Reader()
    for data, status, _, _ in RESPONSES[:6]:
        assert reader.receive(data).status == status


@given(st.lists(st.tuples(st.sampled_from(RESPONSES), st.lists(st.integers(0, 200), max_size=3)), max_size=9))
def test_what_repeats_is_read_like_what_does_not(answers):
    one = Reader()
    for (data, status, body, reusable), cuts in answers:
        places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        said = [one.receive(data[a:b]) for a, b in pairwise(places)][-1]
        assert (said.status, said.body, said.reusable) == (status, body, reusable)
        assert one.idle
        assert said == Reader().receive(data)


def test_what_repeats_with_more_behind_it_is_no_repetition():
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    reader = Reader()
    first, second = reader.receive(data), reader.receive(data)
    assert (first.body, first.reusable) == (second.body, second.reusable) == (b"ok", True)
    assert not reader.receive(data + b"H").reusable
    begun = Reader()
    assert begun.receive(data).status == 200
    assert begun.receive(b"HTTP/1.1 201 Created\r\nContent-Length: 46\r\n\r\n") is None
    assert begun.receive(data) is None  # the beginning of a longer body
    assert begun.receive(b"abcdef").body == data + b"abcdef"


def test_a_body_without_a_length_ends_with_the_connection():
    reader = Reader()
    assert reader.receive(b"HTTP/1.1 200 OK\r\n\r\npart") is None
    assert reader.receive(b"s") is None
    response = reader.ended()
    assert (response.body, response.reusable) == (b"parts", False)


def test_a_connection_that_ends_too_early_gives_no_response():
    reader = Reader()
    reader.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart")
    assert reader.ended() is None


def test_a_response_that_nobody_asked_for_makes_the_connection_unusable():
    reader = Reader()
    response = reader.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK")
    assert not response.reusable


def test_of_a_large_body_only_the_beginning_is_kept():
    reader = Reader()
    response = reader.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000)
    assert len(response.body) == KEPT


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"x" * 40000,
    ],
)
def test_what_is_no_response_is_refused(data):
    with pytest.raises(ProtocolError):
        Reader().receive(data)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_response_or_an_error_or_nothing(data):
    reader = Reader()
    try:
        reader.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
        Reader().receive(data)
    except ProtocolError:
        pass


def test_a_header_can_not_smuggle_another():
    with pytest.raises(ValueError, match="printable"):
        request_head("POST", "/", [("X", "a\r\nEvil: 1")])


@pytest.mark.parametrize(("more", "code"), [("\n", "000A"), ("\u200b", "200B"), ("Ж", "0416")])
def test_what_a_header_can_not_say_is_refused_without_its_value(more, code):
    with pytest.raises(ValueError) as caught:
        request_head("POST", "/", [("Host", "h"), ("Authorization", f"Bearer s3cret{more}")])
    assert (
        str(caught.value)
        == f"expected printable characters of Latin-1 in the header Authorization, got U+{code}"
    )


@pytest.mark.parametrize(
    "head", [b"\r\n", b"Content-Length: 99999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5000000\r\n"]
)
def test_of_a_body_without_end_enough_is_enough(head):
    reader = Reader()
    assert reader.receive(b"HTTP/1.1 201 Created\r\n" + head) is None
    for _ in range(MAX_BODY // 65536):
        assert reader.receive(b"x" * 65536) is None
    response = reader.receive(b"x" * 65536)
    assert (response.status, len(response.body), response.reusable) == (201, KEPT, False)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_what_says_nothing_has_an_end(head, piece):
    reader = Reader()
    reader.receive(head)
    with pytest.raises(ProtocolError, match="larger chunks"):
        for _ in range(10):
            assert reader.receive(piece * (MAX_FRAMING // len(piece) // 2)) is None


def test_each_response_may_have_as_much_around_it():
    reader = Reader()
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * 2000
    for _ in range(5):
        assert reader.receive(interim + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").body == b"ok"
