"""An integration that is deleted with a backlog, on the real journal and registry."""

from functools import partial

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from iotgw import testing
from iotgw.app.integrations import RegisteredIntegrations
from iotgw.core.departed import datasource_name
from iotgw.core.departures import Departures, Left
from iotgw.core.errors import NotFound
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Deletion
from iotgw.core.types import Types
from iotgw.core.verdict import DELIVERED, Rejected
from iotgw.delivery.service import DeliveryService
from iotgw.pipeline.publisher import Publisher
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.registry import Registry
from tests.peers.patience import Patience

BODY = msgspec.json.encode({"deviceName": "d", "telemetry": [{"ts": 1, "values": {"n": 1}}]})


class World:
    """One integration whose target answers when told."""

    def __init__(self, path):
        self.path = path
        self.events = testing.MemoryEvents()
        self.make()

    def make(self):
        self.registry = Registry(reactor, self.path)
        self.journal = Journal(reactor, self.path / "journal.db")
        self.types = Types("none", reactor, [lambda _: testing.FakeIntegrationType()])
        recorder = Recorder(self.events, reactor)
        self.departures = Departures(self.registry, recorder, reactor)
        self.delivery = DeliveryService(
            self.journal, self.types, reactor, self.events, partial(datasource_name, self.registry)
        )
        self.integrations = RegisteredIntegrations(
            self.registry,
            self.journal,
            self.delivery,
            self.departures,
            recorder,
            reactor,
        )

    async def start(self):
        await self.registry.start()
        listeners: list[UplinkListener] = [self.delivery]
        await self.journal.start(Publisher(listeners, lambda: None))
        self.delivery.start()
        await self.integrations.start()

    async def stop(self):
        await self.delivery.stop()
        await self.journal.stop()
        await self.registry.stop()

    async def again(self):
        await self.stop()
        self.make()
        await self.start()

    async def integration(self, **more):
        body = {"type": "fake", "configuration": {"window": 2}, "order": "none", **more}
        made = await self.registry.create("integration", "default", "out", body)
        await self.until(lambda: self.types.get("fake").targets)
        return made.id

    @property
    def target(self):
        return self.types.get("fake").targets[-1]

    async def emit(self, count, source="ds"):
        for _ in range(count):
            self.journal.emit(TelemetryRecord(0, 0, "default", source, 1 << 42, "d", "", BODY))
        await self.journal.durable()

    async def until(self, condition):
        patience = Patience(20)
        while not condition():
            assert not patience.is_over(), "waited in vain"
            await deferLater(reactor, 0.01)

    async def backlog(self, count=10, **more):
        """An integration with so many records open."""
        id = await self.integration(**more)
        await self.emit(count)
        await self.until(lambda: self.delivery.stats(id)["queued"] == count)
        await self.until(lambda: self.target.open)
        return id

    def let_go(self, verdict=DELIVERED):
        self.target.says = lambda records: verdict
        self.target.answer_all(verdict)

    def retire(self, id, backlog="drain"):
        return self.registry.retire("integration", id, Deletion(backlog, self.journal.head))

    def gone(self, id):
        return self.departures.end("integration", id, 20)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    pytest_twisted.blockon(Deferred.fromCoroutine(world.start()))
    yield world
    pytest_twisted.blockon(Deferred.fromCoroutine(world.stop()))


def asynchronous(test):
    return pytest_twisted.ensureDeferred(test)


@asynchronous
async def test_what_waits_is_delivered_and_nothing_that_came_after_the_decision(world):
    id = await world.backlog(10)
    await world.retire(id)
    await world.emit(5)
    world.let_go()
    left = await world.gone(id)
    assert (left.drained, left.dropped, left.dead_letters) == (10, 0, 0)
    assert len(world.target.got) == 10
    with pytest.raises(NotFound):
        world.registry.get("integration", id)
    await world.again()
    assert world.journal.integrations() == {}


@asynchronous
async def test_what_waits_may_be_dropped_and_is_counted(world):
    id = await world.backlog(10)
    await world.retire(id, "drop")
    left = await world.gone(id)
    assert (left.drained, left.dropped) == (0, 10)
    (event,) = [event for event in world.events.emitted if event.type == "removed"]
    assert (event.severity, event.detail["dropped"]) == ("warning", 10)
    await world.again()
    assert world.journal.integrations() == {}


