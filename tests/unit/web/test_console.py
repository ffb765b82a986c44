"""The console's files as a browser gets them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Site

from iotgw.web import assets
from iotgw.web.console import POLICY, Console

PAGE = b"<!doctype html><title>console</title>"
SCRIPT = b"export const it = 1;" * 20


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "app-3F7A9C21.js").write_bytes(SCRIPT)
    (tmp_path / "app-3F7A9C21.js.gz").write_bytes(gzip.compress(SCRIPT, mtime=0))
    (tmp_path / "icon.svg").write_bytes(b"<svg/>")
    (tmp_path / "SOURCE").write_bytes(b"0123")
    (tmp_path / "outside.txt").symlink_to("/etc/hostname")
    return tmp_path


@pytest.fixture
def served() -> Iterator[Any]:
    ports: list[Any] = []

    def serve(folder: Path) -> Any:
        root = Resource()
        root.putChild(b"console", Console(assets.load(folder)))
        port: Any = reactor.listenTCP(0, Site(root), interface="127.0.0.1")  # type: ignore[attr-defined]
        ports.append(port)
        agent = Agent(reactor)

        async def get(path: str, method: str = "GET", **headers: str) -> tuple[Any, bytes]:
            url = f"http://127.0.0.1:{port.getHost().port}{path}"
            given = {name.replace("_", "-"): [value] for name, value in headers.items()}
            answer: Any = await agent.request(method.encode(), url.encode(), Headers(given))
            return answer, await readBody(answer)

        return get

    yield serve
    for port in ports:
        pytest_twisted.blockon(port.stopListening())


def said(answer: Any, name: str) -> str:
    return ",".join(answer.headers.getRawHeaders(name, []))


@inline
async def test_the_page_is_never_kept_and_runs_nobody_elses_scripts(built: Path, served: Any) -> None:
    get = served(built)
    answer, content = await get("/console/")
    assert (answer.code, content, said(answer, "cache-control")) == (200, PAGE, "no-store")
    policy = said(answer, "content-security-policy")
    assert policy == POLICY and "'unsafe" not in policy and "require-trusted-types-for 'script'" in policy
    assert said(answer, "x-content-type-options") == "nosniff"
    assert said(answer, "referrer-policy") == "no-referrer"


@inline
async def test_a_file_with_a_hash_in_its_name_is_kept_for_ever(built: Path, served: Any) -> None:
    get = served(built)
    answer, content = await get("/console/app-3F7A9C21.js")
    assert (answer.code, content) == (200, SCRIPT)
    assert "immutable" in said(answer, "cache-control")
    assert said(answer, "content-type") == "text/javascript; charset=utf-8"
    again, content = await get("/console/app-3F7A9C21.js", If_None_Match=said(answer, "etag"))
    assert (again.code, content) == (304, b"")


@inline
async def test_another_file_is_asked_for_again(built: Path, served: Any) -> None:
    answer, _ = await served(built)("/console/icon.svg")
    assert (answer.code, said(answer, "cache-control")) == (200, "no-cache")


@inline
async def test_a_packed_file_goes_to_whoever_takes_gzip(built: Path, served: Any) -> None:
    get = served(built)
    answer, content = await get("/console/app-3F7A9C21.js", Accept_Encoding="br, gzip")
    assert said(answer, "vary") == "Accept-Encoding"
    assert said(answer, "content-encoding") == "gzip" and gzip.decompress(content) == SCRIPT
    answer, content = await get("/console/app-3F7A9C21.js")
    assert content == SCRIPT and said(answer, "content-encoding") == ""


@inline
@pytest.mark.parametrize(
    "path",
    [
        "/console/SOURCE",
        "/console/outside.txt",
        "/console/../index.html",
        "/console/%2e%2e/x",
        "/console/%ff",
    ],
)
async def test_nothing_else_is_served(path: str, built: Path, served: Any) -> None:
    answer, content = await served(built)(path)
    assert answer.code == 404 and b"hostname" not in content


@inline
async def test_without_the_slash_it_leads_there(built: Path, served: Any) -> None:
    answer, _ = await served(built)("/console")
    assert (answer.code, said(answer, "location")) == (307, "console/")


@inline
async def test_it_is_only_read(built: Path, served: Any) -> None:
    answer, _ = await served(built)("/console/", "POST")
    assert (answer.code, said(answer, "allow")) == (405, "GET, HEAD")


@inline
async def test_a_gateway_without_a_console_says_how_to_build_it(tmp_path: Path, served: Any) -> None:
    answer, content = await served(tmp_path)("/console/")
    assert answer.code == 503 and b"<code>make console</code>" in content
    assert not Console(assets.load(tmp_path)).is_built
    assert said(answer, "content-security-policy") == POLICY


def test_too_much_is_no_console(built: Path) -> None:
    with (built / "app-3F7A9C21.js").open("ab") as file:
        file.truncate(assets.MOST + 1)
    with pytest.raises(ValueError, match="expected at most"):
        assets.load(built)
