"""The API over the real registry, journal and gateway: what a fresh gateway does first."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw import testing
from iotgw.api.auth import ensure_admin_token
from iotgw.converters.versions import ConverterVersions
from iotgw.core.departures import Departures
from iotgw.core.recorder import Recorder
from iotgw.core.shared import SharedResources
from iotgw.core.types import Types
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.observe.events import EventLog
from iotgw.pipeline.pipeline import Pipeline
from iotgw.pipeline.sources import Sources
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.registry import Registry

from .conftest import LIBRARY, by_script


class House:
    """The parts that the API needs, started over a directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = Registry(reactor, folder)
        self.journal = Journal(reactor, folder / "journal.db")
        self.events = EventLog(folder / "events.db", reactor)
        self.devices = DeviceStore(reactor, folder)
        self.converters = testing.FakeConverters(by_script)
        self.versions = ConverterVersions(self.registry, self.converters, LIBRARY)
        self.types = Types("none", reactor, [HttpSourceType])
        sources = Sources()
        self.mounts = HttpMounts(is_away=lambda key: sources.is_away("http", key))
        recorder = Recorder(self.events, reactor)
        self.departures = Departures(self.registry, recorder, reactor)
        self.pipeline = Pipeline(
            sources=sources, journal=self.journal, registry=self.registry, converters=self.converters,
            versions=self.versions, credentials=testing.MemoryCredentials(),
            speakers=testing.FakeSpeakers(),
            delivery=testing.FakeDelivery(), downlinks=testing.MemoryDownlinks(),
            recorder=recorder, departures=self.departures, listeners=[self.devices], types=self.types,
            reactor=reactor, shares=SharedResources(self.mounts),
        )  # fmt: skip

    async def start(self, bench: Any) -> None:
        await self.registry.start()
        await self.events.start()
        await self.devices.start()
        await self.journal.start(self.pipeline.journal_listener)
        await self.pipeline.start()
        bench.parts = msgspec.structs.replace(
            bench.parts, registry=self.registry, journal=self.journal, events=self.events, devices=self.devices,
            pipeline=self.pipeline, versions=self.versions, datasource_types=self.types, clock=reactor,
            departures=self.departures,
        )  # fmt: skip
        bench.registry = self.registry
        bench.mounts = self.mounts

    async def stop(self) -> None:
        await self.pipeline.stop()
        for part in (self.journal, self.devices, self.events, self.registry):
            await part.stop()


@pytest.fixture
def house(bench: Any, tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    pytest_twisted.blockon(Deferred.fromCoroutine(house.start(bench)))
    yield house
    pytest_twisted.blockon(Deferred.fromCoroutine(house.stop()))


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_the_first_admin_token_is_written_once_to_a_file_of_its_owner(
    house: House, connect: Any
) -> None:
    path = house.folder / "admin-token"
    assert await ensure_admin_token(house.registry, path) is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert await ensure_admin_token(house.registry, path) is False
    assert path.read_text() == text
    client = connect("")
    client.token = text.strip()
    assert (await client("GET", "/tokens")).json["items"][0]["name"] == "admin"
    assert text.strip().split("_", 2)[2].encode() not in (house.folder / "registry.db").read_bytes()


@inline
async def test_a_crash_while_the_first_token_is_written_leaves_one_that_works(
    house: House, connect: Any
) -> None:
    path = house.folder / "admin-token"
    await ensure_admin_token(house.registry, path)
    path.rename(f"{path}.new")  # as it is when the process ends before the last step
    assert await ensure_admin_token(house.registry, path) is False
    client = connect("")
    client.token = path.read_text().strip()
    assert (await client("GET", "/tokens")).status == 200


@inline
async def test_an_upload_is_seen_as_a_message_and_its_datasource_comes_and_goes(
    house: House, connect: Any
) -> None:
    client = connect()
    await client.ok("POST", "/converters", {"name": "mine", "script": "function mark() {}"})
    made = await client.ok("POST", "/datasources", {"name": "web", "type": "http", "converter": "mine"})
    assert made["status"]["state"] == "listening"
    path = f"/i/{made['routingKey']}"
    assert (await client("POST", path, data=b"hello")).status == 204
    assert (await client.ok("POST", "/datasources/web/inject", {"text": "by hand"}))["status"] == "stored"
    first, second = (await client.ok("GET", "/messages"))["items"]
    assert (first["metadata"]["simulated"], first["datasource"]) == (True, "web")
    assert second["payload"] == "aGVsbG8="
    await client.ok("PATCH", "/datasources/web", {"enabled": False})
    disabled = await client("POST", path, data=b"hello")
    assert (disabled.status, disabled.headers["retry-after"]) == (503, "10")
    await client.ok("DELETE", "/datasources/web")
    assert (await client("POST", path, data=b"hello")).status == 404
    assert {each["type"] for each in (await client.ok("GET", "/events"))["items"]} >= {"started", "stopped"}


@inline
async def test_a_change_that_the_listener_need_not_know_of_leaves_it_open(house: House, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/datasources", {"name": "web", "type": "http"}))["id"]
    running = house.pipeline.datasource(id)
    await client.ok("PATCH", "/datasources/web", {"converter": "json", "description": "edited"})
    assert house.pipeline.datasource(id) is running
    await client.ok("PATCH", "/datasources/web", {"configuration": {"maxBody": 10}})
    assert house.pipeline.datasource(id) is not running


@inline
async def test_a_second_datasource_of_one_key_is_refused_and_the_first_goes_on(
    house: House, connect: Any
) -> None:
    client = connect()
    await client.ok("POST", "/datasources", {"name": "web", "type": "http", "routingKey": "key"})
    busy = {
        "name": "own",
        "type": "http",
        "configuration": {"endpoint": client.base.replace("http://127.0.0.1", "tcp")},
    }
    answer = await client("POST", "/datasources", busy)
    assert answer.status == 409
    assert "could not be opened" in answer.json["detail"]
    assert [each["name"] for each in (await client.ok("GET", "/datasources"))["items"]] == ["web"]
    assert (await client("POST", "/i/key", data=b"x")).status == 204
