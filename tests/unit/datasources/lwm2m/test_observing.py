"""What devices tell: notifications and Sends, stored before they are acknowledged, whatever becomes of addresses and processes."""

from __future__ import annotations

import json

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.model import Answer, Status
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode, options
from tests.unit.datasources.lwm2m.field import observing

T = "/3303/0/5700"


def temperature(value):
    return [{"n": T, "v": value}]


async def observed(field, device=None, *paths, **more):
    """A device whose temperature is observed: the request, and what has been told since."""
    device = device or field.device()
    await device.register()
    request = await device.asked()
    device.values(request, temperature(20), observe=1)
    await device.update()
    return device, request


@ensureDeferred
async def test_what_the_profile_names_is_observed_from_the_registration_on(field):
    await field.start(**observing(T, keyName={T: "temperature"}))
    device, request = await observed(field)
    opts = request.options
    assert (request.code, opts.path, opts.get(n.OBSERVE), opts.get_uint(n.ACCEPT)) == (
        n.GET,
        ("3303", "0", "5700"),
        b"",
        112,
    )
    (_, body) = field.bodies
    assert (body["kind"], body["values"], body["telemetry"]) == ("notify", {T: 20.0}, {"temperature": 20.0})
    assert field.intake.received[1][1]["path"] == T
    await device.acknowledged(device.notify(request, 2, temperature(21.5)))
    assert field.bodies[2]["telemetry"] == {"temperature": 21.5}
    assert field.source.status()["observations"] == 1


@ensureDeferred
async def test_a_notification_is_acknowledged_when_it_is_stored(field):
    await field.start(**observing(T))
    device, request = await observed(field)
    field.intake.auto = False
    mid = device.notify(request, 2, temperature(21.5))
    field.intake.says = None
    later = device.begin(n.GET, "rd")
    answer = await device.wire.next()
    assert answer.mid == later  # and nothing of the notification
    field.intake.answer()
    await device.acknowledged(mid)


@ensureDeferred
async def test_one_that_is_refused_is_not_acknowledged_and_its_copy_is_taken(field):
    await field.start(**observing(T))
    device, request = await observed(field)
    field.intake.says = Answer(Status.BUSY)
    mid = device.notify(request, 2, temperature(21.5))
    await device.ask(n.GET, "rd")
    field.intake.says = None
    device.mid = mid - 1
    await device.acknowledged(device.notify(request, 2, temperature(21.5)))


@ensureDeferred
async def test_a_stale_notification_and_a_copy_are_told_once(field):
    await field.start(**observing(T))
    device, request = await observed(field)
    await device.acknowledged(device.notify(request, 7, temperature(7)))
    await device.acknowledged(device.notify(request, 6, temperature(6)))
    device.notify(request, 8, temperature(8), n.NON)
    device.mid -= 1
    device.notify(request, 8, temperature(8), n.NON)
    await device.ask(n.GET, "rd")
    assert [body["values"][T] for body in field.bodies if body["kind"] == "notify"] == [20.0, 7.0, 8.0]


@ensureDeferred
async def test_observations_go_on_after_a_restart_and_nothing_is_lost(field):
    source = await field.start(**observing(T))
    port = source._shares[0].port.address[1]
    device, request = await observed(field)
    await source.stop()
    await field.start(port=port, **observing(T))
    await device.acknowledged(device.notify(request, 2, temperature(21.5)))
    assert field.bodies[-1]["values"] == {T: 21.5}
    await device.update()
    assert device.wire.inbox == []  # it is not asked again


@ensureDeferred
async def test_one_device_s_text_makes_no_attribute_of_the_others_numbers(field):
    await field.start(**observing(T))
    device, request = await observed(field)
    await device.acknowledged(device.notify(request, 2, [{"n": "/3303/0/5701", "vs": "Cel"}]))
    await device.acknowledged(device.notify(request, 3, [{"n": "/3303/0/5701", "v": 3}]))
    broken, fine = field.bodies[-2:]
    assert (broken["telemetry"], broken["attributes"]) == ({}, {"temperature_sensorUnits": "Cel"})
    assert (fine["telemetry"], "attributes" in fine) == ({"temperature_sensorUnits": 3}, False)


