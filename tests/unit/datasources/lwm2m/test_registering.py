"""Registrations: what a device may say, what is stored before it is answered, and how they end."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.task import Clock

from iotgw.core.model import Answer, Status
from iotgw.datasources.lwm2m.expiry import LOOK, Expiry
from iotgw.datasources.lwm2m.registration import Said, said
from iotgw.wire.coap import numbers as n
from tests.peers.process import free_udp_port
from tests.unit.datasources.lwm2m.field import LINKS


@ensureDeferred
async def test_a_device_registers_updates_and_says_good_bye(field):
    await field.start()
    device = field.device()
    response = await device.register("ep=dev&lt=60&lwm2m=1.1&b=U&sms=49170")
    assert response.code == n.CREATED and device.location.startswith("rd/")
    (body,) = field.bodies
    assert body["attributes"] == {
        "lwm2mRegistered": True, "lwm2mVersion": "1.1", "lwm2mBinding": "U", "lwm2mQueueMode": False,
        "lwm2mLifetime": 60, "lwm2mObjects": "1,3,3303",
    }  # fmt: skip
    (_, metadata) = field.intake.received[0]
    assert {key: metadata[key] for key in ("endpoint", "deviceName", "identity", "protocol", "kind", "lwm2mVersion")} == {
        "endpoint": "dev", "deviceName": "dev", "identity": "dev", "protocol": "lwm2m", "kind": "register",
        "lwm2mVersion": "1.1",
    }  # fmt: skip
    (shown,) = field.source.sessions()
    assert (shown["objects"], shown["sms" if "sms" in shown else "binding"]) == (
        {"1": [0], "3_1.1": [0], "3303": [0]},
        "U",
    )
    assert (await device.update()).code == n.CHANGED
    assert (await device.update("lt=90", LINKS + b",</5/0>")).code == n.CHANGED
    assert field.kinds() == ["register", "update"]
    assert field.bodies[1]["attributes"]["lwm2mObjects"] == "1,3,3303,5"
    assert (await device.ask(n.DELETE, device.location)).code == n.DELETED
    assert field.kinds()[-1] == "deregister"
    assert (field.source.sessions(), field.kept.owners) == ([], {"ds": {}})
    assert (await device.update()).code == n.NOT_FOUND


@ensureDeferred
async def test_updates_that_change_nothing_are_messages_too_if_one_wants_it(field):
    await field.start(updates="always")
    device = field.device()
    await device.register()
    await device.update()
    assert field.kinds() == ["register", "update"]


@ensureDeferred
async def test_a_device_is_told_that_it_is_registered_when_that_is_stored(field):
    field.intake.auto = False
    await field.start()
    device = field.device()
    mid = device.begin(n.POST, "rd?ep=dev&lt=60&lwm2m=1.1", LINKS, (n.CONTENT_FORMAT, 40))
    await device.acknowledged(mid)  # an empty acknowledgement: the response will come by itself
    assert field.kinds() == ["register"]
    field.intake.answer()
    response = await device.wire.next()
    assert (response.type, response.code) == (n.CON, n.CREATED)


@ensureDeferred
async def test_one_that_can_not_be_stored_comes_back_later(field):
    field.intake.says = Answer(Status.BUSY, retry_after=7.0)
    await field.start()
    response = await field.device().register()
    assert (response.code, response.options.get_uint(n.MAX_AGE)) == (n.SERVICE_UNAVAILABLE, 7)
    field.intake.says = Answer(Status.BUSY, retry_after=7.0, is_limited=True)
    response = await field.device().register()
    assert (response.code, response.options.get_uint(n.MAX_AGE)) == (n.TOO_MANY_REQUESTS, 7)


@ensureDeferred
async def test_one_that_can_not_be_kept_comes_back_later(field):
    field.kept.problem = RuntimeError("disk full")
    await field.start()
    assert (await field.device().register()).code == n.SERVICE_UNAVAILABLE
    field.kept.problem = None


@ensureDeferred
async def test_a_newer_registration_stands_in_place_of_the_older_and_is_not_ended_by_it(field):
    await field.start()
    first, second = field.device(), field.device()
    await first.register()
    await second.register()
    assert first.location != second.location
    assert (await first.update()).code == n.NOT_FOUND
    assert (await first.ask(n.DELETE, first.location)).code == n.NOT_FOUND
    assert (await second.update()).code == n.CHANGED
    assert field.source.registrations._due(first.location.removeprefix("rd/")) is None
    assert len(field.kept.owners["ds"]) == 1


@ensureDeferred
async def test_links_are_bounded(field, monkeypatch):
    monkeypatch.setattr("iotgw.datasources.lwm2m.registering.LONGEST_LINKS", len(LINKS))
    await field.start()
    device = field.device()
    more = LINKS + b",</5/0>"
    assert (await device.register("ep=other&lt=60", more)).code == n.REQUEST_ENTITY_TOO_LARGE
    assert (await device.register()).code == n.CREATED
    assert (await device.update("lt=60", more)).code == n.REQUEST_ENTITY_TOO_LARGE


@ensureDeferred
async def test_so_are_those_of_all_devices_together(field, monkeypatch):
    monkeypatch.setattr("iotgw.datasources.lwm2m.registrations.MOST_LINKS", 2 * len(LINKS))
    await field.start()
    first, second, third = (field.device() for _ in range(3))
    assert (await first.register("ep=first&lt=60")).code == n.CREATED
    assert (await second.register("ep=second&lt=60")).code == n.CREATED
    assert (await third.register("ep=third&lt=60")).code == n.SERVICE_UNAVAILABLE
    assert (await first.update("lt=60", LINKS + b",</5/0>")).code == n.SERVICE_UNAVAILABLE
    assert (await first.update("lt=60", LINKS)).code == n.CHANGED
    assert (await second.ask(n.DELETE, second.location)).code == n.DELETED
    assert (await third.register("ep=third&lt=60")).code == n.CREATED


@ensureDeferred
async def test_a_registration_expires_after_its_lifetime_and_that_is_a_message(field):
    await field.start()
    device = field.device()
    await device.register()
    id = device.location.removeprefix("rd/")
    field.source.registrations._expired(id)
    assert field.kinds() == ["register", "expired"]
    assert field.bodies[1]["attributes"]["lwm2mRegistered"] is False
    assert field.kept.owners["ds"] == {}


@ensureDeferred
async def test_registrations_are_there_after_a_restart(field):
    source = await field.start()
    port = source._shares[0].port.address[1]
    device = field.device()
    await device.register()
    await source.stop()
    await field.start(port=port)
    assert (await device.update()).code == n.CHANGED
    assert [each["endpoint"] for each in field.source.sessions()] == ["dev"]


@ensureDeferred
async def test_a_registration_that_a_user_ends_is_made_again_by_its_device(field):
    source = await field.start()
    device = field.device()
    await device.register()
    assert source.end(device.location.removeprefix("rd/")) is True
    assert source.end("nobody") is False
    assert (await device.update()).code == n.NOT_FOUND
    assert (await device.register()).code == n.CREATED


@ensureDeferred
async def test_as_many_register_as_there_may_be_and_each_again(field):
    await field.start(maxRegistrations=1)
    device = field.device()
    await device.register()
    assert (await field.device().register("ep=other&lwm2m=1.1")).code == n.SERVICE_UNAVAILABLE
    assert (await device.register()).code == n.CREATED


@ensureDeferred
async def test_an_endpoint_that_has_credentials_is_not_for_who_proves_nothing(field):
    field.intake.forbidden.add("meter-7")
    await field.start()
    response = await field.device().register("ep=meter-7&lwm2m=1.1")
    assert response.code == n.FORBIDDEN
    assert [reason for reason, _, _ in field.intake.refusals] == ["identity"]


@ensureDeferred
async def test_several_datasources_share_a_port_by_a_path_in_front(field):
    port = free_udp_port()
    first = await field.start(port=port, path="acme")
    await field.start(port=port, path="other")
    device = field.device(first)
    assert (await device.register(path="acme/rd")).code == n.CREATED
    assert device.location.startswith("acme/rd/")
    assert (len(first.registrations), len(field.source.registrations)) == (1, 0)


@pytest.mark.parametrize(
    ("query", "links", "pairs", "code"),
    [
        ("lt=60", LINKS, (), n.BAD_REQUEST),
        ("ep=a&lt=x", LINKS, (), n.BAD_REQUEST),
        ("ep=a&lt=-1", LINKS, (), n.BAD_REQUEST),
        ("ep=a%01".replace("%01", "\x01"), LINKS, (), n.BAD_REQUEST),
        ("ep=a&lwm2m=2.0", LINKS, (), n.BAD_REQUEST),
        ("ep=a&b=XYZ", LINKS, (), n.BAD_REQUEST),
        ("ep=a", b"</3/0", (), n.BAD_REQUEST),
        ("ep=a", b"{}", ((n.CONTENT_FORMAT, 50),), n.UNSUPPORTED_CONTENT_FORMAT),
    ],
)
@ensureDeferred
async def test_what_is_no_registration_is_refused(field, query, links, pairs, code):
    await field.start()
    device = field.device()
    assert (await device.ask(n.POST, f"rd?{query}", links, *pairs)).code == code
    assert field.intake.received == []


@ensureDeferred
async def test_a_lifetime_of_0_has_no_end_but_the_longest_that_is_taken(field):
    await field.start(maxLifetime=1000)
    device = field.device()
    for lifetime, lives in ((0, 1000), (1, 15), (2**32 - 1, 1000), (2**63, None)):
        response = await device.register(f"ep=dev&lt={lifetime}&lwm2m=1.1")
        assert response.code == (n.BAD_REQUEST if lives is None else n.CREATED)
        if lives is not None:
            (shown,) = field.source.sessions()
            assert (shown["lifetime"], round(shown["expiresIn"], -1)) == (lifetime, round(lives, -1))


@ensureDeferred
async def test_other_methods_and_places_are_refused(field):
    await field.start()
    device = field.device()
    await device.register()
    assert (await device.ask(n.GET, "rd")).code == n.METHOD_NOT_ALLOWED
    assert (await device.ask(n.DELETE, "rd")).code == n.METHOD_NOT_ALLOWED
    assert (await device.ask(n.POST, f"{device.location}/3")).code == n.NOT_FOUND
    assert (await device.ask(n.DELETE, "rd/nobody")).code == n.NOT_FOUND


def test_what_devices_say_is_read_leniently():
    assert said(["ep=n", "lt=60", "lwm2m=1.0.0", "b=uq", "mac=unknown", "Q"]) == Said(
        "n", 60, "1.0", "UQ", True, None
    )
    assert said(["ep=a", "ep=b"]) == Said("a")
    assert said([]) == Said()


def test_a_name_whose_time_is_put_off_costs_nothing_until_it_comes_up():
    clock, due, ended = Clock(), {"a": 100.0, "b": 50.0, "c": None}, []
    expiry = Expiry(clock, due.get, ended.append)
    for name, at in (("a", 100.0), ("b", 50.0), ("c", 60.0)):
        expiry.add(at, name)
    assert len(clock.getDelayedCalls()) == 1
    due["b"] = 120.0
    clock.advance(99)
    assert ended == []
    clock.advance(1)
    assert ended == ["a"]
    clock.advance(20)
    assert (ended, len(expiry)) == (["a", "b"], 0)
    assert clock.getDelayedCalls() == []


def test_names_that_come_one_after_another_have_one_timer_between_them():
    class Running(Clock):
        """Time goes on while one looks at it."""

        def __init__(self):
            super().__init__()
            self.made = 0

        def seconds(self):
            self.rightNow += 1e-6
            return self.rightNow

        def callLater(self, *what):
            self.made += 1
            return super().callLater(*what)

    clock = Running()
    expiry = Expiry(clock, {}.get, [].append)
    for number in range(100):
        expiry.add(100.0 + number, str(number))
    assert clock.made == 1
    expiry.add(50.0, "sooner")
    assert (clock.made, len(clock.getDelayedCalls())) == (2, 1)


def test_a_time_that_is_put_forward_is_noticed_soon():
    clock, due, ended = Clock(), {"a": 1e6}, []
    expiry = Expiry(clock, due.get, ended.append)
    expiry.add(1e6, "a")
    due["a"] = 10.0
    clock.advance(LOOK)
    assert ended == ["a"]
    expiry.add(5e5, "a")
    expiry.stop()
    assert clock.getDelayedCalls() == []
