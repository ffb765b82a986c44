"""How an HTTP body becomes messages."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
from twisted.web.test.requesthelper import DummyRequest

from iotgw.core.model import Metadata
from iotgw.datasources.http.request import MESSAGES, SecretNames, metadata, payloads


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


def seen(headers: list[tuple[str, str]], query: bytes = b"", secret: tuple[str, ...] = ()) -> Metadata:
    request: Any = DummyRequest([])
    request.method = b"POST"
    request.args = parse_qs(query)
    for name, value in headers:
        request.requestHeaders.addRawHeader(name, value)
    request.getClientAddress = lambda: None
    return metadata(request, "web", SecretNames(secret, ("Klk-Token",)))


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "Cookie", "Proxy-Authorization", "X-Downlink-Apikey", "X-API-Key", "X-Auth-Token",
        "X-Gitlab-Token", "X-Hub-Signature-256", "X-Amz-Security-Token", "X-Client-Secret", "X-Password", "Api_Key",
    ],
)  # fmt: skip
def test_headers_that_carry_secrets_do_not_become_metadata(name: str) -> None:
    assert "hush" not in str(seen([(name, "hush")]))


def test_headers_of_the_filter_do_not_become_metadata_and_others_do() -> None:
    found = seen(
        [("X-Mine", "hush"), ("X-Device", "seven"), ("X-Downlink-Push", "https://h/")], secret=("X-MINE",)
    )
    headers = {name: value for name, value in found.items() if name.startswith("Header:")}
    assert headers == {"Header:X-Device": "seven", "Header:X-Downlink-Push": "https://h/"}


def test_secrets_in_the_query_do_not_become_metadata() -> None:
    query = b"access_token=hush&apikey=hush&api_key=hush&sig=hush&key=hush&password=hush&monkey=7&deviceKey=8&ttd=1&klk-token=hush"
    assert seen([], query)["query"] == {"monkey": "7", "deviceKey": "8", "ttd": "1"}
