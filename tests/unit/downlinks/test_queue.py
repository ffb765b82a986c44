"""The downlink queue on its real store, with a clock of the test's own."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, fail, succeed
from twisted.internet.task import Clock

from iotgw.core.downlink_item import ItemState, payload
from iotgw.core.errors import Unavailable
from iotgw.core.specs import DownlinkSpec
from iotgw.downlinks import timetable
from iotgw.downlinks.exchange import MAX_PER_DEVICE
from iotgw.downlinks.queue import DownlinkQueue
from iotgw.store.sqlite.downlinks import DownlinkStore


class Store(DownlinkStore):
    pass


class World:
    """A queue whose encoder hands on the data, and a device that ``send`` reaches when it is set."""

    def __init__(self, path):
        from twisted.internet import reactor

        self.clock = Clock()
        self.clock.rightNow = reactor.seconds()  # the store forgets what is over by it
        self.path = path
        self.reactor = reactor
        self.events = []
        self.encoder_error = None
        self.encoding = None
        self.push = None
        self.identity = ""
        self.make()

    def make(self):
        self.store = DownlinkStore(self.path, self.reactor)
        self.queue = DownlinkQueue(self.store, self.encode, self.find, self.changed, self.clock)

    def encode(self, datasource, item):
        if self.encoding is not None:
            return self.encoding
        if self.encoder_error:
            return fail(ValueError(self.encoder_error))
        return succeed((payload(item.spec) or b"?", "BINARY", {}))

    def find(self, tenant, device):
        return succeed(("ds", self.push, self.identity))

    def changed(self, event, item):
        self.events.append((item.id, item.state.value))

    async def start(self):
        await self.queue.start()

    async def crash(self):
        """End without a word, as far as the queue goes; what was committed is on disk."""
        await self.queue.stop()
        self.make()
        await self.start()

    async def push_text(self, text, device="dev", **more):
        return await self.queue.push("default", device, DownlinkSpec(data=text, content_type="TEXT", **more))

    async def take(self, device="dev", limit=1):
        taken = []
        self.queue.take("default", device, "ds", limit, taken.append)
        return [downlink for group in taken for downlink in group]

    async def state(self, item):
        return (await self.queue.get("default", item.id)).state.value


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    pytest_twisted.blockon(ensureDeferred(world.start()))
    yield world
    pytest_twisted.blockon(ensureDeferred(world.queue.stop()))


def asynchronous(test):
    return pytest_twisted.ensureDeferred(test)


@asynchronous
async def test_an_item_leaves_once_and_its_states_follow(world):
    item = await world.push_text("hello")
    await world.take()
    assert await world.take() == []
    world.queue.outcome(item.id, "sent")
    world.queue.outcome(item.id, "delivered")
    assert [state for _, state in world.events] == ["QUEUED", "SENT", "DELIVERED"]
    assert await world.take() == []
    world.queue.acknowledged("default", "dev", "", {"id": item.id, "success": True, "response": {"ok": 1}})
    over = await world.queue.get("default", item.id)
    assert (over.state, over.response) == (ItemState.SUCCESSFUL, {"ok": 1})


@asynchronous
async def test_an_item_expires_when_its_time_to_live_is_over(world):
    item = await world.push_text("late", ttl=5)
    world.clock.advance(6)
    assert await world.take() == []
    assert await world.state(item) == "EXPIRED"
    swept = await world.push_text("late", ttl=5)
    world.clock.pump([5, 5, 5])
    assert await world.state(swept) == "EXPIRED"


@asynchronous
async def test_a_converter_error_leaves_the_item_with_its_reason(world):
    item = await world.push_text("x")
    world.encoder_error = "line 3: boom"
    assert await world.take() == []
    kept = await world.queue.get("default", item.id)
    assert (kept.state, kept.reason) == (ItemState.QUEUED, "downlink converter: line 3: boom")
    world.encoder_error = None
    assert len(await world.take()) == 1


@asynchronous
async def test_after_a_restart_what_was_queued_or_on_its_way_is_queued(world):
    first, second = await world.push_text("1"), await world.push_text("2")
    await world.take()
    await world.crash()
    assert [each.id for each in await world.take(limit=9)] == [first.id, second.id]


@asynchronous
async def test_a_device_has_a_bounded_queue(world):
    await world.queue.replace("default", "dev", [DownlinkSpec(data="", content_type="TEXT")] * 3)
    for _ in range(MAX_PER_DEVICE - 3):
        world.store.save = lambda items: succeed(None)
        await world.push_text("x")
    with pytest.raises(Unavailable):
        await world.push_text("x")


@asynchronous
async def test_an_offered_item_waits_for_its_confirmation_even_over_a_restart(world):
    item = await world.push_text("x")
    await world.take()
    world.queue.outcome(item.id, "offered", "offered to the network")
    assert await world.take() == []
    await world.crash()
    assert await world.take() == []
    world.queue.confirmed("default", "dev", "lost", "no answer")
    await world.queue.list("default", "dev")
    assert await world.state(item) == "QUEUED"
    await world.take()
    world.queue.outcome(item.id, "offered", "offered to the network")
    world.queue.confirmed("default", "dev", "delivered")
    await world.queue.list("default", "dev")
    assert await world.state(item) == "DELIVERED"


@asynchronous
async def test_an_item_that_could_not_be_stored_is_not_queued_later(world):
    commit, world.store._commit = world.store._commit, lambda rows: 1 / 0
    with pytest.raises(ZeroDivisionError):
        await world.push_text("x")
    world.store._commit = commit
    await world.push_text("y", device="other")
    await world.crash()
    assert await world.queue.list("default", "dev") == []


@asynchronous
async def test_after_a_restart_new_items_are_newer_than_those_that_are_over(world):
    over = [await world.push_text(text, msg_type="set") for text in "ab"]
    await world.queue.clear("default", "dev")
    await world.crash()
    new = await world.push_text("c", msg_type="set")
    await world.take()
    world.queue.outcome(new.id, "sent")
    shown = await world.queue.list("default", "dev")
    assert [item.id for item in shown] == [each.id for each in (new, *reversed(over))]


@asynchronous
async def test_the_timetable_stays_as_small_as_the_queue(world, monkeypatch):
    monkeypatch.setattr(timetable, "STALE", 10)
    kept = await world.push_text("kept", device="other", ttl=60)
    for _ in range(50):
        await world.push_text("x", policy="last")
    assert len(world.queue._open._timetable) <= 2 * 2 + 10
    world.clock.pump([30] * 3)
    assert await world.state(kept) == "EXPIRED"
