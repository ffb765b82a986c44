"""The API over the real registry, journal and gateway: what a fresh gateway does first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw import testing
from iotgw.converters.versions import ConverterVersions
from iotgw.core.departures import Departures
from iotgw.core.recorder import Recorder
from iotgw.core.shared import SharedResources
from iotgw.core.types import Types
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.envelopes.presets import choices
from iotgw.observe.events import EventLog
from iotgw.pipeline.pipeline import Pipeline
from iotgw.pipeline.sources import Sources
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.events import EventFile
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.registry import Registry

from .conftest import LIBRARY, by_script


class House:
    """The parts that the API needs, started over a directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = Registry(reactor, folder)
        self.journal = Journal(reactor, folder / "journal.db")
        self.events = EventLog(EventFile(folder / "events.db"), reactor)
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
async def test_of_two_deletions_at_once_one_leaves_the_last_admin(house: House, connect: Any) -> None:
    client = connect()
    made = await client.ok("POST", "/tokens", {"name": "other", "role": "admin", "tenant": "*"})
    ids = [token.id for token in house.registry.list("token")]
    assert made["id"] in ids
    deleting = [Deferred.fromCoroutine(client("DELETE", f"/tokens/{id}")) for id in ids]
    statuses = [(await answer).status for answer in deleting]
    assert statuses.count(204) == 1
    assert len(house.registry.list("token")) == 1


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
async def test_a_message_that_is_converted_again_is_shown_as_it_is_then(house: House, connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/converters", {"name": "mine", "script": "function fail() {}"})
    made = await client.ok(
        "POST", "/datasources", {"name": "web", "type": "http", "converter": "mine", "reply": "converted"}
    )
    for number in range(5):
        await client("POST", f"/i/{made['routingKey']}", data=f"dev-{number}".encode())
    messages = (await client.ok("GET", "/messages"))["items"]
    assert [message["state"] for message in messages] == ["failed"] * 5
    await client.ok("PUT", "/converters/mine", {"script": "function mark() {}"})
    for message in messages:
        again = await client.ok("POST", f"/messages/{message['id']}/reprocess")
        assert (again["state"], again["error"], len(again["output"])) == ("converted", None, 1)


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


UPLINK = {
    "end_device_ids": {"device_id": "probe-7", "dev_eui": "70B3D57ED0000017"},
    "received_at": "2023-05-19T05:33:35.848446463Z",
    "uplink_message": {"f_port": 2, "frm_payload": "AOc="},
}


@inline
async def test_a_platform_s_datasource_says_what_to_type_in_and_can_be_sent_back_as_it_is_shown(
    house: House, connect: Any
) -> None:
    client = connect()
    wanted = {
        "name": "fields",
        "type": "http",
        "routingKey": "k",
        "configuration": {"preset": "the-things-stack"},
    }
    made = await client.ok("POST", "/datasources", wanted)
    assert made["setup"]["fields"]["Base URL"] == "{gateway}/i/k"
    changed = await client.ok("PUT", "/datasources/fields", {**made, "description": "mine"})
    assert (changed["description"], changed["setup"]) == ("mine", made["setup"])
    plain = await client.ok("POST", "/datasources", {"name": "plain", "type": "http"})
    assert "setup" not in plain


@inline
async def test_a_platform_s_secrets_are_not_in_the_message_and_its_answer_is_2xx(
    house: House, connect: Any
) -> None:
    client = connect()
    wanted = {
        "name": "fields",
        "type": "http",
        "reply": "converted",
        "configuration": {"preset": "the-things-stack"},
    }
    made = await client.ok("POST", "/datasources", wanted)
    headers = {"X-Downlink-Apikey": "NNSXS.hush", "X-Downlink-Push": "https://hush/"}
    path = f"/i/{made['routingKey']}"
    assert (await client("POST", path, data=msgspec.json.encode(UPLINK), headers=headers)).status == 204
    (message,) = (await client.ok("GET", "/messages"))["items"]
    assert "hush" not in str(message)
    assert (message["metadata"]["frame"], message["metadata"]["deviceName"]) == ("00e7", "probe-7")


@inline
async def test_a_preset_that_can_t_be_used_is_refused_with_the_place(house: House, connect: Any) -> None:
    client = connect()
    custom = {"preset": "custom", "custom": {"metadata": {"x": "body..y"}}}
    answer = await client("POST", "/datasources", {"name": "own", "type": "http", "configuration": custom})
    assert answer.status == 422 and "custom: metadata.x: expected a JMESPath expression" in str(answer.json)


@inline
async def test_a_preset_of_one_s_own_is_compiled_in_a_thread_and_once(
    house: House, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    class Noted(choices.Preset):
        def __init__(self, form: Any) -> None:
            compiled.append(threading.current_thread() is threading.main_thread())
            super().__init__(form)

    monkeypatch.setattr(choices, "Preset", Noted)
    client = connect()
    configuration = {"preset": "custom", "custom": 'title = "mine"\n[device]\nidentity = "body.serial"'}
    await client.ok("POST", "/datasources", {"name": "own", "type": "http", "configuration": configuration})
    (shown,) = (await client.ok("GET", "/datasources"))["items"]
    await client.ok("PUT", "/datasources/own", {**shown, "description": "mine"})
    assert compiled == [False]
