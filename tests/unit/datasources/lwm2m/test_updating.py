"""A device is updated: its image is pushed or fetched, installed, and what it says of that is the end."""

from __future__ import annotations

import hashlib
import random

import pytest
import treq
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import deferLater
from twisted.web.server import Site

from iotgw.core.errors import Conflict
from iotgw.core.ports.firmware import Image, UpdateOrder, UpdateState
from iotgw.datasources.http.mounts import HttpMounts, MountRoot
from iotgw.simulate.lwm2m import Lwm2mThermometer
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.lwm2m import formats
from tests.unit.datasources.lwm2m.field import PATIENCE

FIRMWARE_LINKS = b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</3/0>,</5/0>'


class Box:
    """A device with the objects 3 and 5, as it answers the gateway. ``refuses`` are codes by method and path."""

    def __init__(self, device):
        self.device = device
        self.state, self.result, self.version, self.uri = 0, 0, "1.0", ""
        self.delivery, self.protocols = 2, {0: 0}
        self.image = bytearray()
        self.refuses = {}
        self.asked = []
        self.becomes = (0, 1, "2.0")
        """State, result and version once it has begun to install."""

    async def serve(self, done):
        """Answer until `done()`."""
        inbox, until = self.device.wire.inbox, reactor.seconds() + PATIENCE
        while not done():
            assert reactor.seconds() < until, self.asked
            if inbox:
                request = inbox.pop(0)
                if request.code and request.code < n.CREATED:
                    self.answer(request)
            else:
                await deferLater(reactor, 0.001, lambda: None)

    def answer(self, request):
        path = "/".join(request.options.path)
        block = Block.of(request.options, n.BLOCK1)
        if block is None or block.number == 0:
            self.asked.append((request.code, path))
        refused = self.refuses.get((request.code, path))
        if refused:
            self.device.answer(request, refused)
        elif request.code == n.GET and path == "5/0":
            self.device.values(
                request,
                [
                    {"bn": "/5/0/", "n": "3", "v": self.state},
                    {"n": "5", "v": self.result},
                    {"n": "9", "v": self.delivery},
                    *({"n": f"8/{id}", "v": value} for id, value in self.protocols.items()),
                ],
            )
        elif request.code == n.GET:
            self.device.values(request, [{"bn": "/3/0/3", "vs": self.version}])
        elif path == "5/0/0":
            self.image += request.payload
            if block is not None and block.more:
                self.device.answer(request, n.CONTINUE, b"", (n.BLOCK1, block.value))
            else:
                self.state = 2
                self.device.answer(
                    request, n.CHANGED, b"", *(() if block is None else ((n.BLOCK1, block.value),))
                )
        elif path == "5/0/1":
            (node,) = formats.decode(request.options.get_uint(n.CONTENT_FORMAT), request.payload, (5, 0, 1))
            self.uri = node.value
            self.state, self.result = 0, 0
            self.device.answer(request, n.CHANGED)
        else:
            self.state, self.result, self.version = self.becomes
            self.device.answer(request, n.CHANGED)


@pytest.fixture
def image(tmp_path):
    content = bytes(range(256)) * 10
    path = tmp_path / "image"
    path.write_bytes(content)
    return Image("app.bin", str(path), len(content), hashlib.sha256(content).hexdigest())


async def registered(field, links=FIRMWARE_LINKS, **settings):
    await field.start(**settings)
    device = field.device()
    await device.register(links=links)
    return Box(device)


def begun(field, image, state=None, **order):
    """An update, and its states so far."""
    states = [state or UpdateState("dev")]
    update = field.source.update(UpdateOrder("job1", image, **order), states[0], states.append)
    return update, states


def phases(states):
    return list(dict.fromkeys(state.phase for state in states))


@ensureDeferred
async def test_an_image_is_pushed_block_by_block_and_installed(field, image):
    box = await registered(field)
    update, states = begun(field, image)
    await box.serve(lambda: update.is_closed)
    assert bytes(box.image) == bytes(range(256)) * 10
    assert phases(states) == ["waiting", "transferring", "downloading", "installing", "updated"]
    assert (states[-1].result, states[-1].version, states[-1].tries) == ("updated successfully", "1.0", 1)
    assert box.asked == [
        (n.GET, "5/0"), (n.GET, "3/0/3"), (n.PUT, "5/0/0"), (n.GET, "5/0"), (n.POST, "5/0/2"), (n.GET, "5/0"),
    ]  # fmt: skip
    assert field.source.status()["updates"] == 0


