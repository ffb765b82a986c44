"""Uplinks that are spilled, as the pipeline is told of them by the journal."""

from iotgw.core.model import Answer, Status, StoredUplink, Uplink
from tests.unit.pipeline.test_pipeline import asynchronous, document, world

__all__ = ["world"]


def entry(world, id, seq, answers):
    return StoredUplink(seq, Uplink("default", id, 1, document("d"), b"{}")), (answers.append, "d")


@asynchronous
async def test_the_sender_of_a_spilled_message_hears_its_id_at_once(world):
    id = await world.datasource(reply="converted")
    world.queue("d", b"downlink")
    answers = []
    world.pipeline.journal_listener.spilled([entry(world, id, 1, answers)])
    assert answers == [Answer(Status.STORED, world.journal.epochs.message_id(1))]
    assert world.converted_payloads == []


@asynchronous
async def test_what_is_postponed_while_it_is_converted_is_converted_when_it_comes_again(world):
    id = await world.datasource()
    first = await world.send(document("d"))
    await world.converted(first)
    answers = []
    again = entry(world, id, world.journal.last_uplink + 1, answers)
    listener = world.pipeline.journal_listener
    listener.storing([again])
    listener.postponed([again])
    assert world.counts()["refused"] == 0
    assert (
        await world.send(document("d"))
    ).status is Status.STORED  # of the same position, as it was not given before
    await world.until(lambda: world.counts()["converted"] == 2)
    assert world.counts()["received"] == 2