@ensureDeferred
async def test_of_several_times_the_latest_attribute_stays(field):
    await field.start(**observing(T, attribute=[T]))
    device, request = await observed(field)
    base = 1_700_000_000
    pack = [{"n": T, "v": 9, "t": base + 60}, {"n": T, "v": 5, "t": base}]
    await device.acknowledged(device.notify(request, 2, pack))
    assert field.bodies[-1]["attributes"] == {"temperature_sensorValue": 9}
    assert [record["ts"] for record in field.bodies[-1]["records"]] == [base * 1000, (base + 60) * 1000]


@ensureDeferred
async def test_what_a_device_with_a_new_session_sends_is_taken_before_it_updates(field):
    """After a restart of the gateway, or from another address: what it proved says who it is."""
    field.credentials.add_psk("id-7", bytes(16), "meter-7")
    field.intake.proves = True
    await field.start(securityMode="DTLS", securePort=0, **observing(T))
    device = await field.secure_device("id-7", bytes(16))
    assert (await device.register("ep=meter-7&lt=60&lwm2m=1.1")).code == n.CREATED
    device.values(await device.asked(), temperature(20), observe=1)
    await device.update()
    back = await field.secure_device("id-7", bytes(16))
    pack = json.dumps(temperature(23)).encode()
    assert (await back.ask(n.POST, "dp", pack, (n.CONTENT_FORMAT, 110))).code == n.CHANGED
    assert (field.bodies[-1]["kind"], field.bodies[-1]["telemetry"]) == (
        "send",
        {"temperature_sensorValue": 23},
    )
    again = await back.asked()
    assert (again.options.path, again.options.get(n.OBSERVE)) == (("3303", "0", "5700"), b"")
    field.credentials.add_psk("id-8", bytes(16), "meter-8")
    unknown = await field.secure_device("id-8", bytes(16))
    assert (await unknown.ask(n.POST, "dp", pack, (n.CONTENT_FORMAT, 110))).code == n.NOT_FOUND


@ensureDeferred
async def test_after_an_address_change_it_is_observed_anew_with_the_same_token(field):
    await field.start(**observing(T))
    device, request = await observed(field)
    elsewhere = field.device()
    elsewhere.location = device.location
    assert (await elsewhere.update()).code == n.CHANGED
    again = await elsewhere.asked()
    assert (again.token, again.options.get(n.OBSERVE)) == (request.token, b"")
    elsewhere.values(again, temperature(22), observe=5)
    await elsewhere.acknowledged(elsewhere.notify(again, 6, temperature(23)))
    assert field.bodies[-1]["values"] == {T: 23.0}


@ensureDeferred
async def test_a_device_that_registers_again_is_observed_again_with_the_same_token(field):
    await field.start(**observing(T))
    device, request = await observed(field)
    await device.register()
    again = await device.asked()
    assert again.token == request.token


@ensureDeferred
async def test_one_that_a_device_has_ended_is_begun_anew_with_its_next_update(field):
    await field.start(**observing(T))
    device, request = await observed(field)
    device.mid += 1
    device.send(encode(n.CON, n.NOT_FOUND, device.mid, request.token))
    await device.acknowledged(device.mid)
    assert field.intake.events[-1][0] == "lwm2m.trouble"
    await device.update()
    assert (await device.asked()).options.path == ("3303", "0", "5700")


