"""Senders that a datasource turns away, as its intake is told of them."""

from tests.unit.pipeline.test_pipeline import asynchronous, world

__all__ = ["world"]


@asynchronous
async def test_who_is_turned_away_is_counted_by_reason_and_said_once_for_each_peer(world):
    id = await world.datasource()
    assert "refusals" not in world.pipeline.status(id)
    for peer in ("192.0.2.7", "192.0.2.7", "192.0.2.8"):
        world.intake().refuse("credentials", peer, "wrong credentials")
    world.intake().refuse("header", "192.0.2.7", "no header X-Key")
    found = [event for event in world.events.emitted if event.type == "refused"]
    assert [(event.source, event.name, event.message) for event in found] == [
        ("datasource", "ds", "192.0.2.7: wrong credentials"),
        ("datasource", "ds", "192.0.2.8: wrong credentials"),
        ("datasource", "ds", "192.0.2.7: no header X-Key"),
    ]
    assert found[0].detail == {"peer": "192.0.2.7", "reason": "credentials"}
    assert world.pipeline.status(id)["refusals"] == {"credentials": 3, "header": 1}
