"""Devices of Eclipse Leshan are updated: by push, by fetching, and behind a link that loses one datagram of ten."""

from __future__ import annotations

import hashlib
import random

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import DatagramProtocol
from twisted.web.server import Site

from iotgw.core.ports.firmware import Image, UpdateOrder, UpdateState
from iotgw.datasources.http.mounts import MountRoot
from tests.peers.leshan import LeshanDevice
from tests.peers.process import free_port

from .delivering import until
from .test_lwm2m import KEY, Server, here

pytestmark = pytest.mark.interop


class _Side(DatagramProtocol):
    def __init__(self, received):
        self.received = received

    def datagramReceived(self, datagram, addr):
        self.received(datagram, addr)


class LossyLink:
    """Between one device and a port of loopback; of so many datagrams, one is lost."""

    def __init__(self, port, loss=0.1, seed=8):
        self._random, self._loss, self._device = random.Random(seed), loss, None
        self._to = "127.0.0.1", port
        self._front = reactor.listenUDP(0, _Side(self._out), interface="127.0.0.1")
        self._back = reactor.listenUDP(0, _Side(self._in), interface="127.0.0.1")
        self.port = self._front.getHost().port
        self.lost = 0

    def _passes(self):
        passes = self._random.random() >= self._loss
        self.lost += not passes
        return passes

    def _out(self, datagram, address):
        self._device = address
        if self._passes():
            self._back.write(datagram, self._to)

    def _in(self, datagram, address):
        if self._passes():
            self._front.write(datagram, self._device)

    async def close(self):
        await self._front.stopListening()
        await self._back.stopListening()


@pytest.fixture(scope="module")
def server():
    http = free_port()
    made = Server(firmware={"host": "127.0.0.1", "httpUrl": f"http://127.0.0.1:{http}"})
    listener = reactor.listenTCP(http, Site(MountRoot(made.mounts)), interface="127.0.0.1")
    pytest_twisted.blockon(made.source.start())
    yield made
    pytest_twisted.blockon(made.source.stop())
    pytest_twisted.blockon(maybeDeferred(listener.stopListening))


def image_of(folder, size):
    content = random.Random(size).randbytes(size)
    path = folder / "app.bin"
    path.write_bytes(content)
    return Image("app.bin", str(path), size, hashlib.sha256(content).hexdigest())


async def updated(server, endpoint, image, seconds=60.0, **order):
    """How an update ended."""
    states = [UpdateState(endpoint)]
    server.source.update(UpdateOrder("job", image, **order), states[0], states.append)
    await until(lambda: states[-1].is_over, seconds, what="the update")
    return states[-1]


WELL = "updated", "Idle", "updated successfully"


@ensureDeferred
async def test_an_image_is_pushed_and_fetched_and_installed(server, tmp_path):
    image = image_of(tmp_path, 50_000)
    url = f"coap://127.0.0.1:{server.port}"
    with LeshanDevice(tmp_path, url, "pushed", 300, "software").launch() as device:
        await here(server, "pushed")
        for method in ("push", "coap", "http"):
            end = await updated(server, "pushed", image, method=method)
            assert (end.phase, end.state, end.result, end.sent) == (*WELL, image.size)
        assert device.output.count(f"image of 50000 bytes {image.sha256}") == 3
        assert [line for line in device.output.splitlines() if line.startswith("fetching")] == [
            "fetching coap",
            "fetching http",
        ]


@ensureDeferred
async def test_software_and_firmware_s_data_are_written_to_objects_of_their_own(server, tmp_path):
    image = image_of(tmp_path, 5_000)
    url = f"coap://127.0.0.1:{server.port}"
    with LeshanDevice(tmp_path, url, "objects", 300, "software").launch() as device:
        await here(server, "objects")
        end = await updated(server, "objects", image, target="firmware-data")
        assert (end.phase, end.state, end.result) == WELL
        assert f"image of 5000 bytes {image.sha256}" in device.output
        for _ in range(2):  # the second makes room first
            end = await updated(server, "objects", image, target="software")
            assert (end.phase, end.state, end.result) == ("updated", "Installed", "installed successfully")
        assert device.output.count(f"package of 5000 bytes {image.sha256}") == 2
        executed = [line for line in device.output.splitlines() if line.startswith("executed")]
        assert executed == [f"executed 9/0/{id}" for id in (4, 10, 6, 4, 10)]


@ensureDeferred
async def test_a_device_with_a_key_in_queue_mode_that_only_fetches_is_updated(server, tmp_path):
    image = image_of(tmp_path, 5_000)
    url = f"coaps://127.0.0.1:{server.secure_port}"
    with LeshanDevice(
        tmp_path, url, "meter-7", 300, "queue", "fetches", "psk", "id-7", KEY
    ).launch() as device:
        await here(server, "meter-7")
        for method in ("auto", "coaps"):
            end = await updated(server, "meter-7", image, method=method)
            assert (end.phase, end.tries) == ("updated", 1)
        assert device.output.count(f"image of 5000 bytes {image.sha256}") == 2
        assert "fetching coaps" in device.output


@pytest.mark.soak
@pytest.mark.timeout(3600)  # 25 minutes
@ensureDeferred
async def test_a_megabyte_behind_a_link_that_loses_arrives_whole(server, tmp_path):
    link = LossyLink(server.port)
    image = image_of(tmp_path, 1 << 20)
    with LeshanDevice(tmp_path, f"coap://127.0.0.1:{link.port}", "far", 3600).launch() as device:
        await here(server, "far")
        end = await updated(server, "far", image, 3000.0, method="push")
        assert (end.phase, end.sent, link.lost > 100) == ("updated", 1 << 20, True)
        assert f"image of 1048576 bytes {image.sha256}" in device.output
    await link.close()
