"""A registration may come from a forged address: what goes there is no more than came from it, until somebody has answered."""

from __future__ import annotations

import json

from pytest_twisted import ensureDeferred

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode
from tests.unit.datasources.lwm2m.field import LINKS, observing

PATH = "/3303/0/5700"
FAR = "127.0.0.2"
SMALL = b"</3303/0>"
"""Of a registration that leaves room for pings only."""


async def registered_small(field, **more):
    """A device that answers no ping, and whose registration leaves no room for a request."""
    await field.start(**observing(PATH))
    device = field.device(**more)
    device.wire.is_there = False
    await device.register("ep=dev&lt=60", SMALL)
    return device


def is_ping(message):
    return (message.type, message.code) == (n.CON, n.EMPTY)


def asks_for_the_path(message):
    return (message.code, "/" + "/".join(message.options.path)) == (n.GET, PATH)


def has_waited(field):
    """Its pings are over, and nobody has answered them."""
    (link,) = field.source.registrations
    endpoint = link.port.endpoint
    ping = endpoint.client._with(link.remote).outstanding.transmission
    while ping.key in endpoint.transmissions._open:
        endpoint.transmissions._timed_out(ping, endpoint.clock())
    return endpoint.peers.find(link.remote)


@ensureDeferred
async def test_a_registration_that_is_large_enough_is_answered_by_the_request_itself(field):
    await field.start(**observing(PATH))
    device = field.device()
    device.wire.is_there = False
    await device.register()
    assert asks_for_the_path(await device.asked())


@ensureDeferred
async def test_for_a_small_one_the_device_is_pinged_before_it_is_asked(field):
    device = await registered_small(field)
    ping = await device.asked()
    assert is_ping(ping)
    device.send(encode(n.RST, n.EMPTY, ping.mid))
    assert asks_for_the_path(await device.asked())


@ensureDeferred
async def test_one_that_answers_no_ping_is_asked_when_it_updates_as_it_was_told(field):
    device = await registered_small(field)
    assert is_ping(await device.asked())
    await device.update()
    assert asks_for_the_path(await device.asked())


@ensureDeferred
async def test_another_port_of_the_same_address_is_the_same_as_behind_a_network_s_nat(field):
    device = await registered_small(field)
    moved = field.device()
    moved.wire.is_there, moved.location = False, device.location
    await moved.update()
    assert asks_for_the_path(await moved.asked())


@ensureDeferred
async def test_who_knows_the_id_from_elsewhere_has_not_proved_an_address_by_it(field):
    await field.start(**observing(PATH))
    device, other = field.device(), field.device(at=FAR)
    await device.register()
    device.values(await device.asked(), [{"n": PATH, "v": 21.5}], observe=1)
    other.wire.is_there, other.location = False, device.location
    await other.update()
    assert is_ping(await other.asked())
    await device.update()  # and whoever was told it, has
    assert asks_for_the_path(await device.asked())


@ensureDeferred
async def test_one_that_answers_no_ping_and_is_elsewhere_is_asked_after_some_updates(field):
    device = await registered_small(field)
    moved = field.device(at=FAR)
    moved.wire.is_there, moved.location = False, device.location
    await moved.update()
    ping = await moved.asked()
    assert is_ping(ping)
    assert has_waited(field).is_mute
    asked = []
    for _ in range(4):
        await moved.update()
        asked = asked or [message for message in moved.wire.inbox if message.code == n.GET]
    assert asks_for_the_path(asked[0])
    assert {message.mid for message in moved.wire.inbox if is_ping(message)} <= {ping.mid}
    moved.values(asked[0], [{"n": PATH, "v": 21.5}], observe=1)
    await moved.update()
    assert field.bodies[-1]["values"] == {PATH: 21.5}


@ensureDeferred
async def test_after_a_restart_whoever_updates_from_where_it_was_told_its_id_is_asked_at_once(field):
    device = await registered_small(field)
    await field.source.stop()
    await field.start(**observing(PATH))
    again = field.device()
    again.wire.is_there, again.location = False, device.location
    await again.update()
    assert asks_for_the_path(await again.asked())


@ensureDeferred
async def test_after_a_restart_whoever_updates_from_elsewhere_has_proved_nothing(field):
    device = await registered_small(field)
    moved = field.device(at=FAR)
    moved.wire.is_there, moved.location = False, device.location
    await moved.update()
    await field.source.stop()
    await field.start(**observing(PATH))
    again = field.device(at=FAR)
    again.wire.is_there, again.location = False, device.location
    await again.update()
    assert is_ping(await again.asked())


@ensureDeferred
async def test_what_is_queued_for_one_that_does_not_answer_waits_until_it_is_heard(field):
    device = await registered_small(field, at=FAR)
    has_waited(field)
    for _ in range(3):
        field.push("read", "/3/0/0")
    assert field.intake.outcomes == [("1", "returned")] * 3
    field.queue("read", "/3/0/0")
    await device.update()
    request = await device.asked()
    while request.code != n.GET:
        request = await device.asked()
    device.values(request, [{"n": PATH, "v": 21.5}], observe=1)
    assert "/".join((await device.asked()).options.path) == "3/0/0"


@ensureDeferred
async def test_a_device_that_was_away_is_asked_as_soon_as_it_sends(field):
    await field.start(**observing(PATH))
    device = field.device()
    await device.register()
    request = await device.asked()
    (link,) = field.source.registrations
    link.port.endpoint.client.cancel(link.port.endpoint.client._with(link.remote).outstanding)
    assert link.is_asleep, "it has left a request unanswered"
    await device.ask(n.POST, "dp", json.dumps([{"n": PATH, "v": 1}]).encode(), (n.CONTENT_FORMAT, 110))
    assert (await device.asked()).options.path == request.options.path


@ensureDeferred
async def test_a_registration_that_is_smaller_than_its_answer_is_none(field):
    await field.start()
    device = field.device()
    assert (await device.register("ep=dev", links=b"")).code == n.BAD_REQUEST
    assert (await device.register("ep=dev", LINKS)).code == n.CREATED
