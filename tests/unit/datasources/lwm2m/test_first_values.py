"""What a device tells in a response isn't sent again by anybody: it is handed in until it is stored, and lost by no crash."""

from __future__ import annotations

import json

from pytest_twisted import ensureDeferred
from twisted.internet.task import Clock

from iotgw.datasources.lwm2m.insisting import MOST_WAITING, Insisting
from iotgw.testing import FakeIntake
from iotgw.wire.coap import numbers as n
from tests.unit.datasources.lwm2m.field import observing

T = "/3303/0/5700"


def temperature(value):
    return [{"n": T, "v": value}]


def values(field):
    return [body["values"][T] for body in field.bodies if body.get("values")]


@ensureDeferred
async def test_a_crash_before_the_first_value_is_stored_has_it_observed_anew(field):
    source = await field.start(**observing(T))
    port = source._shares[0].port.address[1]
    device = field.device()
    await device.register()
    request = await device.asked()
    field.intake.auto = False
    device.values(request, temperature(20), observe=1)
    assert (await device.ask(n.GET, "rd")).code == n.METHOD_NOT_ALLOWED  # the value has come
    field.intake.auto = True
    assert "tokens" not in json.loads((await field.kept.rows("ds"))["dev"])
    await source.stop()
    await field.start(port=port, **observing(T))
    again = await device.asked()
    assert again.options.get(n.OBSERVE) == b""
    device.values(again, temperature(20), observe=2)
    await device.update()
    assert values(field)[-1] == 20.0


@ensureDeferred
async def test_a_first_value_beyond_a_limit_is_handed_in_again_as_of_its_time(field):
    source = await field.start(**observing(T))
    device = field.device()
    await device.register()
    request = await device.asked()
    clock = Clock()
    source._insisting = Insisting(field.intake, clock)
    field.intake.room = False
    device.values(request, temperature(20), observe=1)
    await device.ask(n.GET, "rd")
    assert values(field) == []
    field.intake.room = True
    clock.advance(4.9)
    assert values(field) == []
    clock.advance(0.1)
    assert values(field) == [20.0]
    await device.acknowledged(device.notify(request, 2, temperature(21)))
    assert values(field) == [20.0, 21.0]


@ensureDeferred
async def test_so_is_the_answer_to_a_read_after_the_registration(field):
    profile = {"observeAttr": {"telemetry": [T]}, "clientLwM2mSettings": {"clientOnlyObserveAfterConnect": 2}}
    source = await field.start(profiles=[profile])
    device = field.device()
    await device.register()
    clock = Clock()
    source._insisting = Insisting(field.intake, clock)
    field.intake.room = False
    device.values(await device.asked(), temperature(19))
    await device.ask(n.GET, "rd")
    field.intake.room = True
    clock.advance(5)
    assert values(field) == [19.0]


@ensureDeferred
async def test_so_is_the_end_of_a_registration_that_no_device_asked_for(field):
    source = await field.start()
    await field.device().register()
    clock = Clock()
    source._insisting = Insisting(field.intake, clock)
    field.intake.room = False
    assert source.end(source.sessions()[0]["id"])
    field.intake.room = True
    clock.advance(5)
    assert (field.kinds(), field.bodies[-1]["attributes"]["lwm2mRegistered"]) == (
        ["register", "ended"],
        False,
    )


def test_what_waits_is_bounded_and_ends_with_the_datasource():
    intake, clock, stored = FakeIntake(max_payload=MOST_WAITING), Clock(), []
    insisting = Insisting(intake, clock)
    intake.room = False
    half = b"x" * (MOST_WAITING // 2)
    for _ in range(3):
        insisting.receive(half, {}, 7, lambda: stored.append(1))
    assert (len(clock.getDelayedCalls()), insisting.lost) == (2, 1)
    clock.advance(5)
    assert (len(clock.getDelayedCalls()), insisting.lost, stored) == (2, 1, [])
    intake.room = True
    clock.advance(5)
    assert (len(intake.received), stored, clock.getDelayedCalls()) == (2, [1, 1], [])
    intake.room = False
    insisting.receive(half, {}, 7, lambda: stored.append(1))
    insisting.stop()
    assert clock.getDelayedCalls() == []
