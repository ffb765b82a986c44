"""A datasource that is deleted with a backlog: drained or dropped, whatever stops the gateway meanwhile."""

import pytest
from twisted.internet.defer import ensureDeferred

from iotgw.core.errors import Conflict, NotFound
from iotgw.core.model import State
from iotgw.core.specs import Deletion
from tests.unit.pipeline.test_pipeline import asynchronous, document, world

__all__ = ["world"]


async def with_backlog(world, count=300):
    """A datasource whose converter answers nothing yet; the answers of its uplinks."""
    id = await world.datasource()
    await world.until(lambda: world.pipeline.idle)
    world.converters.held = []
    answers = [await world.send(document("d", n=number)) for number in range(count)]
    return id, answers


async def states(world, answers):
    found = [await world.message(answer) for answer in answers]
    return {state: sum(message.state is state for message in found) for state in State}


def retire(world, id, backlog="drain"):
    return world.registry.retire("datasource", id, Deletion(backlog))


def let_go(world):
    """Answer what waits, and all that comes."""
    while world.converters.held:
        world.converters.release()
    world.converters.held = None


async def gone(world, id):
    return await world.departures.end("datasource", id, 20)


@asynchronous
async def test_what_waits_for_a_deleted_datasource_is_converted_before_it_goes(world):
    id, answers = await with_backlog(world)
    await retire(world, id)
    let_go(world)
    left = await gone(world, id)
    assert left.dropped == 0
    assert (await states(world, answers))[State.CONVERTED] == 300
    assert len(world.records) == 300
    with pytest.raises(NotFound):
        world.registry.get("datasource", id)
    assert [event.detail for event in world.events.emitted if event.type == "removed"] == [
        {"drained": 300, "dropped": 0, "deadLetters": 0}
    ]


@asynchronous
async def test_what_waits_may_be_dropped_and_then_has_failed_for_that_reason(world):
    id, answers = await with_backlog(world)
    await retire(world, id, "drop")
    world.converters.release()
    world.converters.release()
    left = await gone(world, id)
    found = await states(world, answers)
    assert found == {
        State.RECEIVED: 0,
        State.FILTERED: 0,
        State.CONVERTED: left.drained,
        State.FAILED: left.dropped,
    }
    assert left.drained + left.dropped == 300
    assert left.dropped > 0
    message = await world.message(answers[-1])
    assert (message.error.name, "deleted" in message.error.message) == ("Deleted", True)
    with pytest.raises(NotFound, match="was deleted"):
        await world.pipeline.reprocess(message)


@asynchronous
async def test_a_deletion_goes_on_after_a_stop(world):
    id, answers = await with_backlog(world)
    await retire(world, id)
    await world.again()
    assert world.registry.get("datasource", id).deletion == Deletion("drain")
    let_go(world)
    await gone(world, id)
    assert (await states(world, answers))[State.CONVERTED] == 300
    await world.again()
    assert world.journal.unconverted() == []


@asynchronous
async def test_who_drains_may_change_his_mind_and_drop(world):
    id, _answers = await with_backlog(world)
    await retire(world, id)
    assert (await retire(world, id, "drop")).deletion.backlog == "drop"
    assert (await retire(world, id, "drain")).deletion.backlog == "drop"
    world.converters.release()
    world.converters.release()
    left = await gone(world, id)
    assert left.dropped > 0


@asynchronous
async def test_a_datasource_that_is_being_deleted_takes_nothing_and_cannot_be_changed(world):
    id, _ = await with_backlog(world, 1)
    await retire(world, id)
    await world.pipeline.applied(id)
    assert world.pipeline.datasource(id) is None
    with pytest.raises(Conflict, match="being deleted"):
        await world.pipeline.inject(id, b"x", {})
    with pytest.raises(Conflict, match="being deleted"):
        await world.registry.replace("datasource", id, {})
    with pytest.raises(Conflict, match="still being deleted"):
        await world.registry.create("datasource", "default", "ds", {})
    let_go(world)


@asynchronous
async def test_a_datasource_has_its_counts_as_long_as_the_registry_has_it(world):
    id, _ = await with_backlog(world, 3)
    delete, seen = world.registry.delete, []

    def watched(kind, id):
        seen.append(world.pipeline.status(id)["counts"]["converted"])
        return delete(kind, id)

    world.registry.delete = watched
    await retire(world, id)
    let_go(world)
    await gone(world, id)
    assert seen == [3]


@asynchronous
async def test_uplinks_whose_datasource_is_in_no_registry_end_as_failed_at_the_next_start(world):
    id, answers = await with_backlog(world)
    await world.stop()
    world.make()
    await world.registry.start()
    await world.registry.delete("datasource", id)  # as a registry that was put back from an older copy
    await world.registry.stop()
    world.make()
    await world.start()
    await world.until(lambda: any(event.type == "orphaned" for event in world.events.emitted))
    found = await states(world, answers)
    assert (found[State.RECEIVED], found[State.CONVERTED]) == (0, 0)
    assert found[State.FAILED] == 300
    (event,) = [event for event in world.events.emitted if event.type == "orphaned"]
    assert (event.name, event.detail) == (id, {"dropped": 300})
    await world.again()
    assert world.journal.unconverted() == []
    assert [event for event in world.events.emitted if event.type == "orphaned"] == []


@asynchronous
async def test_the_accounts_of_a_datasource_are_the_journal_s_over_a_restart(world):
    _id, _answers = await with_backlog(world, 3)
    let_go(world)
    await world.send(b"no JSON")
    await world.until(lambda: world.pipeline.idle)
    counts = {"received": 4, "converted": 3, "filtered": 0, "failed": 1, "refused": 0}
    assert world.counts() == counts
    await world.again()
    assert world.counts() == counts
    await world.send(document("d"))
    await world.until(lambda: world.counts()["converted"] == 4)
    assert world.counts()["received"] == 5


@asynchronous
async def test_a_message_that_is_converted_again_counts_as_what_it_is_now(world):
    await world.datasource(converter="missing")
    message = await world.converted(await world.send(document("d")))
    assert (world.counts()["failed"], world.counts()["converted"]) == (1, 0)
    resource = world.registry.list("datasource")[0]
    await world.registry.replace("datasource", resource.id, {**resource.body, "converter": "json"})
    await world.pipeline.applied(resource.id)
    await ensureDeferred(world.pipeline.reprocess(message))
    assert (world.counts()["failed"], world.counts()["converted"]) == (0, 1)
    await world.again()
    assert (world.counts()["failed"], world.counts()["converted"]) == (0, 1)


@asynchronous
async def test_what_others_keep_for_it_goes_while_the_registry_still_has_it(world, monkeypatch):
    id, type_ = await world.datasource(), world.types.get("plain")
    there = []
    monkeypatch.setattr(
        type_, "forget", lambda *about: there.append([each.id for each in world.registry.list("datasource")])
    )
    await retire(world, id)
    await gone(world, id)
    assert there == [[id]]