@asynchronous
async def test_draining_goes_on_after_a_stop_and_ends_where_it_was_decided(world):
    id = await world.backlog(10)
    await world.retire(id)
    await world.again()
    await world.emit(5)
    assert world.registry.get("integration", id).deletion.backlog == "drain"
    await world.until(lambda: world.target.open)
    world.let_go()
    left = await world.gone(id)
    assert left.dropped == 0
    assert len(set(world.target.got)) == 10


@asynchronous
async def test_what_is_not_drained_by_its_age_is_dropped(world):
    id = await world.backlog(10, queue={"maxAge": 1e-3})
    await world.retire(id)
    left = await world.gone(id)
    assert left.drained == 0


@asynchronous
async def test_who_drains_may_change_his_mind_and_drop(world):
    id = await world.backlog(10)
    await world.retire(id)
    await world.retire(id, "drop")
    assert (await world.gone(id)).dropped == 10


@asynchronous
async def test_dead_letters_go_with_their_integration_and_are_counted(world):
    id = await world.backlog(3)
    world.let_go(Rejected("no"))
    await world.until(lambda: world.delivery.stats(id)["dead"] == 3)
    await world.retire(id)
    assert (await world.gone(id)).dead_letters == 3


async def rename(world, source):
    await world.registry.replace("datasource", source.id, source.body, "there")


async def delete(world, source):
    await world.registry.retire("datasource", source.id, Deletion("drain"))
    await world.departures.finish(world.registry.get("datasource", source.id), Left())


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("change", [rename, delete])
@asynchronous
async def test_what_waits_of_a_datasource_is_delivered_to_who_named_it(world, change, is_restarted):
    other = await world.registry.create("datasource", "default", "other", {"type": "http"})
    source = await world.registry.create("datasource", "default", "here", {"type": "http"})
    id = await world.integration(route={"datasources": ["here"]})
    await world.emit(3, source.id)
    await world.emit(2, other.id)
    await change(world, source)
    if change is rename:
        await world.emit(4, source.id)  # its devices go on
    await world.registry.create("datasource", "default", "here", {"type": "http"})
    if is_restarted:
        await world.again()
    wanted = 7 if change is rename else 3
    await world.until(lambda: world.delivery.stats(id)["queued"] == wanted)
    await world.until(lambda: world.target.open)
    world.let_go()
    await world.until(lambda: len(set(world.target.got)) == wanted)


@asynchronous
async def test_a_freed_name_means_the_next_datasource_where_the_first_was_deleted_and_not_where_it_was_renamed(
    world,
):
    renamed = await world.registry.create("datasource", "default", "here", {"type": "http"})
    deleted = await world.registry.create("datasource", "default", "gone", {"type": "http"})
    id = await world.integration(route={"datasources": ["here", "gone"]})
    await rename(world, renamed)
    await delete(world, deleted)
    for name, count in (("here", 10), ("gone", 1)):
        await world.emit(
            count, (await world.registry.create("datasource", "default", name, {"type": "http"})).id
        )
    await world.until(lambda: world.delivery.stats(id)["queued"] == 1)
    world.let_go()


@asynchronous
async def test_a_queue_whose_integration_is_in_no_registry_is_dropped_at_the_next_start(world):
    id = await world.backlog(10)
    await world.stop()
    world.make()
    await world.registry.start()
    await world.registry.delete("integration", id)
    await world.registry.stop()
    world.make()
    await world.start()
    (event,) = [event for event in world.events.emitted if event.type == "orphaned"]
    assert (event.name, event.detail) == (id, {"dropped": 10})
    await world.again()
    assert world.journal.integrations() == {}


@pytest.mark.parametrize("wrong", [{"type": "gone"}, {"configuration": {"window": "many"}}])
@asynchronous
async def test_one_whose_target_cannot_be_made_keeps_what_waits_and_stops_nobody_else(world, wrong):
    id = await world.backlog(3)
    right = world.registry.get("integration", id).body
    await world.registry.replace("integration", id, {**right, **wrong})
    await world.registry.create("integration", "default", "other", right)
    await world.again()
    await world.until(lambda: world.types.get("fake").targets)
    await world.until(lambda: world.delivery.stats(id)["lastError"])
    stats = world.delivery.stats(id)
    assert (stats["state"], stats["waiting"], stats["balanced"]) == ("unavailable", 3, True)
    assert [event.name for event in world.events.emitted if event.type == "integration.failed"] == ["out"]
    await world.emit(2)
    await world.registry.replace("integration", id, right)
    await world.until(lambda: world.target.context.id == id and world.target.open)
    world.let_go()
    await world.until(lambda: world.delivery.stats(id)["delivered"] == 5)
    assert world.delivery.stats(id)["state"] == "running"
