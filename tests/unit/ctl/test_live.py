"""Searching, figures over time, and what happens now, on the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from iotgw.core.model import Event


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_a_search_shows_kinds_and_names(run: Any) -> None:
    code, out, _ = await run("search", "dev-1")
    assert code == 0
    assert out.splitlines()[1].split() == ["device", "dev-1", "-", "dev-1"]


@inline
async def test_a_series_is_a_table_of_steps(bench: Any, run: Any) -> None:
    for payload in (b"1", b"2"):
        bench.add("web", payload)
    bench.clock.advance(-bench.clock.seconds() + 60)
    lines = (await run("series", "--step", "10s", "--since", "1970-01-01T00:00:00.001+00:00"))[1].splitlines()
    assert lines[0].split() == ["gateway", "RECEIVED", "OUTPUTS"]
    assert lines[1].split()[-2:] == ["2", "2"]


@inline
async def test_what_happens_now_is_shown_as_it_comes(bench: Any, run: Any) -> None:
    watching = Deferred.fromCoroutine(run("watch", "--topics", "events", "-n", "2"))
    while not bench.live.watchers("events"):
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]
    bench.live.happened(Event(5, "started", "datasource", "web", "it\x1b[31m runs"))
    bench.live.happened(Event(6, "stopped", "datasource", "web", "it stands"))
    bench.clock.advance(1)
    code, out, _ = await watching
    assert code == 0
    first, second = out.splitlines()
    assert "datasource web  started  it" in first and "\x1b" not in first
    assert second.endswith("it stands")


@inline
async def test_it_is_json_for_programs(bench: Any, run: Any) -> None:
    watching = Deferred.fromCoroutine(run("watch", "--topics", "events", "-n", "1", "--json"))
    while not bench.live.watchers("events"):
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]
    bench.live.happened(Event(5, "started", "datasource", "web", "it runs"))
    bench.clock.advance(1)
    assert json.loads((await watching)[1])["message"] == "it runs"


@inline
async def test_a_refusal_is_one_line(run: Any) -> None:
    code, _, err = await run("watch", "--topics", "everything")
    assert code == 1 and "topics" in err
