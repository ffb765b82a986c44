"""A registration may come from a forged address: its device is asked nothing before it has shown that it gets what is sent there."""

from __future__ import annotations

from pytest_twisted import ensureDeferred

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode
from tests.unit.datasources.lwm2m.field import LINKS, observing

PATH = "/3303/0/5700"


@ensureDeferred
async def test_a_device_is_pinged_before_it_is_asked(field):
    await field.start(**observing(PATH))
    device = field.device()
    device.wire.is_there = False
    await device.register()
    ping = await device.asked()
    assert (ping.type, ping.code) == (n.CON, n.EMPTY)
    device.send(encode(n.RST, n.EMPTY, ping.mid))
    request = await device.asked()
    assert (request.code, "/" + "/".join(request.options.path)) == (n.GET, PATH)


@ensureDeferred
async def test_one_that_answers_no_ping_is_asked_when_it_updates_as_it_was_told(field):
    await field.start(**observing(PATH))
    device = field.device()
    device.wire.is_there = False
    await device.register()
    assert (await device.asked()).code == n.EMPTY
    await device.update()
    request = await device.asked()
    assert (request.code, "/" + "/".join(request.options.path)) == (n.GET, PATH)


@ensureDeferred
async def test_who_knows_the_id_from_elsewhere_has_not_proved_an_address_by_it(field):
    await field.start(**observing(PATH))
    device, other = field.device(), field.device()
    await device.register()
    device.values(await device.asked(), [{"n": PATH, "v": 21.5}], observe=1)
    other.wire.is_there, other.location = False, device.location
    for _ in range(2):
        await other.update()
        message = await other.asked()
        assert (message.type, message.code) == (n.CON, n.EMPTY), "a ping"


@ensureDeferred
async def test_a_registration_that_is_smaller_than_its_answer_is_none(field):
    await field.start()
    device = field.device()
    assert (await device.register("ep=dev", links=b"")).code == n.BAD_REQUEST
    assert (await device.register("ep=dev", LINKS)).code == n.CREATED