@ensureDeferred
async def test_what_an_earlier_update_left_is_cleared_first(field, image):
    box = await registered(field)
    box.state, box.result = 2, 8
    update, states = begun(field, image)
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, box.asked[:3]) == (
        "updated",
        [(n.GET, "5/0"), (n.PUT, "5/0/1"), (n.GET, "5/0")],
    )


@pytest.mark.parametrize(
    ("state", "result", "version", "phase", "reason"),
    [
        (0, 8, "1.0", "failed", "the device says: firmware update failed"),
        (2, 8, "1.0", "failed", "the device says: firmware update failed"),
        (0, 6, "1.0", "failed", "the device says: unsupported package type"),
        (0, 0, "2.0", "updated", ""),
    ],
)
@ensureDeferred
async def test_what_the_device_says_of_the_installation_is_the_end(
    field, image, state, result, version, phase, reason
):
    box = await registered(field)
    box.becomes = (state, result, version)
    update, states = begun(field, image)
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, states[-1].reason) == (phase, reason)


@ensureDeferred
async def test_an_image_that_is_too_large_for_the_device_is_a_failure_with_its_reason(field, image):
    box = await registered(field)
    box.refuses[n.PUT, "5/0/0"] = n.REQUEST_ENTITY_TOO_LARGE
    update, states = begun(field, image)
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, states[-1].reason) == ("failed", "the image: the device answered 4.13")


@ensureDeferred
async def test_a_transfer_that_breaks_off_is_tried_again_later(field, image):
    box = await registered(field)
    box.refuses[n.PUT, "5/0/0"] = n.REQUEST_ENTITY_INCOMPLETE
    update, states = begun(field, image)
    await box.serve(lambda: states[-1].reason)
    assert (states[-1].phase, states[-1].tries) == ("transferring", 1)
    assert states[-1].reason == "the image: the device answered 4.08"
    box.refuses.clear()
    update.due = 0.0
    update.look()
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, states[-1].tries) == ("updated", 2)


@ensureDeferred
async def test_tries_come_to_an_end(field, image):
    box = await registered(field)
    box.refuses[n.PUT, "5/0/0"] = n.SERVICE_UNAVAILABLE
    update, states = begun(field, image, retries=0)
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, states[-1].reason) == ("failed", "the image: the device answered 5.03")


@ensureDeferred
async def test_a_device_without_the_object_is_a_failure(field, image):
    await registered(field, links=b"</1/0>,</3/0>")
    update, states = begun(field, image)
    update.look()
    assert (states[-1].phase, states[-1].reason) == ("failed", "the device has no object 5")


@ensureDeferred
async def test_a_device_that_only_fetches_gets_an_address_and_its_blocks(field, image):
    box = await registered(field, firmware={"host": "127.0.0.1"})
    box.delivery = 0
    update, states = begun(field, image)
    await box.serve(lambda: box.uri)
    port = field.source._shares[0].port.address[1]
    assert box.uri == f"coap://127.0.0.1:{port}/fw/{states[-1].link}"
    other = field.device()  # devices fetch from another port than they register from
    fetched = bytearray()
    for number in range(len(range(0, image.size, 512))):
        block = Block(number, False, 5)
        response = await other.ask(n.GET, f"fw/{states[-1].link}", b"", (n.BLOCK2, block.value))
        assert (response.code, response.options.get_uint(n.SIZE2)) == (n.CONTENT, image.size)
        fetched += response.payload
    assert bytes(fetched) == bytes(range(256)) * 10
    assert states[-1].sent == image.size
    box.state = 2
    update.due = 0.0
    update.look()
    await box.serve(lambda: update.is_closed)
    assert states[-1].phase == "updated"
    gone = await other.ask(n.GET, f"fw/{box.uri.rpartition('/')[2]}")
    assert gone.code == n.NOT_FOUND


