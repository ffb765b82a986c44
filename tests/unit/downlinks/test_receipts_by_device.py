"""Receipts that name the device alone, as networks send them whose answers give no name."""

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from iotgw.core.downlink_item import OFFERED
from tests.peers.patience import Patience
from tests.unit.downlinks.test_queue import World, asynchronous


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    pytest_twisted.blockon(ensureDeferred(world.start()))
    yield world
    pytest_twisted.blockon(ensureDeferred(world.queue.stop()))


@pytest.fixture
def network(world):
    """A network that is handed everything at once, and keeps it. It calls the device ``dev`` by an EUI."""
    world.identity = "70B3D57ED0000017"
    world.push = lambda items: [world.queue.outcome(item.id, "offered", OFFERED) for item in items]
    return world


async def says(world, became, reason="", device="70B3D57ED0000017"):
    return await world.queue.confirmed("default", device, "ds", became, reason, "")


async def states(world, *items):
    return [await world.state(item) for item in items]


@asynchronous
async def test_one_finds_an_item_that_was_queued_under_the_device_s_name(network):
    item = await network.push_text("a")
    assert await network.state(item) == "SENT"
    assert await says(network, "delivered")
    assert await network.state(item) == "DELIVERED"


@asynchronous
async def test_one_finds_it_after_a_restart_and_days_later(network):
    item = await network.push_text("a", ttl=30 * 86_400)
    network.clock.advance(3 * 86_400)
    await network.crash()
    assert await says(network, "lost", "no answer")
    assert await network.state(item) == "QUEUED"


@asynchronous
async def test_a_network_that_keeps_several_sends_them_in_their_order(network):
    first, second, third = [await network.push_text(text) for text in "abc"]
    await says(network, "lost", "no window")
    assert await states(network, first, second, third) == ["QUEUED", "SENT", "SENT"]
    await says(network, "sent")
    assert await states(network, second, third) == ["DELIVERED", "SENT"]


@asynchronous
async def test_one_that_must_be_confirmed_is_sent_once_and_is_what_the_device_acknowledges(network):
    must = await network.push_text("a", confirmed=True)
    may = await network.push_text("b")
    await says(network, "sent", "the network: sent")
    assert await states(network, must, may) == ["SENT", "SENT"]
    assert (await network.queue.get("default", must.id)).reason == "the network: sent"
    await says(network, "sent")
    assert await states(network, must, may) == ["SENT", "DELIVERED"]
    await says(network, "delivered")
    assert await states(network, must, may) == ["DELIVERED", "DELIVERED"]


@asynchronous
async def test_a_frame_that_acknowledges_is_for_the_first_confirmed_one_that_was_sent_and_counts_once(
    network,
):
    may = await network.push_text("a")
    first, second = [await network.push_text(text, confirmed=True) for text in "bc"]
    for _ in range(3):
        await says(network, "sent", "the network: sent")
    for _ in range(2):
        assert await says(network, "acknowledged", "ACK in frame 17")
        assert await states(network, may, first, second) == ["DELIVERED", "DELIVERED", "SENT"]
    await network.crash()
    assert await says(network, "acknowledged", "ACK in frame 17")
    assert await states(network, first, second) == ["DELIVERED", "SENT"]
    assert await says(network, "acknowledged", "ACK in frame 18")
    assert await states(network, first, second) == ["DELIVERED", "DELIVERED"]
    assert not await says(network, "acknowledged", "ACK in frame 19")


@asynchronous
async def test_all_that_waited_for_a_network_is_handed_to_it_when_it_can_be(world):
    first = await world.push_text("0")
    await world.take()
    world.queue.outcome(first.id, "offered", OFFERED)  # it is open still, and not to be sent
    items = [await world.push_text(text) for text in "abc"]
    world.push = lambda taken: [world.queue.outcome(item.id, "offered", OFFERED) for item in taken]
    world.queue.wake("ds")
    patience = Patience(20)
    while world.queue._open.count("default", "dev"):
        assert not patience.is_over(), "some still wait"
        await deferLater(reactor, 0.01)
    assert await states(world, *items) == ["SENT", "SENT", "SENT"]


@asynchronous
async def test_a_frame_that_acknowledges_says_nothing_of_one_that_need_not_be(network):
    item = await network.push_text("a")
    assert not await says(network, "acknowledged", "ACK in frame 17")
    assert await states(network, item) == ["SENT"]


@asynchronous
async def test_where_downlinks_go_with_answers_it_is_for_the_latest(world):
    first = await world.push_text("a")
    await world.take()
    world.queue.outcome(first.id, "offered", OFFERED)  # nothing was ever said of it
    second = await world.push_text("b")
    await world.take()
    world.queue.outcome(second.id, "offered", OFFERED)
    await says(world, "delivered", device="dev")
    assert await states(world, first, second) == ["SENT", "DELIVERED"]


@asynchronous
async def test_one_of_another_device_or_tenant_touches_nothing(network):
    item = await network.push_text("a")
    assert not await says(network, "delivered", device="70B3D57ED0000018")
    assert not await network.queue.confirmed("acme", "70B3D57ED0000017", "ds", "delivered", "", "")
    assert await network.state(item) == "SENT"
