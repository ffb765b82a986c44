"""What whoever opens the gateway's address sees."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest_twisted

from tests.peers.gateway import ROOT


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


ROOT_PATH = "//"
"""The client of these tests puts the API's prefix before all other paths; behind a question mark, this is a query."""


@inline
async def test_the_front_page_says_what_to_do_next_and_nothing_of_this_gateway(connect: Any) -> None:
    nobody = connect("")
    base, nobody.base = nobody.base, f"{nobody.base}/?"
    page = await nobody("GET", ROOT_PATH)
    assert (page.status, page.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "iotgwctl init DIR" in page.text and base not in page.text
    page = await nobody("GET", ROOT_PATH, headers={"Accept": "text/html,*/*"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<code>iotgwctl status</code>" in page.text
    assert (await nobody("HEAD", ROOT_PATH)).text == ""


@inline
async def test_it_is_a_page_and_nothing_else(connect: Any) -> None:
    nobody = connect("")
    assert (await nobody("GET", ROOT_PATH)).status == 404
    nobody.base = f"{nobody.base}/?"
    assert (await nobody("POST", ROOT_PATH)).status == 404


def test_make_run_says_what_it_does_and_how_long_it_may_take() -> None:
    made = subprocess.run(
        ["make", "--dry-run", "--always-make", "run", "VENV=.venv-none"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "a minute or two the first time" in made
    assert "iotgwctl init DIR" in made
