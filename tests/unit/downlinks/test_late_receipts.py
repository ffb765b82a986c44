"""Receipts of items that were offered to networks a week ago: shuffled, doubled, and over three restarts."""

import random

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.task import Clock

from iotgw.core.clock import PlainCalendar
from iotgw.core.downlink_item import ItemState, payload
from iotgw.core.specs import DownlinkSpec
from iotgw.downlinks.leaving import LastSeen
from iotgw.downlinks.queue import DownlinkQueue
from iotgw.store.sqlite.downlinks import DownlinkStore

WEEK = 7 * 86400
# what a network says of one item, in any order, and what becomes of it: (confirmed, receipts, state)
FATES = (
    (False, ("sent",), ItemState.DELIVERED),
    (False, (), ItemState.SENT),
    (False, ("lost",), ItemState.QUEUED),
    (False, ("refused",), ItemState.FAILED),
    (True, ("sent",), ItemState.SENT),
    (True, ("sent", "delivered"), ItemState.DELIVERED),
    (True, ("sent", "lost"), ItemState.QUEUED),
    (True, ("delivered",), ItemState.DELIVERED),
)


class House:
    """A queue on its real store, on a clock of the test's own."""

    def __init__(self, path):
        self.path = path
        self.clock = Clock()
        self.clock.rightNow = reactor.seconds()
        self.begin()

    def begin(self):
        async def encode(datasource, item):
            return payload(item.spec), "BINARY", {}

        async def find(tenant, device):
            return LastSeen("ds", None, "")

        calendar = PlainCalendar(self.clock)
        store = DownlinkStore(self.path, reactor, calendar)
        self.queue = DownlinkQueue(store, encode, find, lambda event, item: None, self.clock, calendar)

    async def again(self):
        await self.queue.stop()
        self.begin()
        await self.queue.start()


async def play(path, count, seed=7):
    house = House(path)
    await house.queue.start()
    rest = random.Random(seed)
    pushed = [
        house.queue.push("default", f"dev{number % (count // 4)}", DownlinkSpec(data="AQ==", ttl=4 * WEEK, confirmed=fate[0]))
        for number, fate in ((number, FATES[number % len(FATES)]) for number in range(count))
    ]  # fmt: skip
    items = await gatherResults([ensureDeferred(each) for each in pushed])
    names = {}
    for number, item in enumerate(items):
        if number % 3 == 0:
            names[item.id] = f"ds/{number}"
        house.queue.outcome(item.id, "offered", "offered to the network", None, names.get(item.id, ""))
    receipts = [
        (item.id, became) for number, item in enumerate(items) for became in FATES[number % len(FATES)][1] * 2
    ]
    rest.shuffle(receipts)
    house.clock.advance(WEEK)
    await house.again()
    quarter = len(receipts) // 4 + 1
    for at in range(0, len(receipts), quarter):
        found = await gatherResults(
            [
                house.queue.confirmed(
                    "default", "", "ds", became, "", "" if id in names else id, names.get(id, "")
                )
                for id, became in receipts[at : at + quarter]
            ]
        )
        assert all(found)
        if at + quarter < len(receipts):
            await house.again()
    wrong = {}
    for number, item in enumerate(items):
        now = await house.queue.get("default", item.id)
        if now.state is not FATES[number % len(FATES)][2] or now.attempts != 1:
            wrong[number] = (now.state, now.attempts, FATES[number % len(FATES)])
    await house.queue.stop()
    return len(receipts), wrong


@pytest_twisted.ensureDeferred
async def test_every_receipt_finds_its_item_a_week_later(tmp_path):
    assert await play(tmp_path, 160) == (360, {})


@pytest.mark.soak
@pytest_twisted.ensureDeferred
async def test_ten_thousand_of_them_do(tmp_path):
    count, wrong = await play(tmp_path, 10_000)
    assert count >= 20_000 and wrong == {}
