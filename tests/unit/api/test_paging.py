"""Lists of large entries: a page ends where it has become large, and nothing is left out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from iotgw.api.catalogue import page
from iotgw.api.paging import LARGEST, PageItems
from iotgw.core import device_table
from iotgw.core.device_entry import DeviceSpec

DEVICES = [f"d-{number:03}" for number in range(120)]


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


async def have_devices(bench: Any) -> None:
    """Devices of 46 kB each."""
    tags = {f"k{number}": "v" * 900 for number in range(50)}
    await bench.fleet.save_all("default", [DeviceSpec(name=name, tags=tags) for name in DEVICES], False)


def ours(found: list[Any]) -> list[str]:
    """The names of our devices among those found."""
    return [each["name"] for each in found if each["name"] in DEVICES]


async def all_of(api: Any, path: str) -> tuple[list[Any], int]:
    """All entries of a list, and on how many pages they stood."""
    found: list[Any] = []
    after, pages = "", 0
    while after is not None:
        answer = await api("GET", path + (f"&after={after}" if after else ""))
        assert answer.status == 200 and len(answer.text) < LARGEST + 100_000
        found, after, pages = [*found, *answer.json["items"]], answer.json["next"], pages + 1
    return found, pages


def test_a_page_has_an_entry_however_large_and_asks_for_none_that_it_does_not_take() -> None:
    one, asked = PageItems(10), list[str]()

    def entries() -> Any:
        for each in ("x" * 20, "y"):
            asked.append(each)
            yield each

    one.take(entries())
    one.take(["z"])
    assert (one.items, one.is_full) == ([msgspec.Raw(b'"' + b"x" * 20 + b'"')], True)
    assert asked == ["x" * 20]


def in_real_time(bench: Any) -> None:
    """What is done some at a time goes on by itself."""
    bench.parts = msgspec.structs.replace(bench.parts, clock=reactor, calendar=bench.parts.dates)


@inline
async def test_large_devices_come_on_several_pages(bench: Any, connect: Any) -> None:
    in_real_time(bench)
    api = connect()
    await have_devices(bench)
    for path in ("/devices?limit=10000", "/fleet/export?limit=5000"):
        found, pages = await all_of(api, path)
        assert (ours(found), pages) == (DEVICES, 2)
    few, _ = await all_of(api, "/devices?limit=50")
    assert ours(few) == DEVICES


@inline
async def test_large_devices_come_in_several_tables(bench: Any, connect: Any) -> None:
    in_real_time(bench)
    api = connect()
    await have_devices(bench)
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        answer = await api(
            "GET", "/fleet/export?limit=5000&format=csv" + (f"&after={after}" if after else "")
        )
        assert len(answer.text) < LARGEST + 100_000
        names += [
            row.device["name"]
            for row in device_table.read(device_table.lines_of(device_table.text_of(answer.text.encode())))
        ]
        after = answer.headers.get("x-next")
    assert [name for name in names if name in DEVICES] == DEVICES


def test_large_resources_come_on_several_pages() -> None:
    names = [f"r-{number:02}" for number in range(40)]
    stored: Any = [SimpleNamespace(name=name) for name in names]
    found: list[Any] = []
    after, pages = None, 0
    while after is not None or not pages:
        call: Any = SimpleNamespace(query={"after": after, "limit": 1000}.get)
        one = page(stored, call, lambda resource: {"name": resource.name, "script": "x" * 500_000})
        found, after, pages = [*found, *one.items], one.next, pages + 1
    assert ([msgspec.json.decode(each)["name"] for each in found], pages) == (names, 2)


@inline
async def test_a_large_configuration_is_put_together_and_packed_in_many_turns(
    bench: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, later = list[Any](), bench.clock.callLater

    def counted(*what: Any) -> Any:
        turns.append(what)
        return later(*what)

    monkeypatch.setattr(bench.clock, "callLater", counted)
    api = connect()
    await have_devices(bench)
    asked = Deferred.fromCoroutine(api("GET", "/configuration", headers={"Accept-Encoding": "gzip"}))
    while not asked.called:
        await deferLater(reactor, 0.001)
        bench.clock.advance(0)
    answer = await asked
    assert ours(answer.json["device"]) == DEVICES
    assert len(turns) > 20
