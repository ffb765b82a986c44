"""Messages that are converted again: each is counted as what it is, whoever asks, and when."""

import pytest
from twisted.internet.defer import ensureDeferred, gatherResults

from iotgw.core.errors import Conflict
from iotgw.core.model import State
from tests.unit.pipeline.test_pipeline import asynchronous, document, world

__all__ = ["world"]


async def counts(world):
    """The counts in memory, which must be those of the journal."""
    known = world.counts()
    kept = (await world.journal.stats())["datasources"]
    (figures,) = kept.values()
    assert {state: known[state] for state in figures} == figures
    return known["received"], known["converted"], known["filtered"], known["failed"]


async def failed(world):
    """The id of a datasource, and its message that failed; now its converter would take it."""
    id = await world.datasource(converter="missing")
    message = await world.converted(await world.send(document("d")))
    body = world.registry.get("datasource", id).body
    await world.registry.replace("datasource", id, {**body, "converter": "json"})
    await world.pipeline.applied(id)
    return message


@asynchronous
async def test_a_message_that_waits_for_its_first_conversion_is_not_converted_a_second_time(world):
    await world.datasource()
    await world.until(lambda: world.pipeline.idle)
    world.converters.held = []
    answer = await world.send(document("d"))
    waiting = await world.message(answer)
    assert waiting.state is State.RECEIVED
    with pytest.raises(Conflict, match="first time"):
        await world.pipeline.reprocess(waiting)
    while world.converters.held:
        world.converters.release()
    world.converters.held = None
    await world.converted(answer)
    assert await counts(world) == (1, 1, 0, 0)
    assert len(world.records) == 1


@asynchronous
async def test_one_that_was_converted_since_it_was_read_counts_once(world):
    await world.datasource()
    await world.until(lambda: world.pipeline.idle)
    world.converters.held = []
    answer = await world.send(document("d"))
    read_before = await world.message(answer)
    while world.converters.held:
        world.converters.release()
    world.converters.held = None
    await world.converted(answer)
    assert read_before.state is State.RECEIVED
    assert await world.pipeline.reprocess(read_before) is State.CONVERTED
    await world.journal.durable()
    assert await counts(world) == (1, 1, 0, 0)


@asynchronous
async def test_one_that_several_ask_for_at_a_time_counts_once(world):
    message = await failed(world)
    assert await counts(world) == (1, 0, 0, 1)
    await gatherResults([ensureDeferred(world.pipeline.reprocess(message)) for _ in range(3)])
    await world.journal.durable()
    assert await counts(world) == (1, 1, 0, 0)


@asynchronous
async def test_one_that_is_only_stored_is_as_filtered_as_before(world):
    await world.datasource(converter="")
    answer = await world.send(document("d"))
    await world.until(lambda: world.counts()["filtered"] == 1)
    await world.journal.durable()
    await world.pipeline.reprocess(await world.message(answer))
    await world.journal.durable()
    assert await counts(world) == (1, 0, 1, 0)
