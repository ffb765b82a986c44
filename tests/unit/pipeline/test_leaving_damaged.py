"""A datasource that is deleted while what it holds can't be read: it goes all the same, and every message is counted."""

import pytest

from iotgw.core.specs import Deletion
from iotgw.pipeline import leaving
from tests.unit.pipeline.test_leaving import gone, let_go, with_backlog
from tests.unit.pipeline.test_pipeline import asynchronous, world
from tests.unit.store.sqlite.damaging import zero, zero_all

__all__ = ["world"]

MANY = 1500


def balanced(counts):
    return counts["received"] == counts["converted"] + counts["filtered"] + counts["failed"] == MANY


DAMAGES = {
    "a page of uplinks": lambda path: zero(path, "uplink"),
    "nearly all uplinks": lambda path: zero(path, "uplink", 10, at=0.1),
    "a page of their index": lambda path: zero(path, "uplink_of_datasource", at=0.4),
    "a page of both": lambda path: (zero(path, "uplink"), zero(path, "uplink_of_datasource", at=0.4)),
}


@pytest.mark.parametrize("backlog", ["drain", pytest.param("drop", marks=pytest.mark.interop)])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@asynchronous
async def test_it_goes_whatever_page_is_damaged(world, backlog, damage):
    id, _ = await with_backlog(world, MANY)
    await world.stop()
    damage(world.path / "journal.db")
    world.make()
    await world.start()
    source = world.sources[id]
    await world.registry.retire("datasource", id, Deletion(backlog))
    let_go(world)
    left = await gone(world, id)
    assert balanced(source.counts)
    assert left.drained + left.dropped == MANY


@asynchronous
async def test_while_nothing_at_all_can_be_read_what_is_dropped_goes_and_what_is_drained_waits(
    world, monkeypatch
):
    monkeypatch.setattr(leaving, "UNREAD", 0.5)
    id, _ = await with_backlog(world, MANY)
    await world.stop()
    world.make()
    await world.registry.start()
    await world.journal.start(world.pipeline.journal_listener)
    for name in ("uplink", "sqlite_autoindex_name_1"):
        zero_all(world.path / "journal.db", name)
    await world.pipeline.start()
    source = world.sources[id]
    await world.registry.retire("datasource", id, Deletion("drain"))
    let_go(world)
    assert await world.departures.end("datasource", id, 1.5) is None
    assert "can't be read" in world.journal.faults[0]
    assert source.counts["failed"] == 0
    await world.registry.retire("datasource", id, Deletion("drop"))
    left = await gone(world, id)
    assert (left.drained, left.dropped) == (0, MANY)
    assert balanced(source.counts)