@ensureDeferred
async def test_all_paths_are_observed_in_one_composite_observation_or_each_by_itself_where_that_is_unknown(
    field,
):
    await field.start(**observing(T, "/3/0/9", "/9999/0", observeStrategy="COMPOSITE_ALL"))
    device = field.device()
    await device.register()
    request = await device.asked()
    assert (request.code, request.options.path, request.options.get_uint(n.CONTENT_FORMAT)) == (
        n.FETCH,
        (),
        112,
    )
    device.values(request, [{"n": T, "v": 20}, {"n": "/3/0/9", "v": 87}], observe=1)
    await device.update()
    assert field.bodies[-1]["values"] == {T: 20.0, "/3/0/9": 87}
    old = field.device()
    await old.register("ep=old&lwm2m=1.1")
    refused = await old.asked()
    old.answer(refused, n.METHOD_NOT_ALLOWED)
    for path in (("3303", "0", "5700"), ("3", "0", "9")):
        single = await old.asked()
        assert (single.code, single.options.path) == (n.GET, path)
        old.values(single, [{"n": "/" + "/".join(path), "v": 1}], observe=1)


@ensureDeferred
async def test_a_star_observes_every_object_that_is_no_secret(field):
    await field.start(**observing("*"))
    device = field.device()
    await device.register("ep=d&lwm2m=1.0", b"</0/0>,</1/0>,</2/0>,</3/0>,</3303/0>,</3303/1>")
    found = []
    for _ in range(3):
        request = await device.asked()
        found.append(request.options.path)
        assert request.options.get_uint(n.ACCEPT) == 11542
        device.answer(request, n.CONTENT, b"", (n.OBSERVE, 1))
    assert found == [("3", "0"), ("3303", "0"), ("3303", "1")]


@ensureDeferred
async def test_conditions_are_written_first_and_values_are_read_if_one_wants_it(field):
    profile = {
        "observeAttr": {
            "observe": [T], "telemetry": [T], "attribute": ["/3_1.1/0/0"], "keyName": {"/3_1.1/0/0": "maker"},
            "attributeLwm2m": {T: {"pmin": 1, "pmax": 60}},
        },
        "clientLwM2mSettings": {"clientOnlyObserveAfterConnect": 2},
    }  # fmt: skip
    await field.start(profiles=[profile])
    device = field.device()
    await device.register()
    attributes = await device.asked()
    assert (attributes.code, attributes.options.queries) == (n.PUT, ("pmin=1", "pmax=60"))
    device.answer(attributes, n.CHANGED)
    for path, value in ((T, 20), ("/3/0/0", "Acme")):
        read = await device.asked()
        assert (read.code, "/" + "/".join(read.options.path), read.options.get(n.OBSERVE)) == (
            n.GET,
            path,
            None,
        )
        device.values(read, [{"n": path, "v" if path == T else "vs": value}])
    assert (await device.asked()).options.get(n.OBSERVE) == b""
    assert field.bodies[2]["attributes"] == {"maker": "Acme"}


@ensureDeferred
async def test_a_value_without_a_model_is_told_by_its_path(field):
    await field.start(**observing("/31024/10"))
    device = field.device()
    await device.register("ep=dev&lwm2m=1.0", b"</31024/10>")
    request = await device.asked()
    device.answer(request, n.CONTENT, bytes.fromhex("c1010a"), (n.CONTENT_FORMAT, 11542), (n.OBSERVE, 1))
    await device.update()
    assert field.bodies[-1]["values"] == {"/31024/10/1": "Cg=="}
    assert field.bodies[-1]["attributes"] == {"/31024/10/1": "Cg=="}


@ensureDeferred
async def test_what_can_t_be_read_is_kept_with_its_bytes(field):
    await field.start(**observing(T))
    device = field.device()
    await device.register()
    device.answer(await device.asked(), n.CONTENT, b"\xff", (n.CONTENT_FORMAT, 11542), (n.OBSERVE, 1))
    await device.update()
    body = field.bodies[-1]
    assert (body["kind"], body["raw"], body["contentFormat"]) == ("notify", "/w==", 11542)
    assert "expected a TLV" in body["error"]


