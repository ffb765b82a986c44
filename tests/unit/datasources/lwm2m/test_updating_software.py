"""Software (object 9) and firmware whose bytes go to object 19."""

from __future__ import annotations

import hashlib

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.ports.firmware import Image
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.lwm2m import formats
from tests.unit.datasources.lwm2m.test_updating import Box, begun

LINKS = b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</3/0>,</5/0>,</9/2>,</19/0>'


class Software(Box):
    """A device with an instance 2 of object 9; ``state`` and ``result`` are its."""

    def __init__(self, device):
        super().__init__(device)
        self.fails = False

    def answer(self, request):
        path = "/".join(request.options.path)
        block = Block.of(request.options, n.BLOCK1)
        if block is None or block.number == 0:
            self.asked.append((request.code, path))
        if path == "9/2":
            pack = [{"bn": "/9/2/", "n": "7", "v": self.state}, {"n": "9", "v": self.result}]
            self.device.values(request, pack)
            if (self.state, self.result) == (2, 1):
                self.state, self.result = 3, 3  # it has checked what it got
        elif path == "9/2/2":
            self.image += request.payload
            self.state, self.result = (2, 1) if block is None or not block.more else (1, 1)
            pairs = () if block is None else ((n.BLOCK1, block.value),)
            self.device.answer(request, n.CONTINUE if block and block.more else n.CHANGED, b"", *pairs)
        elif path == "9/2/4":
            self.state, self.result = (3, 58) if self.fails else (4, 2)
            self.device.answer(request, n.CHANGED)
        elif path == "9/2/6":
            assert request.payload == b"1"  # for an update
            self.state, self.result = 0, 0
            self.device.answer(request, n.CHANGED)
        else:
            self.device.answer(request, n.CHANGED)


@pytest.fixture
def image(tmp_path):
    content = bytes(range(256)) * 10
    path = tmp_path / "image"
    path.write_bytes(content)
    return Image("app.bin", str(path), len(content), hashlib.sha256(content).hexdigest())


async def registered(field, kind, **settings):
    await field.start(**settings)
    device = field.device()
    await device.register(links=LINKS)
    return kind(device)


async def run(box, update):
    """Answer until it is over; what it waits for is looked at at once."""

    def is_over():
        if not update.is_closed:
            update.due = 0.0
            update.look()
        return update.is_closed

    await box.serve(is_over)


@ensureDeferred
async def test_software_is_delivered_installed_and_activated(field, image):
    box = await registered(field, Software)
    update, states = begun(field, image, target="software", instance=2)
    await run(box, update)
    assert (states[-1].phase, states[-1].state, states[-1].result) == (
        "updated",
        "Installed",
        "installed successfully",
    )
    assert [path for _, path in box.asked if path != "9/2"] == ["9/2/2", "9/2/4", "9/2/10"]
    assert bytes(box.image) == bytes(range(256)) * 10


@ensureDeferred
async def test_software_that_is_installed_makes_room_first(field, image):
    box = await registered(field, Software)
    box.state, box.result = 4, 2
    update, states = begun(field, image, target="software", instance=2)
    await run(box, update)
    assert states[-1].phase == "updated"
    assert [path for _, path in box.asked if path != "9/2"][:2] == ["9/2/6", "9/2/2"]


@ensureDeferred
async def test_software_that_can_not_be_installed_is_a_failure(field, image):
    box = await registered(field, Software)
    box.fails = True
    update, states = begun(field, image, target="software", instance=2)
    await run(box, update)
    assert (states[-1].phase, states[-1].reason) == ("failed", "the device says: installation failure")


class Data(Box):
    """A device that takes firmware's bytes in object 19."""

    def answer(self, request):
        if "/".join(request.options.path) != "19/0/0":
            super().answer(request)
            return
        block = Block.of(request.options, n.BLOCK1)
        assert request.options.get_uint(n.CONTENT_FORMAT) == formats.OPAQUE
        self.image += request.payload
        if block is None or not block.more:
            self.state = 2
            self.asked.append((request.code, "19/0/0"))
        pairs = () if block is None else ((n.BLOCK1, block.value),)
        self.device.answer(request, n.CONTINUE if block and block.more else n.CHANGED, b"", *pairs)


@ensureDeferred
async def test_firmware_may_be_given_as_data(field, image):
    box = await registered(field, Data)
    update, states = begun(field, image, target="firmware-data")
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, bytes(box.image)) == ("updated", bytes(range(256)) * 10)
    assert (n.PUT, "19/0/0") in box.asked
    assert (n.PUT, "5/0/0") not in box.asked


@pytest.mark.parametrize(
    ("settings", "delivery", "written"),
    [
        ({"fwUpdateStrategy": 1}, 0, "5/0/0"),
        ({"fwUpdateStrategy": 2}, 2, "5/0/1"),
        ({"fwUpdateStrategy": 3}, 2, "19/0/0"),
        ({}, 0, "5/0/1"),
        ({}, 2, "5/0/0"),
    ],
)
@ensureDeferred
async def test_a_profile_says_how_its_devices_are_updated(field, image, settings, delivery, written):
    profile = {"clientLwM2mSettings": settings}
    box = await registered(field, Data, profiles=[profile], firmware={"host": "127.0.0.1"})
    box.delivery = delivery
    update, _ = begun(field, image)
    await box.serve(lambda: (n.PUT, written) in box.asked)
    assert [path for code, path in box.asked if code == n.PUT] == [written]
    update.cancel()


@ensureDeferred
async def test_software_is_fetched_if_the_profile_says_so(field, image):
    profile = {"clientLwM2mSettings": {"swUpdateStrategy": 2}}
    box = await registered(field, Software, profiles=[profile], firmware={"host": "127.0.0.1"})
    update, states = begun(field, image, target="software", instance=2)
    await box.serve(lambda: (n.PUT, "9/2/3") in box.asked)
    assert states[-1].phase == "downloading"
    update.cancel()
