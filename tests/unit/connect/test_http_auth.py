"""Fetching a token: what the token server answers is bounded before anything is made of it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Site

from iotgw.connect.endpoint import Connector
from iotgw.connect.http_auth import LARGEST, AccessToken, OAuth2


class TokenServer(Resource):
    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.body = b""
        self.status = 200
        self.headers: dict[bytes, bytes] = {}
        self.asked: list[tuple[bytes, bytes]] = []

    def render_POST(self, request: Any) -> bytes:
        self.asked.append((request.getHeader(b"content-type"), request.content.read()))
        request.setResponseCode(self.status)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        return self.body


@pytest.fixture
def server() -> Iterator[TokenServer]:
    resource = TokenServer()
    port = reactor.listenTCP(0, Site(resource), interface="127.0.0.1")  # type: ignore[attr-defined]
    resource.url = f"http://127.0.0.1:{port.getHost().port}/token"
    yield resource
    pytest_twisted.blockon(port.stopListening())


def fetch(server: TokenServer) -> tuple[AccessToken, Deferred[str]]:
    token = AccessToken(
        OAuth2(token_url=server.url, client_id="me", client_secret="hush-hush"),
        reactor,
        None,
        Connector(reactor),
    )
    done: Deferred[str] = Deferred()
    token.refresh(done.callback)
    return token, done


@pytest_twisted.ensureDeferred
async def test_a_token_is_asked_for_with_a_form(server: TokenServer) -> None:
    server.body = b'{"access_token": "t", "expires_in": 60}'
    token, done = fetch(server)
    assert await done == ""
    assert token.header == b"Authorization: Bearer t\r\n"
    assert server.asked == [(b"application/x-www-form-urlencoded", b"grant_type=client_credentials")]


@pytest_twisted.ensureDeferred
async def test_a_compressed_answer_is_not_inflated(server: TokenServer) -> None:
    server.body = gzip.compress(b" " * (4 << 20) + b'{"access_token": "t"}')
    server.headers = {b"Content-Encoding": b"gzip"}
    assert len(server.body) < LARGEST
    token, done = fetch(server)
    assert (await done).startswith("no token: HTTP 200")
    assert token.header == b""


@pytest.mark.parametrize(
    "body",
    [b"[" * 50_000, b'"\xff"', b"1e400", b"[]"],
    ids=lambda body: body[:20].hex(),
)
@pytest_twisted.ensureDeferred
async def test_an_answer_that_is_no_token_is_a_reason(server: TokenServer, body: bytes) -> None:
    server.body = body
    _, done = fetch(server)
    assert (await done).startswith("no token: HTTP 200")


@pytest.mark.parametrize("status", [200, 400])
@pytest_twisted.ensureDeferred
async def test_no_reason_repeats_a_secret(server: TokenServer, status: int) -> None:
    server.status = status
    server.body = b'{"accessToken": "hush-2"}' if status == 200 else b'{"error": "invalid_client hush-hush"}'
    _, done = fetch(server)
    reason = await done
    assert "hush" not in reason
    assert reason.startswith(f"no token: HTTP {status}")


@pytest_twisted.ensureDeferred
async def test_a_longer_answer_is_not_read(server: TokenServer) -> None:
    server.body = b" " * (LARGEST + 1)
    _, done = fetch(server)
    assert "at most 65536 bytes" in await done
