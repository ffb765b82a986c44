"""Observing downlinks at the path of the uplinks, and at their own."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.model import Downlink
from iotgw.wire.coap import numbers as n
from tests.unit.datasources.coap.test_datasource import house

__all__ = ["house"]

OBSERVE = (n.OBSERVE, 0)
PLACES = ["i/k/dev", "i/k/downlink/dev"]


async def watch(device, path, mid=1, token=b"t"):
    device.send(n.CON, n.GET, mid, path, b"", OBSERVE, token=token)
    return await device.next()


def item(number, payload=b"on"):
    return Downlink(f"d{number}", "dev", payload)


@pytest.mark.parametrize("path", PLACES)
@ensureDeferred
async def test_an_observer_gets_its_items_as_notifications_that_it_acknowledges(house, path):
    source, intake = await house.datasource("k")
    device = house.device(source)
    answer = await watch(device, path)
    assert (answer.code, answer.payload) == (n.CONTENT, b"")
    assert answer.options.get(n.OBSERVE) is not None
    for number in (1, 2):
        intake.sessions["dev"]((item(number, b"item %d" % number),))
        told = await device.next()
        assert (told.type, told.code, told.token) == (n.CON, n.CONTENT, b"t")
        assert told.payload == b"item %d" % number
        device.send(n.ACK, n.EMPTY, told.mid)
    await device.post("i/k", b"x", mid=2)  # behind the ACK, so that it has been read
    assert intake.outcomes == [("d1", "sent"), ("d1", "delivered"), ("d2", "sent"), ("d2", "delivered")]


@pytest.mark.parametrize("path", PLACES)
@ensureDeferred
async def test_a_reset_or_observe_1_ends_it(house, path):
    source, intake = await house.datasource("k")
    device = house.device(source)
    await watch(device, path)
    device.send(n.CON, n.GET, 2, path, b"", (n.OBSERVE, 1))
    assert (await device.next()).options.get(n.OBSERVE) is None
    assert "dev" not in intake.sessions
    await watch(device, path, mid=3)
    intake.sessions["dev"]((item(1),))
    told = await device.next()
    device.send(n.RST, n.EMPTY, told.mid)
    await device.post("i/k", b"x", mid=4)
    assert "dev" not in intake.sessions
    assert intake.outcomes[-1][0] == "d1" and intake.outcomes[-1][1] != "delivered"


@ensureDeferred
async def test_one_device_is_told_and_no_other(house):
    source, intake = await house.datasource("k")
    one, other = house.device(source), house.device(source)
    await watch(one, "i/k/dev")
    await watch(other, "i/k/dev2")
    intake.sessions["dev"]((item(1),))
    assert (await one.next()).payload == b"on"
    await other.post("i/k", b"x", mid=2)
    assert other.inbox == []


@ensureDeferred
async def test_what_waits_for_a_device_goes_back_when_it_stops_though_others_go_on(house):
    source, intake = await house.datasource("k")
    one, other = house.device(source), house.device(source)
    await watch(one, "i/k/dev")
    await watch(other, "i/k/dev2")
    intake.sessions["dev"]((item(1), item(2)))  # the second one waits for the ACK of the first
    told = await one.next()
    one.send(n.RST, n.EMPTY, told.mid)
    await one.post("i/k", b"x", mid=2)
    lost = {number for number, outcome in intake.outcomes if outcome not in ("sent", "delivered")}
    assert lost == {"d1", "d2"}


@ensureDeferred
async def test_of_two_observations_the_newest_gets_the_items_and_then_the_one_before(house):
    source, intake = await house.datasource("k")
    old, new = house.device(source), house.device(source)
    for device in (old, new):
        await watch(device, "i/k/dev")
    intake.sessions["dev"]((item(1, b"one"), item(2, b"two")))
    told = await new.next()
    assert told.payload == b"one"
    new.send(n.RST, n.EMPTY, told.mid)  # it has gone; what waits behind goes to the other
    told = await old.next()
    assert told.payload == b"two"
    old.send(n.ACK, n.EMPTY, told.mid)
    await old.post("i/k", b"x", mid=2)
    assert new.inbox == []
    assert [outcome for outcome in intake.outcomes if outcome[0] == "d2"] == [
        ("d2", "sent"),
        ("d2", "delivered"),
    ]


@ensureDeferred
async def test_what_waits_for_a_session_that_acknowledges_nothing_goes_to_a_newer_one(house):
    source, intake = await house.datasource("k")
    old, new = house.device(source), house.device(source)
    await watch(old, "i/k/dev")
    intake.sessions["dev"](tuple(item(number, b"item %d" % number) for number in (1, 2, 3)))
    first = await old.next()
    assert (await watch(new, "i/k/dev")).code == n.EMPTY  # its answer comes by itself, to be acknowledged
    for number in (2, 3):
        told = await new.next()
        assert (told.type, told.payload) == (n.CON, b"item %d" % number)
        assert told.options.get(n.OBSERVE) is not None
        new.send(n.ACK, n.EMPTY, told.mid)
    old.send(n.ACK, n.EMPTY, first.mid)  # late, and nothing is left for it
    await old.post("i/k", b"x", mid=2)
    await new.post("i/k", b"x", mid=2)
    assert {outcome for outcome in intake.outcomes if outcome[1] != "sent"} == {
        (f"d{number}", "delivered") for number in (1, 2, 3)
    }
    assert old.inbox == []


@ensureDeferred
async def test_an_older_observation_is_sent_nothing_when_its_item_has_arrived(house):
    source, intake = await house.datasource("k")
    old, new = house.device(source), house.device(source)
    await watch(old, "i/k/dev")
    intake.sessions["dev"]((item(1, b"one"), item(2, b"two")))
    first = await old.next()
    await watch(new, "i/k/dev")
    assert (await new.next()).payload == b"two"
    intake.sessions["dev"]((item(3, b"three"), item(4, b"four")))
    assert (await new.next()).payload == b"three"  # not acknowledged yet, so the fourth one waits
    old.send(n.ACK, n.EMPTY, first.mid)
    await old.post("i/k", b"x", mid=2)
    assert old.inbox == []
    assert intake.outcomes == [("d1", "sent"), ("d2", "sent"), ("d3", "sent"), ("d1", "delivered")]


@ensureDeferred
async def test_uplinks_and_their_answers_are_as_before(house):
    source, intake = await house.datasource("k")
    device = house.device(source)
    assert (await device.post("i/k/dev", b"x", OBSERVE)).code == n.CHANGED
    assert len(intake.received) == 1 and not intake.sessions


@ensureDeferred
async def test_without_a_device_there_is_nothing_to_observe(house):
    source, intake = await house.datasource("k")
    answer = await watch(house.device(source), "i/k")
    assert answer.code == n.BAD_REQUEST
    assert not intake.sessions


@ensureDeferred
async def test_a_plain_get_takes_the_next_item(house):
    source, _ = await house.datasource("k", confirmDownlinks=False)
    answer = await house.device(source).post("i/k/dev", code=n.GET)
    assert (answer.code, answer.options.get(n.OBSERVE)) == (n.CONTENT, None)


@ensureDeferred
async def test_a_fixed_path_can_not_be_observed(house):
    source, _ = await house.datasource("k", paths=["m"])
    assert (await watch(house.device(source), "m")).code == n.METHOD_NOT_ALLOWED
