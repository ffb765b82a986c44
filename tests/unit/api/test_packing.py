"""Long answers are packed for whoever takes gzip."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


async def answer(client: Any, path: str, accepted: str) -> tuple[str, bytes]:
    """How an answer is packed, and its bytes as they come."""
    headers = Headers({"Authorization": [f"Bearer {client.token}"], "Accept-Encoding": [accepted]})
    got: Any = await Agent(reactor).request(b"GET", f"{client.base}/api/v1{path}".encode(), headers)
    return ",".join(got.headers.getRawHeaders("content-encoding", [])), await readBody(got)


@inline
@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "*", "GZIP"])
async def test_a_long_answer_is_packed(accepted: str, bench: Any, connect: Any) -> None:
    client = connect("viewer", "default")
    for _ in range(20):
        bench.add("web", b"x" * 100)
    packing, body = await answer(client, "/messages", accepted)
    assert packing == "gzip"
    assert gzip.decompress(body) == (await answer(client, "/messages", "identity"))[1]


@inline
@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, br", "xgzip"])
async def test_who_does_not_take_it_gets_it_as_it_is(accepted: str, bench: Any, connect: Any) -> None:
    for _ in range(20):
        bench.add("web", b"x" * 100)
    packing, body = await answer(connect("viewer", "default"), "/messages", accepted)
    assert packing == "" and body.startswith(b'{"items"')


@inline
async def test_a_short_one_never_is(connect: Any) -> None:
    assert (await answer(connect("viewer", "default"), "/messages", "gzip"))[0] == ""
