"""Devices of one name on their platform, on their way through the pipeline."""

import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import Unavailable
from iotgw.core.model import Status
from iotgw.devices.fleet import Fleet
from iotgw.devices.platform_names import PlatformNames
from iotgw.store.sqlite.platform_names import PlatformNameRows
from tests.unit.pipeline.worlds import World, asynchronous, document

A, B = "70b3d57ed0000001", "70b3d57ed0000002"


class NamingWorld(World):
    def make(self):
        super().make()
        self.rows = PlatformNameRows(self.registry)
        clock = testing.clock()
        fleet = Fleet(
            testing.MemoryDeviceEntries(), self.devices, testing.FakeSpeakers(), testing.MemoryRegistry(clock), clock,
            PlainCalendar(clock), lambda watch, what, is_wrong, value: None,
        )  # fmt: skip
        self.pipeline._names = self.pipeline._replies._platform_names = PlatformNames(self.rows, fleet)

    async def hear(self, identity, name="boiler", datasource="ds", **more):
        """The name under which a device's message is stored."""
        answer = await self.send(document("d"), datasource, deviceName=name, identity=identity, **more)
        assert answer.status is Status.STORED
        return msgspec.json.decode((await self.message(answer)).uplink.metadata)["deviceName"]

    def taken(self):
        return [
            (event.device, event.detail["name"], event.detail["identity"], event.detail["owner"])
            for event in self.events.emitted
            if event.type == "device.name-taken"
        ]


@pytest.fixture
def world(tmp_path):
    world = NamingWorld(tmp_path)
    pytest_twisted.blockon(Deferred.fromCoroutine(world.start()))
    yield world
    pytest_twisted.blockon(Deferred.fromCoroutine(world.stop()))


@asynchronous
async def test_two_devices_of_one_name_are_stored_under_two(world):
    id = await world.datasource()
    await world.datasource("other")
    assert await world.hear(A) == "boiler"
    assert await world.hear(B, datasource="other") == f"boiler-{B}"
    assert await world.hear(B) == f"boiler-{B}"
    assert world.taken() == [(f"boiler-{B}", "boiler", B, A)]
    assert world.pipeline.status(id)["takenNames"] == {f"boiler-{B}": "boiler"}
    await world.again()
    assert await world.hear(B) == f"boiler-{B}"
    assert await world.hear(A) == "boiler"
    assert world.taken() == []
    assert world.pipeline.status(id)["takenNames"] == {f"boiler-{B}": "boiler"}


@asynchronous
async def test_messages_of_one_device_keep_their_order_while_its_name_is_asked_for(world):
    await world.datasource()
    answers = [world.send(b"%d" % n, deviceName="boiler", identity=A) for n in range(20)]
    stored = [(await world.message(await answer)) for answer in answers]
    assert [each.uplink.payload for each in stored] == [b"%d" % n for n in range(20)]
    assert [each.seq for each in stored] == sorted(each.seq for each in stored)


@asynchronous
async def test_nothing_is_stored_while_nobody_can_say_whose_a_name_is(world):
    id = await world.datasource()
    claim, world.rows.claim = world.rows.claim, lambda claims: fail(Unavailable("away"))
    answer = await world.send(document("d"), deviceName="boiler", identity=A)
    assert answer.status is Status.BUSY
    assert world.pipeline.status(id)["counts"]["refused"] == 1
    world.rows.claim = claim
    assert await world.hear(A) == "boiler"


@asynchronous
async def test_what_is_sent_again_while_its_name_is_asked_for_is_one_message(world):
    await world.datasource()
    answers = [Deferred(), Deferred()]
    for answer in answers:
        metadata = {"deviceName": "boiler", "identity": A}
        world.intake().receive(b"x", metadata, answer.callback, key="k")
    first, second = [await answer for answer in answers]
    assert first.message_id == second.message_id


@asynchronous
async def test_a_converter_that_calls_both_by_one_name_sends_neither_the_other_s_downlinks(world):
    await world.datasource()
    for identity in (A, B):
        await world.send(document("boiler"), deviceName="boiler", identity=identity)
    await world.until(lambda: len(world.records) == 2)
    world.queue("boiler", b"for A")
    assert (await world.send(document("boiler"), deviceName="boiler", identity=B)).downlinks == ()
    assert (await world.send(document("boiler"), deviceName="boiler", identity=B)).downlinks == ()
    answer = await world.send(document("boiler"), deviceName="boiler", identity=A)
    assert [item.payload for item in answer.downlinks] == [b"for A"]