@ensureDeferred
async def test_an_image_is_fetched_over_http_as_a_whole_or_in_ranges(field, image):
    mounts = HttpMounts()
    field.shares = type(field.shares)(*field.shares._resources.values(), mounts)
    listener = reactor.listenTCP(0, Site(MountRoot(mounts)), interface="127.0.0.1")
    url = f"http://127.0.0.1:{listener.getHost().port}"
    box = await registered(field, firmware={"httpUrl": url})
    box.delivery, box.protocols = 0, {0: 0, 1: 2}
    _, states = begun(field, image)
    await box.serve(lambda: box.uri)
    place = f"{url}/fw/ds/{states[-1].link}"
    assert place == box.uri
    whole = await treq.get(place)
    assert await whole.content() == bytes(range(256)) * 10
    part = await treq.get(place, headers={"Range": "bytes=256-511"})
    assert (part.code, await part.content()) == (206, bytes(range(256)))
    assert (await treq.get(f"{url}/fw/ds/somethingelse")).code == 404
    await listener.stopListening()


class Simulated(DatagramProtocol):
    """The simulator's device, on a socket."""

    def __init__(self, address, **more):
        self.device = Lwm2mThermometer(random.Random(7), stay=60, **more)
        self.address = address
        self.port = reactor.listenUDP(0, self, interface="127.0.0.1")
        self.transport.write(self.device.uplink(0), address)

    def datagramReceived(self, datagram, addr):
        reaction = self.device.received(datagram, 0)
        for sent in (reaction.send, *reaction.also):
            if sent:
                self.transport.write(sent, self.address)


@pytest.mark.parametrize("method", ["push", "coap"])
@ensureDeferred
async def test_the_simulator_s_device_is_updated(field, image, method):
    source = await field.start(firmware={"host": "127.0.0.1"})
    made = Simulated(source._shares[0].port.address[:2])
    until = reactor.seconds() + PATIENCE
    while not source.has(made.device.identity):
        assert reactor.seconds() < until, "the device did not register"
        await deferLater(reactor, 0.001, lambda: None)
    states = [UpdateState(made.device.identity)]
    update = source.update(UpdateOrder("job1", image, method=method), states[0], states.append)
    until = reactor.seconds() + PATIENCE
    while not update.is_closed:
        assert reactor.seconds() < until, states[-1]
        update.due = 0.0
        await deferLater(reactor, 0.001, update.look)
    assert (states[-1].phase, states[-1].result) == ("updated", "updated successfully")
    assert made.device.image == bytes(range(256)) * 10
    await made.port.stopListening()


@ensureDeferred
async def test_without_an_address_a_device_that_fetches_is_a_failure_that_says_so(field, image):
    box = await registered(field)
    box.delivery = 0
    update, states = begun(field, image)
    await box.serve(lambda: update.is_closed)
    assert "has no address for devices that fetch by coap" in states[-1].reason


@ensureDeferred
async def test_a_device_that_sleeps_is_not_asked_until_it_wakes_up(field, image):
    await field.start(awakeTime=300)
    box = Box(field.device())
    await box.device.register("ep=dev&lt=60&lwm2m=1.1&b=U&Q", links=FIRMWARE_LINKS)
    (device,) = field.source.registrations
    device.is_asleep = True
    update, states = begun(field, image)
    update.look()
    assert (box.device.wire.inbox, states[-1].phase) == ([], "waiting")
    box.device.begin(n.POST, box.device.location)
    await box.serve(lambda: not device.is_asleep)
    update.look()
    await box.serve(lambda: update.is_closed)
    assert states[-1].phase == "updated"


@ensureDeferred
async def test_a_cancel_resets_the_device(field, image):
    box = await registered(field)
    update, states = begun(field, image)
    await box.serve(lambda: states[-1].phase == "transferring")
    update.cancel()
    assert states[-1].phase == "cancelled"
    await box.serve(lambda: (n.PUT, "5/0/1") in box.asked)


@ensureDeferred
async def test_another_process_goes_on_where_one_was_killed(field, image):
    box = await registered(field)
    box.state = 2  # it has the image: the answer to its last block was lost
    update, states = begun(field, image, UpdateState("dev", "transferring", tries=1, version="1.0"))
    await box.serve(lambda: update.is_closed)
    assert (states[-1].phase, box.asked[:2]) == ("updated", [(n.GET, "5/0"), (n.POST, "5/0/2")])
    assert bytes(box.image) == b""


@ensureDeferred
async def test_a_device_has_one_update_at_a_time_and_a_closed_datasource_none(field, image):
    await registered(field)
    update, _ = begun(field, image)
    with pytest.raises(Conflict):
        begun(field, image)
    assert (field.source.has("dev"), field.source.has("other")) == (True, False)
    await field.source.stop()
    assert update.is_closed
    assert update.state.phase == "waiting"
