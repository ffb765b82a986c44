"""How an HTTP body becomes messages."""

from __future__ import annotations

import pytest

from iotgw.datasources.http.request import MESSAGES, payloads


def test_an_array_and_lines_are_messages_each() -> None:
    assert payloads(b'[1, {"a": 2}]', "array") == [b"1", b'{"a": 2}']
    assert payloads(b"1\r\n\n2\n", "lines") == [b"1", b"2"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1", b"[" * 100_000, b"[" * 2000 + b"]" * 2000, b"\xff"])
def test_what_is_no_array_is_refused_by_one_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="expected a JSON array"):
        payloads(body, "array")


@pytest.mark.parametrize(
    ("split", "body"), [("array", b"[" + b"1," * MESSAGES + b"1]"), ("lines", b"1\n" * (MESSAGES + 1))]
)
def test_one_request_has_a_bounded_number_of_messages(split: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=f"at most {MESSAGES} messages"):
        payloads(body, split)