@ensureDeferred
async def test_a_multiple_resource_is_an_object_of_its_instances(field):
    await field.start(**observing("/3/0/7"))
    device = field.device()
    await device.register()
    device.answer(
        await device.asked(), n.CONTENT, bytes.fromhex("88070842000ed842011388"), (n.CONTENT_FORMAT, 11542), (n.OBSERVE, 1)
    )  # fmt: skip
    await device.update()
    assert field.bodies[-1]["values"] == {"/3/0/7": {"0": 3800, "1": 5000}}
    assert field.bodies[-1]["telemetry"] == {
        "device_powerSourceVoltage_0": 3800,
        "device_powerSourceVoltage_1": 5000,
    }


@pytest.mark.parametrize("first", ["/3303/0/5700", "/3303/0/5700/1"])
@ensureDeferred
async def test_a_device_that_says_a_value_and_instances_of_one_resource_is_heard_all_the_same(field, first):
    await field.start(**observing("/3303/0"))
    device, request = await observed(field)
    both = [{"n": each, "v": 1} for each in (first, "/3303/0/5700", "/3303/0/5700/1")]
    await device.acknowledged(device.notify(request, 2, both))
    assert field.bodies[-1]["values"] == {"/3303/0/5700": 1.0}


@ensureDeferred
async def test_a_send_is_taken_though_nobody_asked_with_the_times_of_its_readings(field):
    await field.start()
    device = field.device()
    await device.register()
    pack = [{"bn": T, "bt": 1700000000, "v": 20}, {"bn": T, "bt": 1700000060, "v": 21}]
    response = await device.ask(n.POST, "dp", json.dumps(pack).encode(), (n.CONTENT_FORMAT, 110))
    assert response.code == n.CHANGED
    body = field.bodies[-1]
    assert body["kind"] == "send"
    assert [(record["ts"], record["telemetry"]) for record in body["records"]] == [
        (1700000000000, {"temperature_sensorValue": 20.0}),
        (1700000060000, {"temperature_sensorValue": 21.0}),
    ]


@ensureDeferred
async def test_times_far_in_the_future_are_those_of_a_wrong_clock(field):
    await field.start()
    device = field.device()
    await device.register()
    pack = [{"n": T, "t": 4_000_000_000, "v": 20}]
    await device.ask(n.POST, "dp", json.dumps(pack).encode(), (n.CONTENT_FORMAT, 110))
    assert field.bodies[-1]["ts"] < 3_900_000_000_000


@ensureDeferred
async def test_a_send_of_who_has_not_registered_or_of_another_format_is_refused_and_a_broken_one_is_kept(
    field,
):
    await field.start()
    device = field.device()
    assert (await device.ask(n.POST, "dp", b"[]", (n.CONTENT_FORMAT, 110))).code == n.NOT_FOUND
    await device.register()
    assert (await device.ask(n.POST, "dp", b"x", (n.CONTENT_FORMAT, 0))).code == n.UNSUPPORTED_CONTENT_FORMAT
    assert (await device.ask(n.POST, "dp", b"[{", (n.CONTENT_FORMAT, 110))).code == n.BAD_REQUEST
    ((payload, _, reason),) = field.intake.rejected
    assert (payload, reason.startswith("SenML")) == (b"[{", True)


@ensureDeferred
async def test_a_notification_that_nobody_asked_for_is_reset(field):
    await field.start()
    device = field.device()
    await device.register()
    device.mid += 1
    device.send(encode(n.CON, n.CONTENT, device.mid, b"none", options((n.OBSERVE, 2)), b"x"))
    message = await device.wire.next()
    assert (message.type, message.mid) == (n.RST, device.mid)


@ensureDeferred
async def test_a_profile_that_names_more_is_asked_for_after_a_restart(field):
    source = await field.start(**observing(T))
    port = source._shares[0].port.address[1]
    device, _ = await observed(field)
    await source.stop()
    await field.start(port=port, **observing(T, "/3/0/9"))
    assert (await device.asked()).options.path == ("3", "0", "9")
