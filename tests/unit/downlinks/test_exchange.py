"""Items that take the place of others, and pushes that come at once: one step in memory, one on disk."""

import sqlite3
from contextlib import closing

import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred

from iotgw.core.downlink_item import ItemState
from iotgw.core.errors import SettingsError, Unavailable
from iotgw.core.specs import DownlinkSpec
from iotgw.downlinks import exchange
from tests.unit.downlinks.test_queue import World, asynchronous


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    pytest_twisted.blockon(ensureDeferred(world.start()))
    yield world
    pytest_twisted.blockon(ensureDeferred(world.queue.stop()))


def text(content, **more):
    return DownlinkSpec(data=content, content_type="TEXT", **more)


def together(*coroutines):
    """Start them all, then wait: a list of ``(succeeded, result)``."""
    return DeferredList([ensureDeferred(each) for each in coroutines], consumeErrors=True)


def recorded_commits(world):
    """What a crash would leave after each transaction from now on: the texts of the QUEUED items."""
    left = []
    commit = world.store._commit

    def watched(rows):
        commit(rows)
        with closing(sqlite3.connect(world.path / "downlinks.db")) as reader:
            bodies = reader.execute("SELECT body FROM item WHERE state = 'QUEUED' ORDER BY seq").fetchall()
        left.append([msgspec.json.decode(body)["spec"]["data"] for (body,) in bodies])

    world.store._commit = watched
    return left


def failing_commits(world):
    """The disk takes nothing until the function that this returns is called."""
    commit, world.store._commit = world.store._commit, lambda rows: 1 / 0
    return lambda: setattr(world.store, "_commit", commit)


@asynchronous
async def test_a_crash_leaves_the_old_items_or_the_new_ones(world):
    await world.push_text("old")
    left = recorded_commits(world)
    await world.push_text("new", policy="last")
    await world.queue.replace("default", "dev", [text("a"), text("b")])
    await world.queue.replace("default", "dev", [text("c")])
    assert left == [["new"], ["a", "b"], ["c"]]


@asynchronous
@pytest.mark.parametrize("replaces", [True, False], ids=["PUT", "last"])
async def test_a_replacement_that_could_not_be_written_leaves_what_waited(world, replaces):
    old = await world.push_text("old")
    mend = failing_commits(world)
    with pytest.raises(ZeroDivisionError):
        if replaces:
            await world.queue.replace("default", "dev", [text("a"), text("b")])
        else:
            await world.push_text("new", policy="last")
    mend()
    assert await world.state(old) == "QUEUED"
    assert world.queue.depth() == 1
    await world.push_text("other", device="other")
    await world.crash()
    assert [each.payload for each in await world.take(limit=9)] == [b"old"]


@asynchronous
async def test_neither_the_old_nor_the_new_leaves_before_the_new_is_durable(world):
    sent = []
    old = await world.push_text("old")
    world.queue.reachable("default", "dev", "ds", sent.extend)
    replacing = ensureDeferred(world.queue.replace("default", "dev", [text("new")]))
    assert await world.take() == []
    await replacing
    assert [each.payload for each in sent] == [b"new"]
    assert await world.state(old) == "DELETED"


@asynchronous
async def test_an_item_whose_converter_runs_while_it_is_replaced_does_not_leave(world):
    old = await world.push_text("old")
    encoding = Deferred()
    world.encoding = encoding
    taken = []
    world.queue.take("default", "dev", "ds", 1, taken.append)
    replacing = ensureDeferred(world.queue.clear("default", "dev"))
    encoding.callback((b"old", "TEXT", {}))
    assert await replacing == 1
    assert taken == [()]
    assert await world.state(old) == "DELETED"


@asynchronous
async def test_of_concurrent_pushes_with_policy_last_one_item_stays(world):
    await together(*(world.push_text(str(number), policy="last") for number in range(20)))
    assert [each.payload for each in await world.take(limit=99)] == [b"19"]
    assert world.queue.depth() == 1


