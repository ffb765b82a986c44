"""Metadata that many messages have alike: encoded once, and stored as all other."""

import msgspec
from msgspec.structs import replace

from iotgw.core.fixed_metadata import FixedMetadata
from tests.unit.pipeline.test_pipeline import asynchronous, world
from tests.unit.pipeline.worlds import document

__all__ = ["world"]


@asynchronous
async def test_metadata_that_is_handed_in_again_is_stored_by_the_settings_of_its_time(world):
    id = await world.datasource(metadata={"site": "north"})
    fixed, found = FixedMetadata({"port": 7, "identityType": "psk"}), []
    for site in ("north", "north", "south"):
        world.sources[id].spec = replace(world.sources[id].spec, metadata={"site": site})
        answers = []
        world.intake().receive(document("d"), fixed, answers.append)
        await world.until(lambda answers=answers: answers)
        found.append(msgspec.json.decode((await world.message(answers[0])).uplink.metadata))
    assert found == [{"site": site, "port": 7} for site in ("north", "north", "south")]
