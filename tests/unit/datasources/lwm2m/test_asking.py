"""What users have devices do: each answer is the item's state and a message, and a sleeping device is left alone."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.model import Downlink
from iotgw.core.validate import convert
from iotgw.datasources.lwm2m.device import Lwm2mDevice
from iotgw.datasources.lwm2m.profile import Lwm2mProfile, ProfilePlan
from iotgw.datasources.lwm2m.registration import Lwm2mRegistration
from iotgw.wire.coap import numbers as n
from iotgw.wire.lwm2m.models import bundled
from tests.unit.datasources.lwm2m.field import observing

T = "/3303/0/5700"


async def registered(field, query="ep=dev&lt=60&lwm2m=1.1", **settings):
    await field.start(**settings)
    device = field.device()
    await device.register(query)
    return device


@ensureDeferred
async def test_a_read_is_carried_out_and_its_values_are_result_and_message(field):
    device = await registered(field)
    field.push("read", {"path": T})
    request = await device.asked()
    assert (request.code, request.options.path) == (n.GET, ("3303", "0", "5700"))
    device.values(request, [{"n": T, "v": 21.5}])
    await device.update()
    assert field.intake.outcomes == [("1", "sent"), ("1", "carried out")]
    result = field.intake.results["1"]
    assert (result["code"], result["values"]) == ("2.05", {T: 21.5})
    assert result["names"] == {T: {"object": "Temperature", "name": "Sensor Value", "units": ""}}
    body = field.bodies[-1]
    assert (body["kind"], body["id"], body["operation"], body["code"]) == ("response", "1", "read", "2.05")
    assert body["telemetry"] == {"temperature_sensorValue": 21.5}


@ensureDeferred
async def test_what_a_device_refuses_for_good_has_failed_and_what_it_can_t_now_waits(field):
    device = await registered(field)
    field.push("write", {"path": "/3/0/14", "value": "+02"})
    device.answer(await device.asked(), n.METHOD_NOT_ALLOWED, b"read only")
    await device.update()
    field.push("execute", "/3/0/4", id="2")
    device.answer(await device.asked(), n.SERVICE_UNAVAILABLE)
    await device.update()
    assert field.intake.outcomes == [
        ("1", "sent"),
        ("1", "refused: the device answered 4.05: read only"),
        ("2", "sent"),
        ("2", "lost: the device answered 5.03"),
    ]


@ensureDeferred
async def test_what_makes_no_request_is_refused_without_asking_the_device(field):
    device = await registered(field)
    field.push("dance", {"path": T})
    field.source.push({"endpoint": "dev"}, (Downlink("2", "dev", b"{", "JSON", msg_type="read"),))
    await device.update()
    reasons = [outcome for _, outcome in field.intake.outcomes]
    assert [reason.split(":")[0] for reason in reasons] == ["refused", "refused"]
    assert device.wire.inbox == []


@ensureDeferred
async def test_what_is_queued_behind_the_end_of_an_observation_leaves_too(field):
    device = await registered(field, **observing(T))
    observed = await device.asked()
    device.values(observed, [{"n": T, "v": 1}], observe=1)
    await device.update()
    field.queue("read", {"path": "/3/0/9"}, id="2")
    field.push("cancel", {"path": T}, id="1")
    ended = await device.asked()
    assert (ended.options.path, ended.options.get(n.OBSERVE)) == (("3303", "0", "5700"), b"\x01")
    device.values(ended, [{"n": T, "v": 1}])
    assert (await device.asked()).options.path == ("3", "0", "9")


@pytest.mark.parametrize(
    ("msg_type", "msg"),
    [
        ("write-composite", {"values": {"/": 1}}),
        ("write-composite", {"values": {"/3/0": "x"}}),
        ("write", {"path": "/3/0", "value": "x"}),
        ("create", {"path": "/3442", "instance": -1, "value": {"110": "a"}}),
        ("read", "/"),
        ("observe-composite", {"paths": []}),
    ],
)
@ensureDeferred
async def test_what_names_no_resource_is_refused_and_the_next_item_leaves(field, msg_type, msg):
    device = await registered(field)
    field.queue("read", {"path": T}, id="2")
    field.push(msg_type, msg)
    assert (await device.asked()).options.path == ("3303", "0", "5700")
    assert field.intake.outcomes[0][1].startswith("refused: ")


@ensureDeferred
async def test_what_is_queued_leaves_one_after_another_when_a_device_registers(field):
    field.queue("read", {"path": T}, id="1")
    field.queue("discover", "/3303", id="2")
    device = await registered(field)
    device.values(await device.asked(), [{"n": T, "v": 1}])
    discover = await device.asked()
    assert discover.options.get_uint(n.ACCEPT) == 40
    device.answer(discover, n.CONTENT, b"</3303/0/5700>", (n.CONTENT_FORMAT, 40))
    await device.update()
    assert [outcome for _, outcome in field.intake.outcomes] == ["sent", "carried out"] * 2
    assert field.intake.results["2"]["links"] == "</3303/0/5700>"


@ensureDeferred
async def test_a_user_may_observe_and_end_it(field):
    device = await registered(field)
    field.push("observe", T)
    request = await device.asked()
    device.values(request, [{"n": T, "v": 1}], observe=1)
    await device.acknowledged(device.notify(request, 2, [{"n": T, "v": 2}]))
    assert field.bodies[-1]["values"] == {T: 2.0}
    field.push("cancel", T, id="2")
    end = await device.asked()
    assert (end.token, end.options.get_uint(n.OBSERVE)) == (request.token, 1)
    device.values(end, [{"n": T, "v": 2}])
    await device.update()
    assert field.source.status()["observations"] == 0
    field.push("cancel", T, id="3")
    assert field.intake.outcomes[-1] == ("3", f"refused: {T} is not observed")


@ensureDeferred
async def test_a_device_that_is_not_registered_gets_its_items_later(field):
    await field.start()
    field.push("read", T)
    assert field.intake.outcomes == [("1", "returned")]


@ensureDeferred
async def test_a_device_that_says_good_bye_meanwhile_is_asked_again(field):
    device = await registered(field)
    field.push("read", T)
    await device.asked()
    await device.ask(n.DELETE, device.location)
    assert field.intake.outcomes[-1] == ("1", "lost: the registration has ended")


@ensureDeferred
async def test_a_sleeping_device_is_sent_nothing_until_it_wakes(field):
    device = await registered(field, "ep=dev&lwm2m=1.1&b=U&Q", awakeTime=30)
    (link,) = field.source.registrations
    link.heard -= 31  # it has been silent
    field.push("read", T)
    assert field.intake.outcomes == [("1", "returned")]
    field.queue("read", T)
    await device.update()
    request = await device.asked()
    device.values(request, [{"n": T, "v": 1}])
    await device.update()
    assert field.intake.outcomes[1:] == [("1", "sent"), ("1", "carried out")]


def listening(registration, now, **client):
    profile = Lwm2mProfile()
    if client:
        profile = convert({"clientLwM2mSettings": client}, Lwm2mProfile)
    device = Lwm2mDevice(registration, ProfilePlan(profile, bundled()), 0.0)
    device.remote, device.heard = ("192.0.2.1", 1), 100.0
    return device.listens_for(93.0, now)


def test_how_long_a_device_listens():
    plain = Lwm2mRegistration("1", "a", "a")
    queue = Lwm2mRegistration("1", "a", "a", queue=True)
    assert listening(plain, 1e6) == float("inf")
    assert (listening(queue, 110.0), listening(queue, 193.0)) == (83.0, 0.0)
    assert listening(plain, 103.0, powerMode="PSM", psmActivityTimer=5000) == 2.0
    assert listening(queue, 103.0, powerMode="E_DRX", pagingTransmissionWindow=4000) == 1.0


@ensureDeferred
async def test_a_gateway_that_is_restarted_wakes_what_waits(field):
    source = await field.start(**observing(T))
    port = source._shares[0].port.address[1]
    await field.device().register()
    await source.stop()
    await field.start(port=port, **observing(T))
    assert field.intake.wakes == 2