@asynchronous
async def test_an_item_that_left_while_it_was_replaced_keeps_its_true_state(world):
    old = await world.push_text("old")
    await world.take()
    replacing = ensureDeferred(world.queue.replace("default", "dev", [text("new")]))
    world.queue.outcome(old.id, "sent")
    await replacing
    assert await world.state(old) == "SENT"
    await world.crash()
    assert await world.state(old) == "SENT"
    assert [each.payload for each in await world.take(limit=9)] == [b"new"]


@asynchronous
async def test_an_item_that_was_lost_while_it_was_replaced_does_not_come_back(world):
    old = await world.push_text("old")
    await world.take()
    world.queue.outcome(old.id, "sent")
    failing = await world.push_text("fails")
    encoding = Deferred()
    world.encoding = encoding
    taken = []
    world.queue.take("default", "dev", "ds", 1, taken.append)
    replacing = ensureDeferred(world.queue.replace("default", "dev", []))
    encoding.errback(ValueError("boom"))
    world.queue.outcome(failing.id, "lost", "twice")
    await replacing
    await world.crash()
    assert await world.state(failing) == "DELETED"
    assert await world.take() == []


@asynchronous
async def test_concurrent_pushes_do_not_overshoot_the_limit_of_a_device(world, monkeypatch):
    monkeypatch.setattr(exchange, "MAX_PER_DEVICE", 10)
    results = await together(
        *(world.push_text("x") for _ in range(15)),
        *(world.queue.replace("default", "other", [text("x")] * 4) for _ in range(5)),
    )
    assert [succeeded for succeeded, _ in results[:15]] == [True] * 10 + [False] * 5
    assert all(failure.check(Unavailable) for succeeded, failure in results if not succeeded)
    assert len(await world.take(limit=99)) == 10
    assert len(await world.take("other", limit=99)) == 4


@asynchronous
async def test_concurrent_pushes_do_not_overshoot_the_limit_of_all(world, monkeypatch):
    monkeypatch.setattr(exchange, "MAX_OPEN", 10)
    results = await together(*(world.push_text("x", device=f"d{number}") for number in range(15)))
    assert [succeeded for succeeded, _ in results].count(True) == 10
    assert world.queue.depth() == 10
    # what takes another's place, and what makes room, is not refused
    replaced = await world.queue.replace("default", "d0", [text("y")])
    assert [item.state for item in replaced] == [ItemState.QUEUED]
    await world.queue.clear("default", "d0")
    await world.push_text("z", device="d99")


@asynchronous
async def test_a_push_that_could_not_be_written_makes_its_room_again(world, monkeypatch):
    monkeypatch.setattr(exchange, "MAX_PER_DEVICE", 1)
    mend = failing_commits(world)
    with pytest.raises(ZeroDivisionError):
        await world.push_text("x")
    mend()
    await world.push_text("y")


@asynchronous
async def test_a_push_that_comes_while_another_fails_to_be_written_is_answered(world):
    mend = failing_commits(world)
    results = together(world.push_text("x"), world.push_text("y"))
    (first, _), (second, _) = await results
    assert (first, second) == (False, False)
    mend()
    await world.push_text("z")
    assert world.queue.depth() == 1


@asynchronous
async def test_a_device_with_a_name_that_no_device_can_have_gets_no_item(world):
    for name in ("a\x01", "a\x7f", "a\ufffe", "a\ud800"):
        with pytest.raises(
            SettingsError, match=r"^device: expected a name without control characters, got U"
        ):
            await world.queue.push("default", name, text("x"))


@asynchronous
async def test_an_item_that_is_durable_is_queued_though_it_can_not_be_sent_at_once(world, monkeypatch):
    monkeypatch.setattr(world.queue._leaving, "_find", lambda tenant, device: 1 / 0)
    item = await world.push_text("x")
    assert item.state is ItemState.QUEUED and await world.state(item) == "QUEUED"
