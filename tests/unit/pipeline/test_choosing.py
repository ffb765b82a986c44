"""A datasource with several converters gives each device its own."""

import msgspec
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


@asynchronous
async def test_a_device_s_own_converter_outranks_its_datasource_s(world):
    world.versions.library["mine"] = msgspec.structs.replace(VERSION, version=7)
    await world.datasource(converters={"WS301": "json"})
    world.own.give("70b3d57ed0000017", "mine")
    world.own.give("by name", "mine")
    for facts in (
        {"devEui": "70b3d57ed0000017", "deviceProfile": "WS301"},
        {"deviceName": "by name"},
        {"identity": "by name"},
    ):
        assert (await world.converted(await world.send(document("d"), **facts))).converter == "c/7"
    others = await world.converted(await world.send(document("d"), devEui="70b3d57ed0000018"))
    assert others.converter == "c/1"


@asynchronous
async def test_a_datasource_without_a_converter_converts_for_the_devices_that_have_one(world):
    await world.datasource(converter="")
    await world.send(document("before"))
    world.own.give("d", "json")
    assert (await world.converted(await world.send(document("d"), identity="d"))).state is State.CONVERTED
    assert (await world.converted(await world.send(document("e"), identity="e"))).state is State.FILTERED
    assert world.counts()["filtered"] == 2


@asynchronous
async def test_a_device_s_own_converter_that_is_gone_is_said(world):
    await world.datasource()
    world.own.give("d", "gone")
    failed = await world.converted(await world.send(document("d"), identity="d"))
    assert failed.error.name == "NoConverter" and "'gone'" in failed.error.message


@asynchronous
async def test_what_a_device_s_own_converter_may_say_is_known_at_once(world):
    id = await world.datasource()
    assert not world.sources[id].says
    world.versions.library["says"] = msgspec.structs.replace(VERSION, name="says", script="reply")
    world.own.give("d", "says")
    assert world.sources[id].says == {"reply"}
