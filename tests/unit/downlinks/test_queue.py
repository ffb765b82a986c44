"""The downlink queue on its real store, with a clock of the test's own."""

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred, fail, succeed
from twisted.internet.task import Clock

from iotgw.core.downlink_item import ItemState, payload
from iotgw.core.errors import Unavailable
from iotgw.core.specs import DownlinkSpec
from iotgw.downlinks import timetable
from iotgw.downlinks.exchange import MAX_PER_DEVICE
from iotgw.downlinks.leaving import LastSeen
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
        return succeed(LastSeen("ds", self.push, self.identity))

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
    world.queue.acknowledged(
        "default", "dev", "ds", "", {"id": item.id, "success": True, "response": {"ok": 1}}
    )
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
    await world.queue.confirmed("default", "dev", "ds", "lost", "no answer")
    assert await world.state(item) == "QUEUED"
    await world.take()
    world.queue.outcome(item.id, "offered", "offered to the network")
    await world.queue.confirmed("default", "dev", "ds", "delivered")
    assert await world.state(item) == "DELIVERED"


async def offered(world, *texts, **more):
    """Items that a network has, each by its id."""
    items = [await world.push_text(text, **more) for text in texts]
    for downlink in await world.take(limit=len(items)):
        world.queue.outcome(downlink.id, "offered", "offered to the network")
    return items


@asynchronous
async def test_a_receipt_with_an_id_settles_that_item_and_no_other(world):
    first, second, third = await offered(world, "a", "b", "c")
    assert await world.queue.confirmed("default", "dev", "ds", "delivered", "", second.id)
    assert await world.queue.confirmed("default", "", "ds", "lost", "no answer", first.id)
    assert [await world.state(item) for item in (first, second, third)] == ["QUEUED", "DELIVERED", "SENT"]
    assert (await world.queue.get("default", first.id)).reason == "no answer"


@asynchronous
@pytest.mark.parametrize("tenant", ["default", "other"])
async def test_a_receipt_with_an_id_that_is_not_known_touches_no_item(world, tenant):
    (item,) = await offered(world, "a")
    named = "nobody's" if tenant == "default" else item.id
    assert not await world.queue.confirmed(tenant, "dev", "ds", "delivered", "", named)
    assert await world.state(item) == "SENT"


@asynchronous
async def test_receipts_with_ids_come_twice_late_out_of_order_and_after_a_restart(world):
    items = await offered(world, *"abcdef", ttl=86_400, max_attempts=2)
    await world.crash()
    receipts = [(item, "delivered" if number % 2 else "lost") for number, item in enumerate(items)]
    for item, state in [*reversed(receipts), *receipts]:
        world.queue.confirmed("default", "dev", "ds", state, "the network says so", item.id)
    await world.queue.list("default", "dev")
    await world.crash()
    assert [await world.state(item) for item in items] == ["QUEUED", "DELIVERED"] * 3
    lost = await world.queue.get("default", items[0].id)
    assert lost.attempts == 1
    # it arrived after all
    assert await world.queue.confirmed("default", "dev", "ds", "delivered", "", lost.id)
    assert await world.state(lost) == "DELIVERED"
    # and nothing is taken back
    assert await world.queue.confirmed("default", "dev", "ds", "lost", "no answer", lost.id)
    assert await world.state(lost) == "DELIVERED"


@asynchronous
async def test_a_receipt_reaches_an_item_that_has_left_memory(world):
    (item,) = await offered(world, "a", ttl=86_400)
    world.clock.advance(timetable.REMEMBERED_MS / 1000 + 10)
    assert world.queue.depth() == 0
    assert await world.queue.confirmed("default", "", "ds", "delivered", "", item.id)
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


@asynchronous
async def test_an_item_that_was_pushed_and_returned_and_went_with_an_answer_lets_none_be_pushed_behind_it(
    world,
):
    pushed = []
    world.push = pushed.extend
    first = await world.push_text("a")
    assert [downlink.id for downlink in pushed] == [first.id]
    world.push = None
    await world.push_text("b")
    world.queue.outcome(first.id, "returned")
    assert [downlink.id for downlink in await world.take()] == [first.id]
    world.push = pushed.extend
    world.queue.outcome(first.id, "sent")
    world.queue.outcome(first.id, "delivered")
    assert len(pushed) == 1


