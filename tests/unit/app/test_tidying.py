"""What a crash left of something that was deleted goes at the next start, and is told of."""

import json

import pytest
import pytest_twisted
from twisted.internet import reactor

from iotgw import testing
from iotgw.app.tidying import tidy
from iotgw.core.errors import NoSpace
from iotgw.core.recorder import Recorder
from iotgw.pipeline.checkpoints import RegistryCheckpoints
from iotgw.store.sqlite.registry import Registry

GONE = "fedcba9876543210"


class World:
    def __init__(self, path):
        self.path = path
        self.registry = Registry(reactor, path)
        self.kept = testing.MemoryKept()
        self.events = testing.MemoryEvents()

    async def tidy(self):
        await tidy(self.registry, self.kept, self.path, Recorder(self.events, reactor))

    def told(self):
        return [(event.type, event.name) for event in self.events.emitted]


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    pytest_twisted.blockon(world.registry.start())
    yield world
    pytest_twisted.blockon(world.registry.stop())


@pytest_twisted.ensureDeferred
async def test_files_of_what_is_gone_are_removed_and_no_others(world):
    out = await world.registry.create("integration", "default", "out", {"type": "sftp"})
    source = await world.registry.create("datasource", "default", "in", {"type": "http"})
    mine = [f"sftp-{out.id}.json", f"mqtt-{source.id}-retained.json"]
    others = ["admin-token", f"before-restore-{GONE}", f"{GONE}.json"]
    left = [f"parts-{GONE}.json", f"sftp-{GONE}.new", f"mqtt-{GONE}-retained.json"]
    for name in mine + others + left:
        (world.path / name).write_text("{}")
    await world.tidy()
    there = {path.name for path in world.path.iterdir()}
    assert there >= {*mine, *others} and not there & set(left)
    assert world.told() == []


@pytest_twisted.ensureDeferred
async def test_sessions_of_what_is_gone_are_told_of_once(world):
    here = await world.registry.create("datasource", "default", "in", {"type": "mqtt"})
    for id in (GONE, here.id):
        (world.path / f"mqtt-{id}.json").write_text(json.dumps({"broker": "b:1883", "client_id": f"of-{id}"}))
    (world.path / f"mqtt-{GONE}-left.json").write_text('[{"broker": "c:1883", "client_id": "older"}]')
    await world.tidy()
    await world.tidy()
    assert sorted(world.told()) == [("session-left", f"of-{GONE}"), ("session-left", "older")]


@pytest_twisted.ensureDeferred
async def test_rows_and_places_of_what_is_gone_are_removed_and_told_of(world):
    source = await world.registry.create("datasource", "default", "in", {"type": "lwm2m"})
    job = await world.registry.create("job", "default", "j", {})
    for owner in (source.id, job.id, "backups", GONE):
        await world.kept.save(owner, {"one": b"1"})
    for owner in (source.id, GONE):
        await RegistryCheckpoints(world.registry, "default", owner).write("s", {"a": "1"})
    await world.tidy()
    assert set(world.kept.owners) == {source.id, job.id, "backups"}
    assert [place.name for place in world.registry.list("checkpoints")] == [source.id]
    assert world.told() == [("orphaned", GONE)] * 2


@pytest_twisted.ensureDeferred
async def test_what_can_not_be_removed_stops_no_start(world, monkeypatch):
    def full(owners):
        raise NoSpace("the disk is full")

    monkeypatch.setattr(world.kept, "drop_others", full)
    await world.tidy()
