"""What a device may send to do harm: it is refused or kept as it is, and the next one is served."""

from __future__ import annotations

import json

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.ports.firmware import Image
from iotgw.datasources.lwm2m.images import ImageBytes
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from tests.unit.datasources.lwm2m.field import observing

T = "/3303/0/5700"


async def registered(field, **settings):
    await field.start(**settings)
    device = field.device()
    await device.register()
    return device


async def in_blocks(device, path, body):
    """A body of the device, as large as it is."""
    for number in range((len(body) + 1023) // 1024):
        block = Block(number, (number + 1) * 1024 < len(body), 6)
        part = body[number * 1024 : (number + 1) * 1024]
        pairs = ((n.CONTENT_FORMAT, 40), (n.BLOCK1, block.value))
        response = await device.ask(n.POST, path, part, *pairs)
        if response.code != n.CONTINUE:
            return response
    raise AssertionError("expected a last answer")


@pytest.mark.parametrize(("count", "code"), [(2_000, n.CREATED), (10_000, n.REQUEST_ENTITY_TOO_LARGE)])
@ensureDeferred
async def test_thousands_of_links_are_a_registration_and_ten_thousand_are_none(field, count, code):
    await field.start(**observing("*"))
    device = field.device()
    links = b",".join(b"</1/0>" for _ in range(count))
    assert (await in_blocks(device, "rd?ep=dev&lt=60&lwm2m=1.1", links)).code == code
    assert len(field.source.registrations) == (code == n.CREATED)


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        (11542, bytes.fromhex("c80fff41")),
        (110, b'[{"bn":"' + b"/" * 5000 + b'"}]'),
        (112, bytes.fromhex("9b7fffffffffffffff")),
        (112, b"\x81" * 5000),
        (110, b"[" * 5000),
        (110, b'[{"n":"/3303/0/65536","v":1}]'),
        (112, bytes.fromhex("81a200662f332f302f3102c4821a7fffffff01")),
    ],
    ids=[
        "a TLV behind its end",
        "a long name",
        "a list of 2⁶³",
        "deep CBOR",
        "deep JSON",
        "a path with 65536",
        "10^(2³¹)",
    ],
)
@ensureDeferred
async def test_a_notification_that_can_not_be_read_is_kept_with_its_bytes(field, form, payload):
    device = await registered(field, **observing(T))
    request = await device.asked()
    device.answer(request, n.CONTENT, payload[:1024], (n.CONTENT_FORMAT, form), (n.OBSERVE, 1))
    await device.update()
    told = [body for body in field.bodies if body["kind"] == "notify"]
    assert [("raw" in body, bool(body["error"])) for body in told] == [(True, True)]
    assert (await device.update()).code == n.CHANGED


@ensureDeferred
async def test_objects_that_nobody_knows_are_registered_and_not_observed_by_the_profile(field):
    await field.start(**observing(T))
    device = field.device()
    assert (await device.register(links=b"</30000/0>,</65534/7>")).code == n.CREATED
    assert field.bodies[0]["attributes"]["lwm2mObjects"] == "30000,65534"
    await device.update()
    assert device.wire.inbox == []


@ensureDeferred
async def test_an_integer_resource_may_come_as_a_float_and_is_what_it_is(field):
    device = await registered(field)
    pack = [{"n": "/3/0/9", "v": 87.0}, {"n": "/3/0/10", "v": 12.5}]
    await device.ask(n.POST, "dp", json.dumps(pack).encode(), (n.CONTENT_FORMAT, 110))
    assert field.bodies[-1]["values"] == {"/3/0/9": 87, "/3/0/10": 12.5}


@ensureDeferred
async def test_an_execute_on_what_can_only_be_read_fails_with_the_device_s_answer(field):
    device = await registered(field)
    field.push("execute", "/3/0/9")
    device.answer(await device.asked(), n.METHOD_NOT_ALLOWED)
    await device.update()
    assert field.intake.outcomes[-1] == ("1", "refused: the device answered 4.05")


@ensureDeferred
async def test_an_endpoint_of_another_tenant_s_device_is_another_device(field):
    mine = await registered(field)
    one = field.source
    await field.start(path="acme")
    theirs = field.device()
    await theirs.register("ep=dev&lt=60&lwm2m=1.1", path="acme/rd")
    assert (len(one.registrations), len(field.source.registrations)) == (1, 1)
    assert (await mine.update()).code == n.CHANGED
    assert (await theirs.ask(n.DELETE, mine.location.replace("rd", "acme/rd"))).code == n.NOT_FOUND


def test_an_image_that_is_larger_than_the_memory_is_read_piece_by_piece(tmp_path):
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of nothing
        file.seek((1 << 40) - 3)
        file.write(b"end")
    image = ImageBytes(Image("app.bin", str(path), 1 << 40, ""))
    assert (len(image), image[(1 << 40) - 3 : 1 << 41], image[0:4]) == (1 << 40, b"end", bytes(4))
    image.close()