@asynchronous
async def test_while_they_are_held_no_item_leaves_and_then_each_goes_its_way(world):
    pushed = []
    world.queue.hold()
    world.push = lambda downlinks: pushed.extend(each.payload for each in downlinks)
    await world.push_text("with the uplink", "far", mode="sync")
    await world.push_text("at once", "near", mode="async")
    assert (pushed, list(world.queue.waited_for("default"))) == ([], [])
    assert await world.take("far") == []
    world.queue.reachable("default", "near", "ds", world.push)
    assert pushed == []
    world.queue.release()
    assert pushed == [b"at once"]
    assert [each.payload for each in await world.take("far")] == [b"with the uplink"]


@asynchronous
@pytest.mark.parametrize(
    ("confirmed", "receipts", "state"),
    [
        (False, ["sent"], "DELIVERED"),
        (True, ["sent"], "SENT"),
        (True, ["sent", "delivered"], "DELIVERED"),
        (True, ["delivered", "sent"], "DELIVERED"),
        (True, ["lost", "sent"], "QUEUED"),
        (True, ["lost", "delivered", "lost"], "DELIVERED"),
        (False, ["refused"], "FAILED"),
        (False, ["lost", "refused"], "FAILED"),
        (False, ["refused", "delivered"], "FAILED"),
        (False, ["sent", "refused"], "DELIVERED"),
    ],
)
async def test_what_a_network_says_of_an_item_moves_it_as_far_as_that_goes(world, confirmed, receipts, state):
    (item,) = await offered(world, "a", confirmed=confirmed)
    for became in receipts:
        assert await world.queue.confirmed("default", "dev", "ds", became, "so it says", item.id)
    assert await world.state(item) == state


# --- waking ---


@asynchronous
async def test_what_waits_leaves_when_its_datasource_can_send_again(world):
    items = [await world.push_text(text, device) for text, device in (("a", "d1"), ("b", "d2"), ("c", "d1"))]
    sent = []
    world.push = sent.extend
    world.queue.wake("another")
    assert sent == []
    world.queue.wake("ds")
    assert [downlink.id for downlink in sent] == [items[0].id, items[1].id]
    world.queue.wake("ds")
    assert len(sent) == 2  # they are on their way
    for item in items[:2]:
        world.queue.outcome(item.id, "delivered")
    assert [downlink.id for downlink in sent] == [items[0].id, items[1].id, items[2].id]


@asynchronous
async def test_after_a_restart_what_waits_leaves_too(world):
    item = await world.push_text("a")
    await world.crash()
    sent = []
    world.push = sent.extend
    world.queue.wake("ds")
    assert [downlink.id for downlink in sent] == [item.id]


@asynchronous
async def test_what_goes_only_with_an_uplink_waits_for_one(world):
    await world.push_text("a", mode="sync")
    world.push = lambda downlinks: pytest.fail("sent")
    world.queue.wake("ds")


@asynchronous
async def test_who_asks_during_a_pass_has_another(world):
    await world.push_text("a", "d1")
    seen = Deferred()
    world.queue._leaving._find = lambda tenant, device: seen
    world.queue.wake("other")
    sent = []
    world.push = sent.extend
    world.queue.wake("ds")
    assert sent == []
    world.queue._leaving._find = world.find
    seen.callback(LastSeen("ds", world.push, ""))
    assert len(sent) == 1


@asynchronous
async def test_a_networks_receipt_is_taken_once_it_is_on_disk_however_the_process_ends(world):
    item = await world.push_text("hello")
    await world.take()
    world.queue.outcome(item.id, "offered")
    assert await world.queue.confirmed("default", "dev", "ds", "delivered", "", item.id)
    beside = DownlinkStore(world.path, world.reactor)  # of another process, as it were
    await beside.start()
    try:
        assert (await beside.get(item.id)).state is ItemState.DELIVERED
    finally:
        await beside.stop()


@asynchronous
async def test_a_networks_receipt_that_cannot_be_written_is_not_taken(world, monkeypatch):
    item = await world.push_text("hello")
    await world.take()
    world.queue.outcome(item.id, "offered")
    await world.store.flushed()
    monkeypatch.setattr(world.store, "_commit", _full)
    with pytest.raises(OSError):
        await world.queue.confirmed("default", "dev", "ds", "delivered", "", item.id)
    monkeypatch.undo()


def _full(rows):
    raise OSError("the disk is full")
