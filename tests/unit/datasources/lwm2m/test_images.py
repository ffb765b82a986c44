"""Images over HTTP: whole ones, ranges, and what a device gets when it is no longer offered one."""

from __future__ import annotations

import os

import pytest
import treq
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.web.client import Agent, ResponseFailed

from iotgw.core.ports.firmware import Image
from iotgw.datasources.http.mounts import plain_site
from iotgw.datasources.lwm2m.images import ImageMount, Offers

SIZE = 300_000


class House:
    def __init__(self, folder) -> None:
        self.path = folder / "image"
        self.content = os.urandom(SIZE)
        self.path.write_bytes(self.content)
        self.offers = Offers()
        self.port = reactor.listenTCP(0, plain_site(ImageMount(self.offers), 0), interface="127.0.0.1")
        self.fetched: list[int] = []

    def offer(self, fetched=None) -> None:
        image = Image("i", str(self.path), SIZE, "ab" * 32)
        self.offers.add("secret", image, fetched or self.fetched.append)

    async def get(self, path: str, **headers: bytes):
        url = f"http://127.0.0.1:{self.port.getHost().port}/{path}"
        answer = await treq.get(url, agent=Agent(reactor), headers={k: [v] for k, v in headers.items()})
        return answer.code, await answer.content()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.offers.clear()
    made.port.stopListening()


@ensureDeferred
async def test_an_image_is_fetched_whole_or_in_part_by_its_secret_alone(house):
    house.offer()
    assert await house.get("secret") == (200, house.content)
    assert house.fetched[-1] == SIZE
    assert await house.get("secret", Range=b"bytes=299990-") == (206, house.content[-10:])
    assert (await house.get("secret", Range=b"bytes=300000-"))[0] == 416
    assert (
        (await house.get("other"))[0] == (await house.get("secret/x"))[0] == (await house.get(""))[0] == 404
    )


@pytest.mark.parametrize(
    "range", [b"\xff", b"bytes=-5", b"bytes=0-1,3-4", b"bytes=" + b"9" * 400 + b"-", b"bytes=x-"]
)
@ensureDeferred
async def test_a_range_that_is_not_understood_is_all_of_it(house, range):
    house.offer()
    assert await house.get("secret", Range=range) == (200, house.content)


@pytest.mark.parametrize("what", ["no longer offered", "cut off on the disk"])
@ensureDeferred
async def test_a_device_that_was_not_sent_all_of_an_image_loses_its_connection(house, what):
    def fetched(count: int) -> None:
        if what == "no longer offered":
            house.offers.remove("secret")
        else:
            os.truncate(house.path, count)

    house.offer(fetched)
    with pytest.raises(ResponseFailed):
        await house.get("secret")
