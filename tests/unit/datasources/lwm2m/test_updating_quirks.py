"""What devices in the field do while they are updated; each name ends with where it was seen."""

from __future__ import annotations

import hashlib

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from iotgw.core.ports.firmware import Image
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.coap.message import encode, options
from tests.unit.datasources.lwm2m.test_updating import begun, registered

CONTENT = bytes(range(256)) * 10


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(CONTENT)
    return Image("app.bin", str(path), len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@ensureDeferred
async def test_a_device_has_minutes_for_the_last_block_leshan_1394_thingsboard_14241(field, image):
    box = await registered(field)
    take, late = box.answer, []

    def answer(request):
        """The last block is acknowledged, and answered by a message of its own."""
        block = Block.of(request.options, n.BLOCK1)
        if block is None or block.more:
            take(request)
            return
        box.image += request.payload
        box.device.send(encode(n.ACK, n.EMPTY, request.mid))
        late.append(request)

    box.answer = answer
    update, states = begun(field, image)
    await box.serve(lambda: late)
    (link,) = field.source.registrations
    endpoint = link.port.endpoint
    while update._call.timer is None:
        await deferLater(reactor, 0.001, lambda: None)
    assert update._call.timer.due - endpoint.clock() > 290
    box.answer, box.state = take, 2
    pairs = options((n.BLOCK1, Block.of(late[0].options, n.BLOCK1).value))
    box.device.send(encode(n.CON, n.CHANGED, 60_000, late[0].token, pairs))
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, states[-1].tries, bytes(box.image)) == ("updated", 1, CONTENT)


@ensureDeferred
async def test_an_image_whose_last_answer_was_lost_is_not_sent_again_oma_303(field, image):
    box = await registered(field)
    take = box.answer
    lost = []

    def answer(request):
        block = Block.of(request.options, n.BLOCK1)
        if block is None or block.more or lost:
            take(request)
            return
        lost.append(request)
        box.state = 2  # it has the image, and sleeps
        (link,) = field.source.registrations
        link.port.endpoint.client.forget(link.port.endpoint.peers.find(link.remote))

    box.answer = answer
    update, states = begun(field, image)
    await box.serve(lambda: lost and states[-1].reason)
    update.due = 0.0
    update.look()
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, states[-1].tries) == ("updated", 1)
    assert [path for _, path in box.asked].count("5/0/0") == 1


@ensureDeferred
async def test_a_device_that_never_says_what_became_of_it_has_failed_oma_393(field, image):
    box = await registered(field, firmware={"installTime": 60})
    box.becomes = 3, 0, "1.0"
    update, states = begun(field, image)
    await box.serve(lambda: states[-1].phase == "installing" and states[-1].state == "Updating")
    update.since -= 61
    update.due = 0.0
    update.look()
    await box.serve(lambda: update.is_closed)
    assert states[-1].phase == "failed"
    assert states[-1].reason.startswith("the device is still Updating after 6")


@ensureDeferred
async def test_a_device_that_asks_for_smaller_blocks_gets_them_leshan_371(field, image):
    box = await registered(field)
    take, sizes = box.answer, []

    def answer(request):
        block = Block.of(request.options, n.BLOCK1)
        if block is not None and block.size > 256:
            box.device.answer(request, n.REQUEST_ENTITY_TOO_LARGE, b"", (n.BLOCK1, Block(0, False, 4).value))
            return
        if block is not None:
            sizes.append(block.size)
        take(request)

    box.answer = answer
    update, states = begun(field, image)
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, set(sizes), bytes(box.image)) == ("updated", {256}, CONTENT)
