"""What devices and networks in the field do, one by one; each name ends with where it was seen. Those that concern bytes alone are in
`tests/unit/wire/lwm2m`, those about updates in `test_updating`."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from pytest_twisted import ensureDeferred

from iotgw.datasources.lwm2m.door import Door
from iotgw.datasources.lwm2m.settings import Lwm2mSettings
from iotgw.dtls.session import DtlsSession
from iotgw.testing import FakeIntake, datasource_context
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode, options
from tests.peers.process import free_udp_port
from tests.unit.datasources.lwm2m.field import LINKS, observing

T = "/3303/0/5700"


async def registered(field, query="ep=dev&lt=60&lwm2m=1.1&b=U", **settings):
    await field.start(**settings)
    device = field.device()
    await device.register(query)
    return device


async def observed(field, device):
    """Answer the request that observes."""
    request = await device.asked()
    assert request.options.get_uint(n.OBSERVE) == 0
    device.values(request, [{"n": T, "v": 20}], observe=1)
    return request


async def send(device, pack):
    return await device.ask(n.POST, "dp", json.dumps(pack).encode(), (n.CONTENT_FORMAT, 110))


@ensureDeferred
async def test_what_is_queued_goes_to_the_newest_address_leshan_852(field):
    device = await registered(field)
    moved = field.device()  # its mapping in the network's NAT was lost
    moved.location = device.location
    await moved.update()
    field.push("read", T)
    request = await moved.asked()
    assert "/".join(request.options.path) == T[1:]
    assert device.wire.inbox == []


@ensureDeferred
async def test_a_response_keeps_the_device_awake_too_leshan_712(field):
    device = await registered(field, "ep=dev&lwm2m=1.1&b=U&Q", awakeTime=30)
    (link,) = field.source.registrations
    link.heard -= 29
    field.push("read", T)
    device.values(await device.asked(), [{"n": T, "v": 1}])
    await device.update()
    assert field.source.sessions()[0]["listens"] > 29


@ensureDeferred
async def test_a_device_that_sleeps_after_seconds_has_a_window_of_seconds_leshan_948(field):
    profile = {"clientLwM2mSettings": {"powerMode": "PSM", "psmActivityTimer": 5000}}
    await registered(field, profiles=[profile])
    assert 0 < field.source.sessions()[0]["listens"] <= 5


@ensureDeferred
async def test_what_was_queued_leaves_after_a_new_registration_too_leshan_207_thingsboard_6048(field):
    device = await registered(field, "ep=dev&lwm2m=1.1&b=U&Q", awakeTime=30)
    (link,) = field.source.registrations
    link.heard -= 31
    field.push("write", {"path": "/3/0/14", "value": "+02"})
    assert field.intake.outcomes == [("1", "returned")]
    field.queue("write", {"path": "/3/0/14", "value": "+02"})
    await device.register("ep=dev&lwm2m=1.1&b=U&Q")
    request = await device.asked()
    assert (request.code, request.options.path) == (n.PUT, ("3", "0", "14"))


@ensureDeferred
async def test_a_device_that_forgot_its_observations_and_only_updates_is_observed_anew_zephyr_58278(field):
    device = await registered(field, **observing(T, attributeLwm2m={T: {"pmax": 60}}))
    device.answer(await device.asked(), n.CHANGED)  # the conditions
    first = await observed(field, device)
    await device.update()
    assert device.wire.inbox == []
    (link,) = field.source.registrations
    link.asked_at -= 200
    for watch in link.watches.values():
        watch.heard -= 200
    await device.update()
    device.answer(await device.asked(), n.CHANGED)
    again = await observed(field, device)
    assert again.token == first.token


@pytest.mark.parametrize("type_", [n.CON, n.NON])
@ensureDeferred
async def test_a_response_with_a_token_of_nobody_harms_nothing_leshan_862(field, type_):
    device = await registered(field, **observing(T))
    request = await device.asked()
    device.mid += 1
    device.send(encode(type_, n.CONTENT, device.mid, b"no", options((n.OBSERVE, 1)), b"x"))
    device.values(request, [{"n": T, "v": 20}], observe=1)
    await device.update()
    assert field.kinds() == ["register", "notify"]


@pytest.mark.parametrize(("resets", "answers"), [(True, 1), (False, 0)])
@ensureDeferred
async def test_a_modem_that_a_reset_would_silence_gets_none_if_one_wants_it_californium_1739(
    field, resets, answers
):
    device = await registered(field, resetNotifications=resets)
    device.mid += 1
    device.send(encode(n.NON, n.CONTENT, device.mid, b"old", options((n.OBSERVE, 5)), b"x"))
    await device.update()
    assert [message.type for message in device.wire.inbox] == [n.RST] * answers


@ensureDeferred
async def test_one_that_shares_a_port_with_such_a_modem_gets_none_either(field):
    number = free_udp_port()
    source = await field.start(port=number, path="acme", resetNotifications=False)
    await field.start(port=number)
    port = source._shares[0].port
    assert not port.endpoint.resets_notifications
    await source.stop()
    assert port.endpoint.resets_notifications


@ensureDeferred
async def test_an_observation_is_cancelled_by_its_own_token_zephyr_32826(field):
    device = await registered(field, **observing(T))
    request = await observed(field, device)
    await device.update()
    field.push("cancel", T)
    end = await device.asked()
    assert (end.code, end.token, end.options.path) == (n.GET, request.token, request.options.path)
    assert end.options.get_uint(n.OBSERVE) == 1


@ensureDeferred
async def test_after_a_new_registration_a_value_is_told_once_zephyr_54974(field):
    device = await registered(field, **observing(T))
    first = await observed(field, device)
    await device.register()
    again = await observed(field, device)
    assert again.token == first.token
    await device.acknowledged(device.notify(again, 2, [{"n": T, "v": 21}]))
    assert field.source.status()["observations"] == 1
    assert [body["values"][T] for body in field.bodies if body["kind"] == "notify"] == [20.0, 20.0, 21.0]


@ensureDeferred
async def test_a_device_in_queue_mode_is_answered_before_it_is_asked_thingsboard_9975(field):
    await field.start(**observing(T))
    device = field.device()
    mid = device.begin(n.POST, "rd?ep=dev&lwm2m=1.1&b=U&Q", LINKS, (n.CONTENT_FORMAT, 40))
    answer, request = await device.asked(), await device.asked()
    assert (answer.code, answer.mid, request.code) == (n.CREATED, mid, n.GET)


@ensureDeferred
async def test_many_paths_are_one_observation_that_wakes_the_device_once_thingsboard_10798(field):
    device = await registered(field, **observing(T, "/3/0/9", observeStrategy="COMPOSITE_ALL"))
    request = await device.asked()
    assert (request.code, request.options.get_uint(n.OBSERVE)) == (n.FETCH, 0)
    device.values(request, [{"n": T, "v": 20}, {"n": "/3/0/9", "v": 87}], observe=1)
    await device.acknowledged(device.notify(request, 2, [{"n": T, "v": 21}, {"n": "/3/0/9", "v": 86}]))
    assert field.bodies[-1]["values"] == {T: 21.0, "/3/0/9": 86}


@ensureDeferred
async def test_a_notification_that_is_not_confirmable_is_told_once(field):
    device = await registered(field, **observing(T))
    request = await observed(field, device)
    mid = device.notify(request, 2, [{"n": T, "v": 21}], n.NON)
    device.mid = mid - 1
    device.notify(request, 2, [{"n": T, "v": 21}], n.NON)
    await device.update()
    assert [body["values"][T] for body in field.bodies if body["kind"] == "notify"] == [20.0, 21.0]


@pytest.mark.parametrize(
    ("value", "expected"), [({"v": 21}, 21.0), ({"v": -0.5}, -0.5), ({"vs": "21.5"}, "21.5")]
)
@ensureDeferred
async def test_numbers_have_the_type_of_their_resource_leshan_1170_zephyr_16154(field, value, expected):
    device = await registered(field)
    await send(device, [{"n": T, **value}])
    (found,) = field.bodies[-1]["values"].values()
    assert (found, type(found)) == (expected, type(expected))


@ensureDeferred
async def test_a_pack_may_date_some_of_its_values_only_leshan_1479_oma_538(field):
    device = await registered(field)
    await send(device, [{"n": T, "v": 20, "t": 1_700_000_000}, {"n": "/3/0/9", "v": 87}])
    first, second = field.bodies[-1]["records"]
    assert (first["ts"], first["values"]) == (1_700_000_000_000, {T: 20.0})
    assert (second["ts"] > first["ts"], second["values"]) == (True, {"/3/0/9": 87})


@ensureDeferred
async def test_a_device_whose_clock_was_never_set_gets_the_gateway_s_time(field):
    device = await registered(field)
    await send(device, [{"n": T, "v": 20, "t": 321}])
    assert field.bodies[-1]["ts"] > 1_700_000_000_000


@ensureDeferred
async def test_objects_without_a_model_are_not_dropped_thingsboard_15647(field):
    device = await registered(field)
    await send(device, [{"n": "/30000/0/7", "v": 5}, {"n": "/30000/0/8", "vd": "AQID"}])
    assert field.bodies[-1]["values"] == {"/30000/0/7": 5, "/30000/0/8": "AQID"}


class Nothing:
    """A port, and registrations of nobody."""

    address = ("127.0.0.1", 1)

    def by_endpoint(self, name):
        return None


class Proved(DtlsSession):
    """A session whose handshake proved that it is this device."""

    proved = "meter-7"

    def __init__(self):
        self.identity = SimpleNamespace(name="id-7", type="psk")


@pytest.mark.parametrize(
    ("ep", "endpoint", "is_refused"),
    [
        ("", "meter-7", False),  # OMA#470: what the identity says already may be left out
        ("meter-7", "meter-7", False),
        ("id-7", "id-7", False),
        ("somebody", "somebody", True),  # OMA#451
    ],
)
def test_an_endpoint_is_who_it_proved_to_be_oma_451_470(ep, endpoint, is_refused):
    context = datasource_context(FakeIntake())
    door = Door(None, Nothing(), None, context, Lwm2mSettings(), Nothing())
    found, _, objection = door._names(Proved(), ep)
    assert (found, bool(objection)) == (endpoint, is_refused)


@pytest.mark.parametrize(("ep", "is_refused"), [("box-1", False), ("box-2", False), ("meter-8", True)])
def test_many_devices_may_have_one_key_but_not_the_name_of_another_s_jvermillard_32(ep, is_refused):
    context = datasource_context(FakeIntake())
    context.intake.forbidden.add("meter-8")
    door = Door(None, Nothing(), None, context, Lwm2mSettings(endpoint_is="any"), Nothing())
    endpoint, device, objection = door._names(Proved(), ep)
    assert (endpoint, device, bool(objection)) == (ep, ep, is_refused)
