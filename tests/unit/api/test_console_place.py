"""Where the console stands beside the API and beside what devices use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource

from iotgw.api.app import api_site
from iotgw.api.site import ApiSite
from iotgw.web import assets
from iotgw.web.console import Console


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


class Page(Resource):
    """A datasource's answer that looks like a page."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        request.setHeader("Content-Type", "text/html")
        return b"<script>alert(1)</script>"


class Mounts:
    """One datasource, at ``/i``."""

    def resource(self, path: bytes, request: Any) -> Any:
        return Page() if path == b"i" else None


@pytest.fixture
def ask(bench: Any, tmp_path: Path) -> Any:
    """``await ask(path, accept, built)``: the answer, and its body."""
    ports: list[Any] = []

    async def get(path: str, accept: str = "*/*", built: bool = True) -> tuple[Any, bytes]:
        if built:
            (tmp_path / "index.html").write_bytes(b"<!doctype html>the console")
        mounts: Any = Mounts()
        site = ApiSite(api_site(bench.parts, mounts, Console(assets.load(tmp_path))))
        port: Any = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
        ports.append(port)
        url = f"http://127.0.0.1:{port.getHost().port}{path}"
        answer: Any = await Agent(reactor).request(b"GET", url.encode(), Headers({"Accept": [accept]}))
        return answer, await readBody(answer)

    yield get
    for port in ports:
        pytest_twisted.blockon(port.stopListening())


@inline
async def test_a_browser_is_led_to_the_console_and_others_are_not(ask: Any) -> None:
    answer, _ = await ask("/", "text/html,*/*")
    assert (answer.code, answer.headers.getRawHeaders("location")) == (302, ["console/"])
    answer, body = await ask("/")
    assert answer.code == 200 and b"iotgwctl init DIR" in body


@inline
async def test_the_console_stands_beside_the_api(ask: Any) -> None:
    answer, body = await ask("/console/")
    assert answer.code == 200 and body.endswith(b"the console")
    answer, _ = await ask("/api/v1/messages")
    assert answer.code == 401


@inline
async def test_a_gateway_without_a_console_shows_the_first_page(ask: Any) -> None:
    answer, body = await ask("/", "text/html", built=False)
    assert answer.code == 200 and b"iotgwctl status" in body
    answer, body = await ask("/console/", built=False)
    assert answer.code == 503 and b"make console" in body


@inline
async def test_what_a_datasource_answers_is_no_page_of_ours(ask: Any) -> None:
    answer, _ = await ask("/i/key")
    assert answer.headers.getRawHeaders("content-security-policy") == ["sandbox"]
    assert answer.headers.getRawHeaders("x-content-type-options") == ["nosniff"]
