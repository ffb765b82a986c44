"""What a target hears of a downlink that it sent: that it is durable, or why it isn't, and whether it may be later."""

import pytest
from twisted.internet.defer import Deferred

from iotgw.core.errors import Full, NoSpace, SettingsError, Unavailable
from iotgw.core.ports.integrations import QUEUED, Queued
from tests.unit.delivery.worlds import World

ITEM = {"msg": 1}


def told(said, item=ITEM):
    """What the target hears, and the events."""
    world = World(downlink=said)
    heard = []
    world.target.context.downlink("default", "d1", item).addCallback(heard.append)
    return heard, [event.message for event in world.events.emitted if event.type == "downlink.refused"]


def raising(error):
    async def queue(tenant, device, spec):
        raise error

    return queue


def test_it_is_queued_when_it_is_durable():
    commit = Deferred()
    world = World(downlink=lambda *item: commit)
    heard = []
    world.target.context.downlink("default", "d1", ITEM).addCallback(heard.append)
    assert heard == []
    commit.callback("the item")
    assert heard == [QUEUED]


@pytest.mark.parametrize(
    "error", [SettingsError("device", "no name"), Full("too many wait"), ValueError("odd")]
)
def test_a_refusal_is_final_and_an_event(error):
    assert told(raising(error)) == ([Queued(str(error))], [str(error)])


@pytest.mark.parametrize(
    "error",
    [NoSpace("the disk is full"), Unavailable("the database is away"), OSError("I/O"), MemoryError("memory")],
)
def test_a_store_that_fails_is_for_now_and_no_event_of_each_item(error):
    assert told(raising(error)) == ([Queued(str(error), is_final=False)], [])


def test_what_is_no_downlink_is_refused():
    (queued,), (event,) = told(lambda *item: None, {"msg": 1, "ttl": -1})
    assert queued.is_final and queued.reason == event and "ttl" in event
