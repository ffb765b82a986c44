"""A datasource with several converters gives each device its own."""

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from iotgw.core.model import State
from tests.unit.pipeline.worlds import VERSION, World, asynchronous, document


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    pytest_twisted.blockon(Deferred.fromCoroutine(world.start()))
    yield world
    pytest_twisted.blockon(Deferred.fromCoroutine(world.stop()))


@asynchronous
async def test_a_converter_is_chosen_by_what_a_device_is_and_the_library_s_is_offered(world):
    world.versions.library["milesight/em300-th"] = VERSION
    await world.datasource(converter="", converters={"A84041*": "json", "WS301": "json"})
    for facts in ({"devEui": "a840410000000001"}, {"deviceProfile": "ws301"}):
        assert (await world.converted(await world.send(document("d"), **facts))).state is State.CONVERTED
    failed = await world.converted(await world.send(document("d"), deviceProfile="EM300-TH"))
    assert failed.error.message == (
        "no converter for device model 'EM300-TH': expected one of A84041*, WS301 in `converters`, or a `converter` for the "
        "rest; the library has 'milesight/em300-th' for it"
    )
